//! What is done to a job: `pause`, `resume`, `delete`.

use serde_json::{Value, json};

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::As;
use super::super::output::columns;
use super::super::session::Session;
use super::get::closest;
use super::kinds::Thing;
use super::pick::{Several, jobs};
use crate::model::Kind;

/// Pause jobs, or resume them.
#[derive(Debug, clap::Args)]
pub struct Enable {
    /// The jobs
    #[arg(required_unless_present = "tag")]
    names: Vec<String>,
    /// And those with this tag; may be repeated: with all of them
    #[arg(short = 'l', long, value_name = "TAG")]
    tag: Vec<String>,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Check that it could be done, and don't
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: As,
}

/// Delete jobs.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// The jobs; or other definitions, such as queue/slow
    #[arg(required_unless_present = "tag")]
    names: Vec<String>,
    /// And the jobs with this tag; may be repeated: with all of them
    #[arg(short = 'l', long, value_name = "TAG")]
    tag: Vec<String>,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// Check that it could be done, and don't
    #[arg(long)]
    dry_run: bool,
}

impl Enable {
    pub(super) async fn run(self, session: &Session, verb: &str) -> Outcome {
        let client = session.client()?;
        let mut several = Several::default();
        for name in &jobs(&client, &self.names, &self.tag).await? {
            let path = format!("/jobs/{}/{verb}?dry_run={}", escaped(name), self.dry_run);
            let request = Request::post(path, &json!({ "reason": self.reason })).once()?;
            several.add(name, found(&client, name, client.fetch(request).await).await);
        }
        let output = session.output(self.output);
        match several.done.as_slice() {
            [] => {}
            [one] => output.one(one, &columns::JOBS)?,
            items => output.list(&json!({ "items": items }), &columns::JOBS)?,
        }
        several.end()
    }
}

impl Delete {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let names = jobs(&client, &self.names, &self.tag).await?;
        let things = names.iter().map(|name| Thing::parse(name));
        let things = things.collect::<Result<Vec<Thing>, Failure>>()?;
        let jobs = things.iter().filter(|thing| thing.kind == Kind::Job).count();
        let what = match things.as_slice() {
            [one] => one.told(),
            all if jobs == all.len() => format!("{jobs} jobs ({})", names.join(", ")),
            all => format!("{} definitions ({})", all.len(), names.join(", ")),
        };
        let runs = if jobs > 0 { " Open runs are cancelled." } else { "" };
        let question = format!("Delete {what}?{runs}");
        session.terminal.confirm(&question, self.yes || self.dry_run)?;
        let mut several = Several::default();
        for thing in &things {
            let (path, told) = (format!("{}?dry_run={}", thing.path(), self.dry_run), thing.told());
            let answer = client.send(Request::delete(path).once()?).await;
            let outcome = thing.found(&client, answer.map(|_| Value::Null)).await;
            if outcome.is_ok() {
                session.say(match self.dry_run {
                    true => format!("{told} could be deleted (dry run)"),
                    false => format!("{told} is deleted"),
                });
            }
            several.add(&thing.word(), outcome);
        }
        several.end()
    }
}

/// With names that may have been meant, when there is no such job.
pub(super) async fn found(
    client: &Client,
    name: &str,
    answer: Result<Value, Failure>,
) -> Result<Value, Failure> {
    match answer {
        Err(failure) if failure.code == Code::NotFound => Err(closest(client, name, failure).await),
        other => other,
    }
}
