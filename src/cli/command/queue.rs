//! `queue`: how many runs of a queue may go on at a time.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::super::client::{Request, escaped};
use super::super::exit::{Code, Outcome};
use super::super::output::{As, columns};
use super::super::session::Session;
use super::get::Definitions;
use crate::model::Kind;

/// What to do with queues.
#[derive(Debug, Subcommand)]
pub enum Queue {
    /// List those that have a limit or runs in them
    #[command(visible_alias = "ls")]
    List(Definitions),
    /// Set the limit of one
    ///
    /// Example: cronapi queue set slow 2
    Set {
        /// Its name
        name: String,
        /// Runs at a time
        limit: u32,
        #[command(flatten)]
        output: As,
    },
    /// Start nothing of one until it is resumed; what runs goes on
    Pause {
        /// Its name
        name: String,
    },
    /// Start what waits in one again
    Resume {
        /// Its name
        name: String,
    },
    /// Take the limit of one away
    Unset {
        /// Its name
        name: String,
    },
}

impl Queue {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let path = |name: &str| format!("/queues/{}", escaped(name));
        match self {
            Queue::List(named) => {
                return named.run(session, Kind::Queue).await;
            }
            Queue::Set { name, limit, output } => {
                let body = json!({ "concurrency": limit });
                let client = session.client()?;
                // Its other rules stay as they are.
                let patch = Request::new(Method::PATCH, path(&name)).json(&body).repeatable();
                let queue = match client.fetch(patch).await {
                    Err(failure) if failure.code == Code::NotFound => {
                        let put = Request::new(Method::PUT, path(&name)).json(&body).repeatable();
                        client.fetch(put).await?
                    }
                    done => done?,
                };
                session.output(output).one(&queue, &columns::QUEUES)?;
            }
            Queue::Pause { name } => {
                let patch =
                    Request::new(Method::PATCH, path(&name)).json(&json!({ "paused": true }));
                session.client()?.send(patch.repeatable()).await?;
                session
                    .say(format!("queue {name} is paused; `cronapi queue resume {name}` goes on"));
            }
            Queue::Resume { name } => {
                let patch =
                    Request::new(Method::PATCH, path(&name)).json(&json!({ "paused": false }));
                session.client()?.send(patch.repeatable()).await?;
                session.say(format!("queue {name} goes on"));
            }
            Queue::Unset { name } => {
                session.client()?.send(Request::delete(path(&name))).await?;
                session.say(format!("queue {name} has no limit any more"));
            }
        }
        Ok(0)
    }
}
