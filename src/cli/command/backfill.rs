//! `backfill`: run times of a job that have passed, and follow, pause or cancel it.

use std::time::Duration;

use clap::ValueEnum;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::super::client::{Client, Request, escaped, with_query};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{self, field};
use super::super::output::{self, As, Format, when};
use super::super::session::Session;
use super::jobs::found;
use super::run::pair;
use crate::model::integers::read_json;
use crate::model::{Span, Timestamp};

/// Between two looks at one that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The clock of the cluster may be behind this one, and takes no time that is to come.
const CLOCKS_APART: Span = Span::from_secs(2);

/// Which times are run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Which {
    /// Those that never had a run
    Missing,
    /// Those, and the ones whose runs did not succeed
    Failed,
    /// All of them
    All,
}

/// Run times of a job that have passed; or see to a backfill that was begun, by its number.
#[derive(Debug, clap::Args)]
pub struct Backfill {
    /// The job; or the number of a backfill
    name: String,
    /// Times from here on: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME", required_unless_present_any = ["look", "pause", "resume",
        "cancel", "wait", "max_concurrent", "rate"])]
    from: Option<String>,
    /// Times before this [default: now]
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Which of them
    #[arg(long, value_enum, default_value = "missing")]
    which: Which,
    /// The newest first
    #[arg(long)]
    newest_first: bool,
    /// Open runs of it at a time [default: 1]
    #[arg(long, value_name = "N")]
    max_concurrent: Option<u32>,
    /// Runs that it makes in a time, such as 10/1m
    #[arg(long, value_name = "N/DURATION")]
    rate: Option<String>,
    /// The version to run [default: the present one]
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// A parameter of each run; the value is JSON if it can be read as that, else text
    #[arg(short, long = "param", value_name = "KEY=VALUE")]
    param: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Show what would be run, and begin nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait for its end; exits with 10 when not all its runs succeeded
    #[arg(short, long)]
    wait: bool,
    /// Show the backfill of that number
    #[arg(long)]
    look: bool,
    /// Pause the backfill of that number: it makes no more runs
    #[arg(long, conflicts_with_all = ["resume", "cancel", "from"])]
    pause: bool,
    /// Resume the backfill of that number
    #[arg(long, conflicts_with_all = ["cancel", "from"])]
    resume: bool,
    /// Cancel the backfill of that number, and its open runs
    #[arg(long, conflicts_with = "from")]
    cancel: bool,
    #[command(flatten)]
    output: As,
}

/// Backfills, newest first.
#[derive(Debug, clap::Args)]
pub struct Backfills {
    /// Of this job
    name: Option<String>,
    /// That are so far: running, paused, done, cancelled
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value = "50")]
    limit: usize,
    #[command(flatten)]
    output: As,
}

impl Backfills {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let query =
            [("limit", Some(self.limit.to_string())), ("job", self.name), ("status", self.status)];
        let page = session.client()?.fetch(Request::get(with_query("/backfills", &query))).await?;
        session.output(self.output).list(&page, &columns::BACKFILLS)?;
        Ok(0)
    }
}

