//! `logs`: what a run wrote.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::super::client::{Client, Request, escaped, reason, with_query};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output;
use super::super::output::columns::field;
use super::super::session::Session;
use super::super::stream::Events;
use super::get::{closest, is_run};
use super::pick::{is_part, run_id};

/// After this long without a byte of an answer under way, the connection is dead.
const SILENCE: Duration = Duration::from_secs(60);
/// Lines asked for at a time.
const HITS: usize = 500;

/// Show what a run wrote.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// The id of a run or its beginning, or a job: its newest run
    run: String,
    /// Go on until the run has ended
    #[arg(short, long)]
    follow: bool,
    /// The last lines only
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// Byte for byte what was written, even to a terminal
    #[arg(long, conflicts_with_all =
        ["follow", "tail", "timestamps", "attempt", "stream", "jsonl"])]
    raw: bool,
    /// The time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Only this attempt
    #[arg(long, value_name = "N")]
    attempt: Option<u64>,
    /// Only stdout, stderr or system
    #[arg(long, value_name = "STREAM", value_parser = ["stdout", "stderr", "system"])]
    stream: Option<String>,
    /// The lines that hold this text; of a job, in the output of all its runs, the newest first
    #[arg(long, value_name = "TEXT", conflicts_with_all =
        ["follow", "tail", "raw", "attempt", "stream"])]
    grep: Option<String>,
    /// At most so many lines that hold it; 0: all
    #[arg(long, value_name = "N", default_value = "100", requires = "grep")]
    limit: usize,
    /// The API's objects, one a line
    #[arg(long)]
    jsonl: bool,
}

/// The output of a run, piece by piece.
pub(super) struct Follow<'a> {
    client: &'a Client,
    id: String,
    events: Events<'a>,
}

impl<'a> Follow<'a> {
    pub(super) fn new(client: &'a Client, id: &str) -> Self {
        let events = Events::new(client, format!("/runs/{id}/logs?follow=true"));
        Follow { client, id: id.to_owned(), events }
    }

