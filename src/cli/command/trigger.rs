//! `triggers`: what starts runs from outside.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Request, escaped};
use super::super::exit::{Failure, Outcome};
use super::super::output::{As, columns};
use super::super::session::Session;
use super::get::Definitions;
use crate::model::Kind;

/// What to do with triggers.
#[derive(Debug, Subcommand)]
pub enum Trigger {
    /// List them
    #[command(visible_alias = "ls")]
    List(Definitions),
    /// Show how far one is, and what is in its way
    ///
    /// Example: cronapi triggers status orders
    Status {
        /// Its name
        name: String,
        #[command(flatten)]
        output: As,
    },
    /// Read nothing until it is resumed
    Pause {
        /// Its name
        name: String,
    },
    /// Read one again, from where it was
    Resume {
        /// Its name
        name: String,
    },
    /// Read one from elsewhere: entries again, or past some
    ///
    /// Example: cronapi triggers rewind orders --to 1767225600000-0
    Rewind {
        /// Its name
        name: String,
        /// After the entry of this id; without it from the oldest entry on
        #[arg(long, value_name = "ID")]
        to: Option<String>,
    },
}

impl Trigger {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Trigger::List(named) => named.run(session, Kind::Trigger).await,
            Trigger::Status { name, output } => {
                let path = format!("/triggers/{}", escaped(&name));
                let trigger = session.client()?.fetch(Request::get(path)).await?;
                session.output(output).one(&trigger, &columns::TRIGGERS)?;
                Ok(0)
            }
            Trigger::Pause { name } => {
                ask(session, &name, "pause", json!({})).await?;
                session.say(format!("trigger {name} is paused"));
                Ok(0)
            }
            Trigger::Resume { name } => {
                ask(session, &name, "resume", json!({})).await?;
                session.say(format!("trigger {name} goes on"));
                Ok(0)
            }
            Trigger::Rewind { name, to } => {
                let body = to.map_or_else(|| json!({}), |to| json!({ "position": to }));
                let trigger = ask(session, &name, "rewind", body).await?;
                let position = trigger["position"].as_str().unwrap_or_default();
                session.say(format!("trigger {name} is read after {position}"));
                Ok(0)
            }
        }
    }
}

async fn ask(session: &Session, name: &str, what: &str, body: Value) -> Result<Value, Failure> {
    let path = format!("/triggers/{}/{what}", escaped(name));
    session.client()?.fetch(Request::new(Method::POST, path).json(&body)).await
}