impl Backfill {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        if self.from.is_none() {
            return self.see_to(session, &client).await;
        }
        let body = self.body(session.output(self.output).now)?;
        let path = format!("/jobs/{}/backfills?dry_run={}", escaped(&self.name), self.dry_run);
        let request = Request::post(path, &Value::Object(body)).once()?;
        let answer = found(&client, &self.name, client.fetch(request).await).await?;
        if self.dry_run {
            return self.show_plan(session, &answer);
        }
        self.follow(session, &client, answer).await
    }

    /// What is done to one that was begun.
    async fn see_to(&self, session: &Session, client: &Client) -> Outcome {
        let id: u64 = self.name.parse().map_err(|_| {
            Failure::usage(format!("{} is not the number of a backfill", self.name))
                .advise("`cronapi backfills` lists them; with --from a new one is begun")
        })?;
        let path = |rest: &str| format!("/backfills/{id}{rest}");
        let reason = json!({ "reason": self.reason });
        let request = match (self.pause, self.resume, self.cancel) {
            (true, _, _) => Request::post(path("/pause"), &reason).once()?,
            (_, true, _) => Request::post(path("/resume"), &json!({})).once()?,
            (_, _, true) => Request::post(path("/cancel"), &reason).once()?,
            _ if self.max_concurrent.is_some() || self.rate.is_some() => {
                let mut body = Map::new();
                body.extend(self.max_concurrent.map(|n| ("max_concurrent".into(), n.into())));
                body.extend(self.rate()?.map(|rate| ("rate".into(), rate)));
                Request::new(Method::PATCH, path("")).json(&Value::Object(body)).repeatable()
            }
            _ => Request::get(path("")),
        };
        let backfill = client.fetch(request).await?;
        self.follow(session, client, backfill).await
    }

    async fn follow(&self, session: &Session, client: &Client, mut it: Value) -> Outcome {
        if !self.wait {
            session.output(self.output).one(&it, &columns::BACKFILLS)?;
            return Ok(0);
        }
        let id = field(&it, "/id");
        session.say(format!("backfill {id} of {}", field(&it, "/job")));
        while matches!(it["status"].as_str(), Some("running" | "paused")) {
            let [done, passed] = ["/counts/made", "/counts/passed"].map(|place| field(&it, place));
            let open = field(&it, "/open");
            session.terminal.renew(&format!(
                "{}: {done} runs made, {passed} times passed over, {open} open",
                field(&it, "/status")
            ));
            tokio::time::sleep(LOOK_EVERY).await;
            it = client.fetch(Request::get(format!("/backfills/{id}"))).await?;
        }
        session.terminal.renew("");
        session.output(self.output).one(&it, &columns::BACKFILLS)?;
        let whole = it["status"] == "done" && it["counts"]["made"] == it["counts"]["succeeded"];
        Ok(if whole { 0 } else { Code::RunFailed as u8 })
    }

    fn show_plan(&self, session: &Session, plan: &Value) -> Outcome {
        let output = session.output(self.output);
        if !matches!(output.format, Format::Table | Format::Wide) {
            output.one(plan, &columns::BACKFILLS)?;
            return Ok(0);
        }
        let already = |name: &str| field(plan, &format!("/already/{name}"));
        let lines = [
            format!(
                "{} of {} times of {} would be run, version {} (dry run)",
                field(plan, "/count"),
                field(plan, "/total"),
                self.name,
                field(plan, "/version")
            ),
            format!("first {}, last {}", field(plan, "/first"), field(plan, "/last")),
            format!(
                "succeeded {}, failed {}, open {}, missing {}, forgotten {}, off {}",
                already("fired"),
                already("failed"),
                already("open"),
                already("missing"),
                already("forgotten"),
                already("off")
            ),
        ];
        for line in lines {
            output::line(&line)?;
        }
        Ok(0)
    }

    fn body(&self, now: Timestamp) -> Result<Map<String, Value>, Failure> {
        let at = |flag, text: &Option<String>, other| match text {
            Some(text) => when::parse(flag, text, now),
            None => Ok(other),
        };
        let to = at("--to", &self.to, now.minus(CLOCKS_APART))?;
        let from = at("--from", &self.from, now)?;
        let which = match self.which {
            Which::Missing => "missing",
            Which::Failed => "failed",
            Which::All => "all",
        };
        let order = if self.newest_first { "newest" } else { "oldest" };
        let mut body = Map::from_iter([
            ("from".to_owned(), json!(from)),
            ("to".to_owned(), json!(to)),
            ("which".to_owned(), json!(which)),
            ("order".to_owned(), json!(order)),
        ]);
        body.extend(self.max_concurrent.map(|n| ("max_concurrent".to_owned(), n.into())));
        body.extend(self.rate()?.map(|rate| ("rate".to_owned(), rate)));
        body.extend(self.version.map(|version| ("version".to_owned(), version.into())));
        body.extend(self.reason.clone().map(|reason| ("reason".to_owned(), reason.into())));
        let mut parameters = Map::new();
        for given in &self.param {
            let (key, value) = pair("-p", given)?;
            parameters.insert(key, value);
        }
        body.insert("parameters".to_owned(), Value::Object(parameters));
        Ok(body)
    }

    fn rate(&self) -> Result<Option<Value>, Failure> {
        let Some(text) = &self.rate else { return Ok(None) };
        let refused = || Failure::usage(format!("--rate {text}: write it as 10/1m"));
        let (limit, per) = text.split_once('/').ok_or_else(refused)?;
        let limit = read_json(limit.as_bytes()).ok().filter(Value::is_u64).ok_or_else(refused)?;
        Ok(Some(json!({ "limit": limit, "per": per })))
    }
}
