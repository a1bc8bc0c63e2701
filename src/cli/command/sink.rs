//! `sink`: where events go.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Request, escaped};
use super::super::exit::{Failure, Outcome};
use super::super::output::{As, columns};
use super::super::session::Session;
use super::get::Definitions;
use crate::model::Kind;

/// What to do with sinks.
#[derive(Debug, Subcommand)]
pub enum Sink {
    /// List them
    #[command(visible_alias = "ls")]
    List(Definitions),
    /// Show how far one is, and what is in its way
    ///
    /// Example: cronapi sink status audit
    Status {
        /// Its name
        name: String,
        #[command(flatten)]
        output: As,
    },
    /// Write nothing to one until it is resumed
    Pause {
        /// Its name
        name: String,
    },
    /// Write to one again, from where it was
    Resume {
        /// Its name
        name: String,
    },
    /// Write events to one again, as far as they are kept
    ///
    /// Example: cronapi sink rewind audit --to 1204-3
    Rewind {
        /// Its name
        name: String,
        /// After this position; without it from the oldest event on that is kept
        #[arg(long, value_name = "POSITION")]
        to: Option<String>,
    },
}

impl Sink {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Sink::List(named) => named.run(session, Kind::Sink).await,
            Sink::Status { name, output } => {
                let path = format!("/sinks/{}", escaped(&name));
                let sink = session.client()?.fetch(Request::get(path)).await?;
                session.output(output).one(&sink, &columns::SINKS)?;
                Ok(0)
            }
            Sink::Pause { name } => {
                ask(session, &name, "pause", json!({})).await?;
                session.say(format!("sink {name} is paused"));
                Ok(0)
            }
            Sink::Resume { name } => {
                ask(session, &name, "resume", json!({})).await?;
                session.say(format!("sink {name} goes on"));
                Ok(0)
            }
            Sink::Rewind { name, to } => {
                let body = to.map_or_else(|| json!({}), |to| json!({ "position": to }));
                let sink = ask(session, &name, "rewind", body).await?;
                let position = sink["position"].as_str().unwrap_or_default();
                session.say(format!("sink {name} is written again after {position}"));
                Ok(0)
            }
        }
    }
}

async fn ask(session: &Session, name: &str, what: &str, body: Value) -> Result<Value, Failure> {
    let path = format!("/sinks/{}/{what}", escaped(name));
    session.client()?.fetch(Request::new(Method::POST, path).json(&body)).await
}
