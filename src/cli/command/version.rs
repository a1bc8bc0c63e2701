//! `version`: of this program, and of the node that it asks.

use serde_json::json;

use super::super::client::Request;
use super::super::exit::Outcome;
use super::super::output::columns::field;
use super::super::output::{self, As, Format, columns};
use super::super::session::Session;

/// Show the versions of this program and of the node that is asked.
#[derive(Debug, clap::Args)]
pub struct Version {
    #[command(flatten)]
    output: As,
}

impl Version {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let own = env!("CARGO_PKG_VERSION");
        let asked = async {
            session.client()?.fetch(Request::get("/system/status?consistency=local")).await
        };
        let node = asked.await;
        let output = session.output(self.output);
        if matches!(output.format, Format::Table | Format::Wide) {
            output::line(&format!("cronapi {own}"))?;
            match &node {
                Ok(status) => output::line(&format!("node    {}", field(status, "/version")))?,
                Err(failure) => session.say(format!("the node's is not known: {failure}")),
            }
            return Ok(0);
        }
        let node = node.map(|status| status["version"].clone()).unwrap_or_default();
        output.one(&json!({ "program": own, "node": node }), &columns::NODES)?;
        Ok(0)
    }
}
