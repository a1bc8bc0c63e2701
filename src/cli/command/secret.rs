//! `secret`: values that jobs name and nobody reads.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::super::client::{Request, escaped};
use super::super::exit::{Failure, Outcome};
use super::super::output::As;
use super::super::output::columns;
use super::super::session::Session;
use super::super::terminal::secret_from_stdin;
use super::access::Scope;
use super::get::Named;

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum Secret {
    /// List them, without their values
    #[command(visible_alias = "ls")]
    List(Named),
    /// Give one a value, which is asked for; nobody is shown it again
    ///
    /// Example: cronapi secret set warehouse --jobs 'etl-*' --value-stdin < value.txt
    Set {
        /// Its name
        name: String,
        #[command(flatten)]
        scope: Scope,
        /// Every job may use it
        #[arg(long, conflicts_with_all = ["jobs", "tags"])]
        all_jobs: bool,
        /// Read the value from standard input
        #[arg(long)]
        value_stdin: bool,
        #[command(flatten)]
        output: As,
    },
    /// Delete one; jobs that name it fail from their next attempt on
    #[command(visible_alias = "rm")]
    Delete {
        /// Its name
        name: String,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Encrypt all of them with a new key
    Rotate,
}

impl Secret {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let path = |name: &str| format!("/secrets/{}", escaped(name));
        match self {
            Secret::List(named) => {
                return named.run(session, "/secrets", "name", &columns::SECRETS).await;
            }
            Secret::Set { name, scope, all_jobs, value_stdin, output } => {
                if scope.is_empty() && !all_jobs {
                    return Err(Failure::usage("say which jobs may use it")
                        .advise("with --jobs, --tags or --all-jobs"));
                }
                let client = session.client()?;
                let value = if value_stdin {
                    secret_from_stdin("the value")?
                } else if session.terminal.asks() {
                    session.terminal.secret("Value:", true)?
                } else {
                    let text = "there is nobody to ask for the value";
                    return Err(Failure::usage(text).advise("give it with --value-stdin"));
                };
                let body = json!({ "value": value, "scope": scope.json() });
                let request = Request::new(Method::PUT, path(&name)).json(&body).once()?;
                let secret = client.fetch(request).await?;
                session.output(output).one(&secret, &columns::SECRETS)?;
            }
            Secret::Delete { name, yes } => {
                let client = session.client()?;
                let question = format!("Delete secret {name}? Jobs that name it fail then.");
                session.terminal.confirm(&question, yes)?;
                client.send(Request::delete(path(&name)).once()?).await?;
                session.say(format!("secret {name} is deleted"));
            }
            Secret::Rotate => {
                let request = Request::post("/secrets/rotate", &json!({}));
                let answer = session.client()?.fetch(request).await?;
                session.say(format!("{} secrets are encrypted with a new key", answer["resealed"]));
            }
        }
        Ok(0)
    }
}
