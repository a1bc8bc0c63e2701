//! What is done to a run: `cancel`, `retry`.

use serde_json::json;

use super::super::client::Request;
use super::super::exit::{Failure, Outcome};
use super::super::output::As;
use super::super::output::columns;
use super::super::session::Session;
use super::get::is_run;

/// Cancel runs, or start them anew.
#[derive(Debug, clap::Args)]
pub struct Change {
    /// Ids of runs
    #[arg(required = true, value_name = "RUN")]
    ids: Vec<String>,
    /// Check that it could be done, and don't
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: As,
}

impl Change {
    pub(super) async fn run(self, session: &Session, verb: &str) -> Outcome {
        if let Some(odd) = self.ids.iter().find(|id| !is_run(id)) {
            return Err(Failure::usage(format!("{odd} is not the id of a run"))
                .advise(format!("`cronapi runs {odd}` lists the runs of a job with their ids")));
        }
        let client = session.client()?;
        let mut items = Vec::new();
        for id in &self.ids {
            let path = format!("/runs/{id}/{verb}?dry_run={}", self.dry_run);
            items.push(client.fetch(Request::post(path, &json!({})).once()?).await?);
        }
        let output = session.output(self.output);
        match items.as_slice() {
            [one] => output.one(one, &columns::RUNS)?,
            several => output.list(&json!({ "items": several }), &columns::RUNS)?,
        }
        Ok(0)
    }
}