    /// The next piece; none once the run has ended.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            let event = self.events.next().await?;
            match event.event.as_str() {
                "line" => {
                    if let Ok(line) = serde_json::from_str(&event.data) {
                        return Ok(Some(line));
                    }
                }
                // A node that stops, a token that ended: only the run itself says that it is over.
                "end" => {
                    let path = format!("/runs/{}", self.id);
                    let run = self.client.fetch(Request::get(path)).await?;
                    if run["finished_at"].is_string() {
                        return Ok(None);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Logs {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        if let Some(text) = &self.grep {
            return self.search(session, &client, text).await;
        }
        let id = newest(&client, &self.run).await?;
        if self.raw {
            return raw(&client, &id).await;
        }
        let mut at_start = true;
        if self.follow && self.tail.is_none() {
            let mut follow = Follow::new(&client, &id);
            while let Some(piece) = follow.next().await? {
                self.show(&piece, &mut at_start)?;
            }
            return Ok(0);
        }
        let (mut pieces, mut last) = (Vec::new(), None);
        let mut cursor: Option<String> = None;
        loop {
            let from = cursor.map(|at| format!("&cursor={at}")).unwrap_or_default();
            let path = format!("/runs/{id}/logs?limit=1000{from}");
            let page = client.fetch(Request::get(path)).await?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            let none = items.is_empty();
            pieces.extend(items.into_iter().filter(|piece| self.wants(piece)));
            last = pieces.last().cloned().or(last);
            if let Some(most) = self.tail {
                keep_last_lines(&mut pieces, most);
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || none || page["closed"] == true {
                break;
            }
        }
        for piece in &pieces {
            self.show(piece, &mut at_start)?;
        }
        if self.follow {
            return self.go_on(&client, &id, last.as_ref(), at_start).await;
        }
        Ok(0)
    }

    /// Shows the lines that hold `text`.
    async fn search(&self, session: &Session, client: &Client, text: &str) -> Outcome {
        let what = escaped(&self.run);
        let mut path = match is_run(&self.run) {
            true => format!("/runs/{what}/logs/search"),
            false => format!("/jobs/{what}/logs/search"),
        };
        let (mut left, mut cursor, mut shown) = (self.limit, None, 0);
        loop {
            let limit = if self.limit == 0 { HITS } else { left.min(HITS) };
            let asked = [
                ("q", Some(text.to_owned())),
                ("limit", Some(limit.to_string())),
                ("cursor", cursor.clone()),
            ];
            let answer = client.fetch(Request::get(with_query(&path, &asked))).await;
            let page = match answer {
                // The beginning of the id of a run, or a name that is not quite right.
                Err(e) if e.code == Code::NotFound && path.starts_with("/jobs/") => {
                    let id = newest(client, &self.run).await?;
                    path = format!("/runs/{id}/logs/search");
                    continue;
                }
                other => other?,
            };
            for hit in page["items"].as_array().into_iter().flatten() {
                (left, shown) = (left.saturating_sub(1), shown + 1);
                self.show_hit(hit, path.starts_with("/jobs/"))?;
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || (self.limit > 0 && left == 0) {
                break;
            }
        }
        if shown == 0 {
            session.say(format!("no line holds {text:?}"));
        }
        Ok(0)
    }

    fn show_hit(&self, hit: &Value, of_many: bool) -> Result<(), Failure> {
        if self.jsonl {
            return output::line(&hit.to_string());
        }
        let mut line = String::new();
        if of_many {
            line.push_str(&field(hit, "/run_id"));
            line.push(' ');
        }
        if self.timestamps {
            line.push_str(&field(hit, "/at"));
            line.push(' ');
        }
        line.push_str(hit["text"].as_str().unwrap_or_default());
        line.push('\n');
        output::foreign(&line)
    }

    /// Follows behind what was shown.
    async fn go_on(
        &self,
        client: &Client,
        id: &str,
        last: Option<&Value>,
        mut at_start: bool,
    ) -> Outcome {
        let place = |piece: &Value| (piece["attempt"].as_u64(), piece["seq"].as_u64());
        let mut follow = Follow::new(client, id);
        while let Some(piece) = follow.next().await? {
            if last.is_none_or(|last| place(&piece) > place(last)) {
                self.show(&piece, &mut at_start)?;
            }
        }
        Ok(0)
    }

    fn wants(&self, piece: &Value) -> bool {
        self.attempt.is_none_or(|attempt| piece["attempt"] == attempt)
            && self.stream.as_ref().is_none_or(|stream| piece["stream"] == stream.as_str())
    }

    fn show(&self, piece: &Value, at_start: &mut bool) -> Result<(), Failure> {
        if !self.wants(piece) {
            return Ok(());
        }
        if self.jsonl {
            return output::line(&piece.to_string());
        }
        let text = piece["text"].as_str().unwrap_or_default();
        if !self.timestamps {
            return output::foreign(text);
        }
        let at = field(piece, "/at");
        let mut made = String::new();
        for line in text.split_inclusive('\n') {
            if *at_start {
                made.push_str(&at);
                made.push(' ');
            }
            made.push_str(line);
            *at_start = line.ends_with('\n');
        }
        output::foreign(&made)
    }
}

/// The whole output as it was written.
async fn raw(client: &Client, id: &str) -> Outcome {
    let request = Request::get(format!("/runs/{id}/logs")).header("accept", "text/plain");
    let mut response = client.open(&request, None).await?;
    if !response.status().is_success() {
        let status = response.status();
        return Err(client.refusal(status, &response.bytes().await.unwrap_or_default()));
    }
    let broken = |error| Failure::new(Code::Unavailable, format!("the answer broke off: {error}"));
    loop {
        let piece = match timeout(SILENCE, response.chunk()).await {
            Ok(piece) => piece.map_err(|error| broken(reason(&error)))?,
            Err(_) => return Err(broken("nothing comes any more".to_owned())),
        };
        match piece {
            Some(piece) => output::bytes(&piece)?,
            None => return Ok(0),
        }
    }
}

/// Keeps the last lines of a text in pieces, each of which may hold several lines, or a part of
/// one. A line without its end counts too.
fn keep_last_lines(pieces: &mut Vec<Value>, most: usize) {
    let (mut lines, mut at_end) = (0, true);
    for at in (0..pieces.len()).rev() {
        let text = pieces[at]["text"].as_str().unwrap_or_default();
        for (place, _) in text.rmatch_indices('\n') {
            let closes = at_end && place + 1 == text.len();
            lines += usize::from(!closes);
            if lines == most && !closes {
                let rest = text[place + 1..].to_owned();
                pieces[at]["text"] = Value::String(rest);
                pieces.drain(..at);
                return;
            }
        }
        at_end &= text.is_empty();
    }
    if most == 0 {
        pieces.clear();
    }
}

/// The id of a run, or of the newest run of a job.
pub(super) async fn newest(client: &Client, word: &str) -> Result<String, Failure> {
    if is_run(word) {
        return Ok(word.to_owned());
    }
    let path = format!("/jobs/{}/runs?limit=1", escaped(word));
    let page = match client.fetch(Request::get(path)).await {
        Err(failure) if failure.code == Code::NotFound && is_part(word) => {
            return run_id(client, word).await;
        }
        Err(failure) if failure.code == Code::NotFound => {
            return Err(closest(client, word, failure).await);
        }
        other => other?,
    };
    match page.pointer("/items/0/id").and_then(Value::as_str) {
        Some(id) => Ok(id.to_owned()),
        None => Err(Failure::new(Code::NotFound, format!("job {word} has had no run yet"))
            .advise(format!("`cronapi run {word} -f` starts one"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_lines_are_counted_in_the_text_not_in_pieces() {
        let last = |texts: &[&str], most| {
            let mut pieces: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
            keep_last_lines(&mut pieces, most);
            pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect::<String>()
        };
        let many: String = (1..=900).map(|n| format!("{n}\n")).collect();
        assert_eq!(last(&[&many], 2), "899\n900\n");
        assert_eq!(last(&[&many, "901\n902"], 3), "900\n901\n902");
        assert_eq!(last(&["a\n", "b", "c\n", "d\n"], 2), "bc\nd\n");
        assert_eq!(last(&["a\n", "b", "c\n", "d\n"], 1), "d\n");
        assert_eq!(last(&["a\nb", "c", ""], 1), "bc");
        assert_eq!(last(&["a\n", "\n", "\n"], 2), "\n\n");
        for all in [3, 4, usize::MAX] {
            assert_eq!(last(&["a\n", "b", "c\n", "d\n"], all), "a\nbc\nd\n");
        }
        assert_eq!(last(&["a\n", "b"], 0), "");
        assert_eq!(last(&[], 5), "");
    }
}
