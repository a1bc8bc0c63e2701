//! `rollback`: a definition as it was in an earlier version.

use reqwest::Method;
use serde_json::{Map, Value};

use super::super::client::{Client, Request};
use super::super::definitions;
use super::super::exit::{Code, Failure, Outcome};
use super::super::output;
use super::super::session::Session;
use super::diff::unified;
use super::get::all;
use super::kinds::Thing;
use crate::model::Kind;

/// Make a definition what it was.
#[derive(Debug, clap::Args)]
pub struct Rollback {
    /// The job; or another definition, such as queue/slow
    name: String,
    /// The version to go back to [default: the last one with another definition]
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
}

impl Rollback {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let thing = Thing::parse(&self.name)?;
        let (path, told) = (thing.path(), thing.told());
        let (job, etag) = match client.send(Request::get(&path)).await {
            Ok(answer) => (answer.json()?, answer.etag()),
            Err(failure) => return thing.found(&client, Err(failure)).await.map(|_| 0),
        };
        let before = definitions::of_answer(thing.kind, &job);
        let (version, after) = self.earlier(&client, &thing, &before).await?;
        if after == before {
            session.say(format!("{told} is as it was in version {version}"));
            return Ok(0);
        }
        let color = session.terminal.color();
        output::text(&unified(&self.name, &before, &after, color)?)?;
        if self.dry_run {
            return Ok(0);
        }
        let question = format!("Make {told} what it was in version {version}?");
        session.terminal.confirm(&question, self.yes || !session.terminal.asks())?;
        let request = Request::new(Method::PUT, path).json(&Value::Object(after));
        let request = request.header("if-match", etag.unwrap_or_else(|| "*".to_owned())).once()?;
        let job = client.fetch(request).await?;
        session
            .say(format!("{told} is version {}, as it was in version {version}", job["version"]));
        Ok(0)
    }

    /// The definition to go back to. A pause is somebody's act, no part of it.
    async fn earlier(
        &self,
        client: &Client,
        thing: &Thing,
        present: &Map<String, Value>,
    ) -> Result<(u64, Map<String, Value>), Failure> {
        let versions = all(client, &format!("{}/versions", thing.path()), 0).await?;
        for item in versions["items"].as_array().into_iter().flatten() {
            let Some(version) = item["version"].as_u64() else { continue };
            let mut definition = item["definition"].as_object().cloned().unwrap_or_default();
            match present.get("enabled") {
                _ if thing.kind != Kind::Job => None,
                Some(enabled) => definition.insert("enabled".to_owned(), enabled.clone()),
                None => definition.shift_remove("enabled"),
            };
            let wanted = match self.to {
                Some(to) => version == to,
                None => definition != *present,
            };
            if wanted {
                return Ok((version, definition));
            }
        }
        let text = match self.to {
            Some(to) => format!("{} has no version {to} that is kept", thing.told()),
            None => format!("{} has had no other definition that is kept", thing.told()),
        };
        Err(Failure::new(Code::NotFound, text)
            .advise(format!("`cronapi get versions {}` lists them", self.name)))
    }
}
