//! `monitor`: work that others run, and that is listened for.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Failure, Outcome};
use super::super::output::{As, columns};
use super::super::session::Session;
use super::get::{Definitions, all, empty};
use crate::model::Kind;

/// What to do with monitors.
#[derive(Debug, Subcommand)]
pub enum Monitor {
    /// List them
    #[command(visible_alias = "ls")]
    List(Definitions),
    /// Show the last pings of one
    ///
    /// Example: cronapi monitor pings nightly-dump
    Pings {
        /// Its name
        name: String,
        /// At most so many; 0: all
        #[arg(long, value_name = "N", default_value = "20")]
        limit: usize,
        #[command(flatten)]
        output: As,
    },
    /// Pause one: nobody is told of silence; the next ping resumes it
    ///
    /// Example: cronapi monitor pause nightly-dump
    Pause {
        /// Its name
        name: String,
    },
    /// Resume one: it waits for its first ping again
    Resume {
        /// Its name
        name: String,
    },
    /// Give one another key, and print where its pings go; the key before is refused from then on
    ///
    /// Example: cronapi monitor key nightly-dump
    Key {
        /// Its name
        name: String,
    },
}

impl Monitor {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Monitor::List(named) => return named.run(session, Kind::Monitor).await,
            Monitor::Pings { name, limit, output } => {
                let (client, output) = (session.client()?, session.output(output));
                let path = format!("/monitors/{}/pings", escaped(&name));
                let pings = all(&client, &path, limit).await?;
                output.list(&pings, &columns::PINGS)?;
                empty(session, &output, &pings, "no ping came yet");
            }
            Monitor::Pause { name } => told(session, &name, "pause").await?,
            Monitor::Resume { name } => told(session, &name, "resume").await?,
            Monitor::Key { name } => {
                let client = session.client()?;
                let answer = post(&client, &name, "key").await?;
                super::super::output::line(answer["ping_path"].as_str().unwrap_or_default())?;
            }
        }
        Ok(0)
    }
}

async fn post(client: &Client, name: &str, act: &str) -> Result<Value, Failure> {
    let path = format!("/monitors/{}/{act}", escaped(name));
    client.fetch(Request::new(Method::POST, path)).await
}

async fn told(session: &Session, name: &str, act: &str) -> Result<(), Failure> {
    let answer = post(&session.client()?, name, act).await?;
    let explanation = answer["explanation"].as_str().unwrap_or_default();
    session.say(format!("monitor {name}: {explanation}"));
    Ok(())
}
