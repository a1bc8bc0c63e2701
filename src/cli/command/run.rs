//! `run`: start a job now, and wait for its end.

use std::pin::pin;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{self, field};
use super::super::output::{self, As, Format, when};
use super::super::session::Session;
use super::get::closest;
use super::logs::Follow;
use crate::model::Span;
use crate::model::integers::{Unread, read_json};

const SHOWN_EVERY: Duration = Duration::from_secs(1);

/// Start a job now.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The job
    name: String,
    /// A parameter; the value is JSON if it can be read as that, `@secret:NAME` the name of a
    /// secret, else text
    #[arg(short, long = "param", value_name = "KEY=VALUE")]
    param: Vec<String>,
    /// Parameters, a JSON object
    #[arg(long, value_name = "JSON")]
    params: Option<String>,
    /// Wait for its end; exits with 10 when it did not succeed
    #[arg(short, long)]
    wait: bool,
    /// Show its output as it comes, and wait for its end
    #[arg(short, long)]
    follow: bool,
    /// Exit with the run's own exit code, with --wait or --follow
    #[arg(long)]
    exit_code: bool,
    /// Wait so long at most; the run goes on
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Pass over dependencies and the overlap policy
    #[arg(long)]
    force: bool,
    /// Check that it could be started, and don't
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: As,
}

impl Run {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let parameters = self.parameters()?;
        let deadline = match &self.timeout {
            Some(text) => {
                let span = Span::parse(text);
                let span = span.map_err(|why| Failure::usage(format!("--timeout: {why}")))?;
                Some(Instant::now() + span.std())
            }
            None => None,
        };
        let client = session.client()?;
        let path = format!(
            "/jobs/{}/run?force={}&dry_run={}",
            escaped(&self.name),
            self.force,
            self.dry_run
        );
        let request = Request::post(path, &json!({ "parameters": parameters })).once()?;
        let run = match client.fetch(request).await {
            Err(failure) if failure.code == Code::NotFound => {
                return Err(closest(&client, &self.name, failure).await);
            }
            other => other?,
        };
        if self.dry_run {
            session.say(format!("{} could be started (dry run)", self.name));
            return Ok(0);
        }
        let id = field(&run, "/id");
        if !self.wait && !self.follow {
            self.show(session, &run)?;
            if session.terminal.stderr {
                session.say(format!("started; follow it with: cronapi logs -f {id}"));
            }
            return Ok(0);
        }
        session.say(format!("run {id} of {}", self.name));
        let waiting = self.until_end(session, &client, &id);
        let ended = match deadline {
            Some(at) => timeout_at(at, waiting).await.map_err(|_| {
                Failure::new(Code::Timeout, format!("run {id} has not ended"))
                    .advise(format!("it goes on; `cronapi cancel {id}` ends it"))
            })?,
            None => waiting.await,
        }?;
        if !self.follow {
            self.show(session, &ended)?;
        }
        Ok(self.verdict(session, &ended))
    }

    async fn until_end(
        &self,
        session: &Session,
        client: &Client,
        id: &str,
    ) -> Result<Value, Failure> {
        let (mut follow, began) = (Follow::new(client, id), Instant::now());
        let mut ticks = tokio::time::interval(SHOWN_EVERY);
        loop {
            // One future across ticks: a slow connection must not begin anew with each.
            let mut next = pin!(follow.next());
            let line = loop {
                tokio::select! {
                    line = &mut next => break line?,
                    _ = ticks.tick(), if !self.follow => {
                        let since = Span::from_secs(began.elapsed().as_secs());
                        session.terminal.renew(&format!("waiting, {}", when::rough(since)));
                    }
                }
            };
            let Some(line) = line else { break };
            if self.follow {
                match self.output.format {
                    Format::Json | Format::Jsonl => output::line(&line.to_string())?,
                    _ => output::foreign(line["text"].as_str().unwrap_or_default())?,
                }
            }
        }
        session.terminal.renew("");
        client.fetch(Request::get(format!("/runs/{id}"))).await
    }

    fn show(&self, session: &Session, run: &Value) -> Result<(), Failure> {
        session.output(self.output).one(run, &columns::RUNS)
    }

    /// Tells how it ended.
    fn verdict(&self, session: &Session, run: &Value) -> u8 {
        let status = field(run, "/status");
        let own = run["exit_code"].as_i64();
        if status == "succeeded" {
            session.say("succeeded");
            return 0;
        }
        let error = field(run, "/error");
        session.say(match (error.as_str(), own) {
            ("-", Some(code)) => format!("{status}: exit code {code}"),
            ("-", None) => status,
            (error, _) => format!("{status}: {error}"),
        });
        let code = own.filter(|code| self.exit_code && *code != 0);
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(Code::RunFailed as u8)
    }

    fn parameters(&self) -> Result<Map<String, Value>, Failure> {
        let mut all = match &self.params {
            None => Map::new(),
            Some(text) => match read_json(text.as_bytes()) {
                Ok(Value::Object(map)) => map,
                Ok(_) => return Err(Failure::usage("--params: must be a JSON object, {\"a\": 1}")),
                Err(error) => return Err(Failure::usage(format!("--params: {error}"))),
            },
        };
        for given in &self.param {
            // In quotes it is a text like any other.
            let (key, value) = match given.split_once("=@secret:") {
                Some((key, name)) if !key.is_empty() && !key.contains('=') => {
                    (key.to_owned(), json!({ "secret": name }))
                }
                _ => pair("-p", given)?,
            };
            all.insert(key, value);
        }
        Ok(all)
    }
}

/// `key=value`, given with a flag; the value is JSON if it can be read as that, else text.
pub(super) fn pair(flag: &str, given: &str) -> Result<(String, Value), Failure> {
    let Some((key, value)) = given.split_once('=').filter(|(key, _)| !key.is_empty()) else {
        return Err(Failure::usage(format!("{flag} {given}: write it as key=value")));
    };
    let value = match read_json(value.as_bytes()) {
        Ok(value) => value,
        Err(Unread::NotJson(_)) => Value::from(value),
        Err(Unread::Wide(wide)) => {
            let advice = format!("in quotes it is a text: {flag} '{key}=\"…\"'");
            return Err(Failure::usage(format!("{flag} {key}: {wide}")).advise(advice));
        }
    };
    Ok((key.to_owned(), value))
}
