//! What is done to a run: `cancel`, `retry`.

use serde_json::{Value, json};

use super::super::client::{Client, Request};
use super::super::exit::{Failure, Outcome};
use super::super::output::As;
use super::super::output::columns;
use super::super::session::Session;
use super::get::is_run;
use super::pick::{Several, is_part, run_id};

/// Cancel runs, or start them anew.
#[derive(Debug, clap::Args)]
pub struct Change {
    /// Ids of runs; the beginning of one is enough
    #[arg(required = true, value_name = "RUN")]
    ids: Vec<String>,
    /// Check that it could be done, and don't
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: As,
}

/// Start runs anew.
#[derive(Debug, clap::Args)]
pub struct Retry {
    #[command(flatten)]
    change: Change,
    /// Of a workflow: only the tasks that did not succeed, and what comes after them
    #[arg(long, conflicts_with = "from")]
    from_failed: bool,
    /// Of a workflow: only this task, and what comes after it; may be repeated
    #[arg(long, value_name = "TASK")]
    from: Vec<String>,
}

impl Retry {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let body = match (self.from_failed, self.from.is_empty()) {
            (true, _) => json!({"from": "failed"}),
            (false, false) => json!({ "from": self.from }),
            (false, true) => json!({}),
        };
        self.change.run(session, "retry", body).await
    }
}

impl Change {
    pub(super) async fn run(self, session: &Session, verb: &str, body: Value) -> Outcome {
        // What is no id at all is a slip of the hand: nothing is done then.
        if let Some(odd) = self.ids.iter().find(|id| !is_run(id) && !is_part(id)) {
            return Err(Failure::usage(format!("{odd} is not the id of a run"))
                .advise(format!("`cronapi runs {odd}` lists the runs of a job with their ids")));
        }
        let client = session.client()?;
        let mut several = Several::default();
        for word in &self.ids {
            several.add(word, self.one(&client, word, verb, &body).await);
        }
        let output = session.output(self.output);
        match several.done.as_slice() {
            [] => {}
            [one] => output.one(one, &columns::RUNS)?,
            items => output.list(&json!({ "items": items }), &columns::RUNS)?,
        }
        several.end()
    }

    async fn one(
        &self,
        client: &Client,
        word: &str,
        verb: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let id = run_id(client, word).await?;
        let path = format!("/runs/{id}/{verb}?dry_run={}", self.dry_run);
        client.fetch(Request::post(path, body).once()?).await
    }
}
