//! `logs`: what a run wrote.

use serde_json::Value;

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output;
use super::super::output::columns::field;
use super::super::session::Session;
use super::super::stream::Events;
use super::get::{closest, is_run};

/// Show what a run wrote.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// The id of a run, or a job: its newest run
    run: String,
    /// Go on until the run has ended
    #[arg(short, long)]
    follow: bool,
    /// The last lines only
    #[arg(long, value_name = "N")]
    tail: Option<usize>,
    /// The time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Only this attempt
    #[arg(long, value_name = "N")]
    attempt: Option<u64>,
    /// Only stdout, stderr or system
    #[arg(long, value_name = "STREAM", value_parser = ["stdout", "stderr", "system"])]
    stream: Option<String>,
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
        let id = newest(&client, &self.run).await?;
        let mut at_start = true;
        if self.follow && self.tail.is_none() {
            let mut follow = Follow::new(&client, &id);
            while let Some(piece) = follow.next().await? {
                self.show(&piece, &mut at_start)?;
            }
            return Ok(0);
        }
        let mut pieces = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let from = cursor.map(|at| format!("&cursor={at}")).unwrap_or_default();
            let path = format!("/runs/{id}/logs?limit=1000{from}");
            let page = client.fetch(Request::get(path)).await?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            let none = items.is_empty();
            pieces.extend(items.into_iter().filter(|piece| self.wants(piece)));
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || none || page["closed"] == true {
                break;
            }
        }
        let first = self.tail.map_or(0, |most| pieces.len().saturating_sub(most));
        for piece in &pieces[first..] {
            self.show(piece, &mut at_start)?;
        }
        if self.follow {
            return self.go_on(&client, &id, pieces.last(), at_start).await;
        }
        Ok(0)
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
            return output::text(text);
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
        output::text(&made)
    }
}

/// The id of a run, or of the newest run of a job.
pub(super) async fn newest(client: &Client, word: &str) -> Result<String, Failure> {
    if is_run(word) {
        return Ok(word.to_owned());
    }
    let path = format!("/jobs/{}/runs?limit=1", escaped(word));
    let page = match client.fetch(Request::get(path)).await {
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
