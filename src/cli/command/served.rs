//! `sink` and `triggers`: what one node at a time does for the cluster, and how far it is.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Request, escaped};
use super::super::exit::{Failure, Outcome};
use super::super::output::As;
use super::super::session::Session;
use super::get::Definitions;
use super::kinds::columns_of;
use crate::model::Kind;

/// What to do with them.
#[derive(Debug, Subcommand)]
pub enum Served {
    /// List them
    #[command(visible_alias = "ls")]
    List(Definitions),
    /// Show how far one is, and what is in its way
    Status {
        /// Its name
        name: String,
        #[command(flatten)]
        output: As,
    },
    /// Have one stand still until it is resumed
    Pause {
        /// Its name
        name: String,
    },
    /// Have one go on from where it was
    Resume {
        /// Its name
        name: String,
    },
    /// Have one go on from elsewhere
    Rewind {
        /// Its name
        name: String,
        /// After this position, as its status tells it; without it from the oldest there is
        #[arg(long, value_name = "POSITION")]
        to: Option<String>,
    },
}

impl Served {
    pub(super) async fn run(self, session: &Session, kind: Kind) -> Outcome {
        let one = kind.as_str();
        match self {
            Served::List(named) => return named.run(session, kind).await,
            Served::Status { name, output } => {
                let path = format!("/{}/{}", kind.plural(), escaped(&name));
                let found = session.client()?.fetch(Request::get(path)).await?;
                session.output(output).one(&found, columns_of(kind))?;
            }
            Served::Pause { name } => {
                ask(session, kind, &name, "pause", json!({})).await?;
                session.say(format!("{one} {name} is paused"));
            }
            Served::Resume { name } => {
                ask(session, kind, &name, "resume", json!({})).await?;
                session.say(format!("{one} {name} goes on"));
            }
            Served::Rewind { name, to } => {
                let body = to.map_or_else(|| json!({}), |to| json!({ "position": to }));
                let moved = ask(session, kind, &name, "rewind", body).await?;
                let position = moved["position"].as_str().unwrap_or_default();
                session.say(format!("{one} {name} goes on after {position}"));
            }
        }
        Ok(0)
    }
}

async fn ask(
    session: &Session,
    kind: Kind,
    name: &str,
    what: &str,
    body: Value,
) -> Result<Value, Failure> {
    let path = format!("/{}/{}/{what}", kind.plural(), escaped(name));
    session.client()?.fetch(Request::new(Method::POST, path).json(&body)).await
}
