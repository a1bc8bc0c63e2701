//! What is done to a job: `pause`, `resume`, `delete`.

use serde_json::{Value, json};

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::As;
use super::super::output::columns;
use super::super::session::Session;
use super::get::closest;

/// Pause jobs, or resume them.
#[derive(Debug, clap::Args)]
pub struct Enable {
    /// The jobs
    #[arg(required = true)]
    names: Vec<String>,
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
    #[arg(required = true)]
    names: Vec<String>,
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
        let mut items = Vec::new();
        for name in &self.names {
            let path = format!("/jobs/{}/{verb}?dry_run={}", escaped(name), self.dry_run);
            let request = Request::post(path, &json!({ "reason": self.reason })).once()?;
            items.push(found(&client, name, client.fetch(request).await).await?);
        }
        let answer = match items.as_slice() {
            [one] => {
                session.output(self.output).one(one, &columns::JOBS)?;
                return Ok(0);
            }
            several => json!({ "items": several }),
        };
        session.output(self.output).list(&answer, &columns::JOBS)?;
        Ok(0)
    }
}

impl Delete {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let what = match self.names.as_slice() {
            [one] => format!("job {one}"),
            several => format!("{} jobs ({})", several.len(), several.join(", ")),
        };
        let question = format!("Delete {what}? Open runs are cancelled.");
        session.terminal.confirm(&question, self.yes || self.dry_run)?;
        for name in &self.names {
            let path = format!("/jobs/{}?dry_run={}", escaped(name), self.dry_run);
            let answer = client.send(Request::delete(path).once()?).await;
            found(&client, name, answer.map(|_| Value::Null)).await?;
            session.say(match self.dry_run {
                true => format!("job {name} could be deleted (dry run)"),
                false => format!("job {name} is deleted"),
            });
        }
        Ok(0)
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
