//! What happens, and what happened: `events`, `audit`.

use serde_json::Value;

use super::super::client::{Request, reason, with_query};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns;
use super::super::output::{self, As, Format, when};
use super::super::session::Session;
use super::super::stream;
use super::get::all;

/// Follow what happens.
#[derive(Debug, clap::Args)]
pub struct Events {
    /// Types such as run.failed, or families such as run
    #[arg(long = "type", value_name = "TYPE,…", value_delimiter = ',')]
    types: Vec<String>,
    /// Only of these jobs
    #[arg(long = "job", value_name = "NAME,…", value_delimiter = ',')]
    jobs: Vec<String>,
    /// Begin behind this event, such as 120.0, as -o name shows it
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    #[command(flatten)]
    output: As,
}

/// Show who did what.
#[derive(Debug, clap::Args)]
pub struct Audit {
    /// Only of this user
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only this deed, such as job.update
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only on this thing
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// From here on: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Up to here
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value = "50")]
    limit: usize,
    /// Check the chain of records instead; exits with 1 when it is broken
    #[arg(long)]
    verify: bool,
    /// Write all records instead, one JSON object a line, oldest first, with the chain of hashes
    #[arg(long, conflicts_with = "verify")]
    export: bool,
    #[command(flatten)]
    output: As,
}

impl Events {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (client, mut output) = (session.client()?, session.output(self.output));
        let list = |list: &[String]| (!list.is_empty()).then(|| list.join(","));
        let query = [
            ("types", list(&self.types)),
            ("jobs", list(&self.jobs)),
            ("after", self.after.clone()),
        ];
        let mut events = stream::Events::new(&client, with_query("/events", &query));
        events.connect().await?;
        if session.terminal.stderr {
            session.say("following; Ctrl-C ends it");
        }
        let mut first = matches!(output.format, Format::Table | Format::Wide);
        loop {
            let event = events.next().await?;
            match event.event.as_str() {
                "end" | "rights" => continue,
                "reset" => {
                    session.say("some events are gone; these are from now on");
                    continue;
                }
                _ => {}
            }
            let Ok(data) = serde_json::from_str::<Value>(&event.data) else { continue };
            output.at(crate::clock::now());
            if std::mem::take(&mut first) {
                output.one(&data, &columns::EVENTS)?;
            } else {
                output.row(&data, &columns::EVENTS)?;
            }
        }
    }
}

impl Audit {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        if self.verify {
            let verdict = client.fetch(Request::get("/audit/verify")).await?;
            if !matches!(output.format, Format::Table | Format::Wide) {
                output.one(&verdict, &columns::AUDIT)?;
            } else if verdict["intact"] == true {
                output::line(&format!("intact: {} records", verdict["records"]))?;
            }
            if verdict["intact"] != true {
                let detail = columns::field(&verdict, "/detail");
                let at = columns::field(&verdict, "/broken_at");
                return Err(Failure::new(Code::Failed, format!("broken at record {at}: {detail}"))
                    .advise("somebody changed the audit: compare the nodes and a backup"));
            }
            return Ok(0);
        }
        if self.export {
            let mut answer = client.open(&Request::get("/audit/export"), None).await?;
            if !answer.status().is_success() {
                let status = answer.status();
                let body = answer.bytes().await.unwrap_or_default();
                return Err(client.refusal(status, &body));
            }
            let broken = |error| Failure::failed(format!("it broke off: {}", reason(&error)));
            while let Some(part) = answer.chunk().await.map_err(broken)? {
                output::bytes(&part)?;
            }
            return Ok(0);
        }
        let time = |flag: &str, text: &Option<String>| {
            let at = text.as_ref().map(|text| when::parse(flag, text, output.now)).transpose();
            at.map(|at| at.map(|at| at.to_string()))
        };
        let query = [
            ("actor", self.actor.clone()),
            ("action", self.action.clone()),
            ("target", self.target.clone()),
            ("from", time("--since", &self.since)?),
            ("to", time("--until", &self.until)?),
        ];
        let answer = all(&client, &with_query("/audit", &query), self.limit).await?;
        output.list(&answer, &columns::AUDIT)?;
        Ok(0)
    }
}
