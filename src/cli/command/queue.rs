//! `queue`: how many runs of a queue may go on at a time.

use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::{self, As, Format, columns};
use super::super::session::Session;
use super::get::Definitions;
use crate::model::{Kind, Span};

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
    /// Show the fullest first, on a screen that renews itself; in a pipe, once
    Top {
        /// How often it is renewed
        #[arg(long, value_name = "DURATION", default_value = "1s")]
        every: String,
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

/// Queues that are shown.
const SHOWN_MAX: usize = 40;

async fn top(session: &Session, every: &str, shown: As) -> Outcome {
    let every = Span::parse(every).map_err(|why| Failure::usage(format!("--every: {why}")))?;
    let every = every.std().max(Duration::from_millis(200));
    let client = session.client()?;
    let renews = session.terminal.stdout && shown.format == Format::Table;
    loop {
        let mut page = client.fetch(Request::get("/queues?limit=1000&consistency=local")).await?;
        if let Some(queues) = page["items"].as_array_mut() {
            let weight = |queue: &Value| (queue["waiting"].as_u64(), queue["busy"].as_u64());
            queues.sort_by_key(|queue| std::cmp::Reverse(weight(queue)));
            queues.truncate(SHOWN_MAX);
        }
        if renews {
            // From the first line of an empty screen on.
            output::bytes(b"\x1b[H\x1b[2J")?;
        }
        session.output(shown).list(&page, &columns::QUEUES)?;
        if !renews {
            return Ok(0);
        }
        tokio::time::sleep(every).await;
    }
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
            Queue::Top { every, output } => return top(session, &every, output).await,
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
