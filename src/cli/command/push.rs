//! `push`: the browsers that are told when no page is open. They subscribe on the page.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{self, field};
use super::super::session::Session;
use super::get::Named;

/// What to do with the browsers that are told.
#[derive(Debug, Subcommand)]
pub enum Push {
    /// List your own; they subscribe on the page, under Settings
    #[command(visible_alias = "ls")]
    List(Named),
    /// Send a test to one; exits with 1 when it was not taken
    ///
    /// Example: cronapi push test phone
    Test {
        /// Its id, or its label if no other has it
        id: String,
    },
    /// Have one told no more
    #[command(visible_alias = "rm")]
    Delete {
        /// Its id, or its label if no other has it
        id: String,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
}

impl Push {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Push::List(named) => {
                named.run(session, "/push/subscriptions", "label", &columns::PUSHES).await
            }
            Push::Test { id } => {
                let client = session.client()?;
                let one = found(&client, &id).await?;
                let path = format!("/push/subscriptions/{}/test", escaped(&field(&one, "/id")));
                let tested = client.fetch(Request::new(Method::POST, path)).await?;
                let detail = tested["detail"].as_str().unwrap_or_default();
                if tested["ok"] != true {
                    return Err(Failure::failed(format!("{id} was not told: {detail}")));
                }
                let took = tested["latency_ms"].as_u64().unwrap_or_default();
                session.say(format!("{id}: {detail}, after {took} ms"));
                Ok(0)
            }
            Push::Delete { id, yes } => {
                let client = session.client()?;
                let one = found(&client, &id).await?;
                let label = field(&one, "/label");
                session.terminal.confirm(&format!("Have {label} told no more?"), yes)?;
                let path = format!("/push/subscriptions/{}", escaped(&field(&one, "/id")));
                client.send(Request::delete(path)).await?;
                session.say(format!("{label} is told no more"));
                Ok(0)
            }
        }
    }
}

/// The one of that id, or of that label.
async fn found(client: &Client, word: &str) -> Result<Value, Failure> {
    let list = client.fetch(Request::get("/push/subscriptions")).await?;
    let all = list["items"].as_array().into_iter().flatten();
    let named: Vec<&Value> = all.filter(|it| it["id"] == word || it["label"] == word).collect();
    match named.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Failure::new(Code::NotFound, format!("no browser of yours is called {word}"))
            .advise("`cronapi push list` lists them")),
        several => {
            let text = format!("{} browsers are called {word}: give the id", several.len());
            let ids: Vec<String> = several.iter().map(|it| field(it, "/id")).collect();
            Err(Failure::usage(text).advise(ids.join(", ")))
        }
    }
}
