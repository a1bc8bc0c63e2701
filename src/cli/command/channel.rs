//! `channel`: how people are told.

use clap::Subcommand;
use reqwest::Method;

use super::super::client::{Request, escaped};
use super::super::exit::{Failure, Outcome};
use super::super::session::Session;
use super::get::Definitions;
use crate::model::Kind;

/// What to do with channels.
#[derive(Debug, Subcommand)]
pub enum Channel {
    /// List them
    #[command(visible_alias = "ls")]
    List(Definitions),
    /// Send a test to one; exits with 1 when it was not taken
    ///
    /// Example: cronapi channel test on-call
    Test {
        /// Its name
        name: String,
    },
}

impl Channel {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Channel::List(named) => named.run(session, Kind::Channel).await,
            Channel::Test { name } => {
                let path = format!("/channels/{}/test", escaped(&name));
                let client = session.client()?;
                let tested = client.fetch(Request::new(Method::POST, path)).await?;
                let detail = tested["detail"].as_str().unwrap_or_default();
                let took = tested["latency_ms"].as_u64().unwrap_or_default();
                if tested["ok"] != true {
                    let text = format!("channel {name} did not take the test: {detail}");
                    return Err(Failure::failed(text));
                }
                session.say(format!("channel {name} took the test after {took} ms: {detail}"));
                Ok(0)
            }
        }
    }
}
