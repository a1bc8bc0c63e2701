//! What is done to a job: `pause`, `resume`, `delete`.

use serde_json::{Value, json};

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::As;
use super::super::output::columns;
use super::super::session::Session;
use super::get::closest;
use super::pick::{Several, jobs};

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
    /// The jobs
    #[arg(required_unless_present = "tag")]
    names: Vec<String>,
    /// And those with this tag; may be repeated: with all of them
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
        let what = match names.as_slice() {
            [one] => format!("job {one}"),
            several => format!("{} jobs ({})", several.len(), several.join(", ")),
        };
        let question = format!("Delete {what}? Open runs are cancelled.");
        session.terminal.confirm(&question, self.yes || self.dry_run)?;
        let mut several = Several::default();
        for name in &names {
            let path = format!("/jobs/{}?dry_run={}", escaped(name), self.dry_run);
            let answer = client.send(Request::delete(path).once()?).await;
            let outcome = found(&client, name, answer.map(|_| Value::Null)).await;
            if outcome.is_ok() {
                session.say(match self.dry_run {
                    true => format!("job {name} could be deleted (dry run)"),
                    false => format!("job {name} is deleted"),
                });
            }
            several.add(name, outcome);
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
