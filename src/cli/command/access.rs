//! `user`, `token`, `key`: who may.

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{self, field};
use super::super::output::{self, As, Format};
use super::super::session::{Session, variable};
use super::super::terminal::secret_from_stdin;
use super::get::{Named, is_run};

/// What somebody may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Role {
    /// Read
    Viewer,
    /// And start runs
    Runner,
    /// And write definitions
    Operator,
    /// Everything
    Admin,
}

/// The jobs that a role counts for.
#[derive(Debug, clap::Args)]
pub struct Scope {
    /// Only jobs of these names; * stands for any text
    #[arg(long = "jobs", value_name = "PATTERN,…", value_delimiter = ',')]
    jobs: Vec<String>,
    /// Only jobs with these tags
    #[arg(long = "tags", value_name = "TAG,…", value_delimiter = ',')]
    tags: Vec<String>,
}

/// What to do with users.
#[derive(Debug, Subcommand)]
pub enum User {
    /// List them
    #[command(visible_alias = "ls")]
    List(Named),
    /// Create one; the password is asked for
    ///
    /// Example: cronapi user create ann --role operator --jobs 'etl-*'
    Create {
        /// Its name
        name: String,
        /// What it may do
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        scope: Scope,
        /// Read the password from standard input [env: CRONAPI_NEW_PASSWORD]
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        output: As,
    },
    /// Change what one may do
    Role {
        /// Its name
        name: String,
        /// What it may do
        role: Role,
        #[command(flatten)]
        scope: Scope,
    },
    /// Set the password of one; every session of it ends
    Password {
        /// Its name
        name: String,
        /// Read the password from standard input [env: CRONAPI_NEW_PASSWORD]
        #[arg(long)]
        password_stdin: bool,
    },
    /// End every session of one
    Revoke {
        /// Its name
        name: String,
        /// Delete its API tokens too
        #[arg(long)]
        api_tokens: bool,
    },
    /// Delete one, with its tokens
    #[command(visible_alias = "rm")]
    Delete {
        /// Its name
        name: String,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// What to do with API tokens.
#[derive(Debug, Subcommand)]
pub enum Token {
    /// List your own; for an admin, those of everybody
    #[command(visible_alias = "ls")]
    List(Named),
    /// Create one; it is shown once
    ///
    /// Example: cronapi token create ci --role runner --jobs 'etl-*' --expires-in 90d
    Create {
        /// A name to know it by
        name: String,
        /// What it may do, at most what you may [default: what you may]
        #[arg(long)]
        role: Option<Role>,
        #[command(flatten)]
        scope: Scope,
        /// When it ends, such as 90d [default: never]
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<String>,
        #[command(flatten)]
        output: As,
    },
    /// Delete one
    #[command(visible_aliases = ["rm", "revoke"])]
    Delete {
        /// Its id, or its name if no other has it
        id: String,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// What to do with the keys that sign access tokens.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// List those whose tokens are taken, the one that signs last
    #[command(visible_alias = "ls")]
    List(Named),
    /// Put a new one in the place of the one that signs
    Rotate {
        /// End every session, your own too: for a key that somebody else may know
        #[arg(long)]
        revoke: bool,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
}

impl Role {
    fn json(self) -> Value {
        let name = match self {
            Role::Viewer => "viewer",
            Role::Runner => "runner",
            Role::Operator => "operator",
            Role::Admin => "admin",
        };
        json!(name)
    }
}

impl Scope {
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.tags.is_empty()
    }

    pub(super) fn json(&self) -> Value {
        json!({ "jobs": self.jobs, "tags": self.tags })
    }
}

fn new_password(session: &Session, stdin: bool) -> Result<String, Failure> {
    if stdin {
        return secret_from_stdin("the password");
    }
    if let Some(password) = variable("CRONAPI_NEW_PASSWORD") {
        return Ok(password);
    }
    if session.terminal.asks() {
        return session.terminal.secret("New password:", true);
    }
    Err(Failure::usage("there is nobody to ask for the password")
        .advise("give it with --password-stdin or in CRONAPI_NEW_PASSWORD"))
}

impl User {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let path = |name: &str, rest: &str| format!("/users/{}{rest}", escaped(name));
        match self {
            User::List(named) => {
                return named.run(session, "/users", "name", &columns::USERS).await;
            }
            User::Create { name, role, scope, password_stdin, output } => {
                let client = session.client()?;
                let password = new_password(session, password_stdin)?;
                let body = json!({ "name": name, "password": password, "role": role.json(),
                    "scope": scope.json() });
                let user = client.fetch(Request::post("/users", &body)).await?;
                session.output(output).one(&user, &columns::USERS)?;
            }
            User::Role { name, role, scope } => {
                let body = json!({ "role": role.json(), "scope": scope.json() });
                let request = Request::new(Method::PUT, path(&name, "/role")).json(&body);
                let user = session.client()?.fetch(request.repeatable()).await?;
                session.output(As::default()).one(&user, &columns::USERS)?;
            }
            User::Password { name, password_stdin } => {
                let client = session.client()?;
                let body = json!({ "password": new_password(session, password_stdin)? });
                let request = Request::new(Method::PUT, path(&name, "/password")).json(&body);
                client.send(request).await?;
                session.say(format!("the password of {name} is set; its sessions have ended"));
            }
            User::Revoke { name, api_tokens } => {
                let path = path(&name, &format!("/revoke?api_tokens={api_tokens}"));
                session.client()?.send(Request::post(path, &json!({}))).await?;
                session.say(format!("the sessions of {name} have ended"));
            }
            User::Delete { name, yes } => {
                let client = session.client()?;
                let question = format!("Delete user {name} with its tokens?");
                session.terminal.confirm(&question, yes)?;
                client.send(Request::delete(path(&name, ""))).await?;
                session.say(format!("user {name} is deleted"));
            }
        }
        Ok(0)
    }
}

impl Token {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Token::List(named) => {
                return named.run(session, "/tokens", "id", &columns::TOKENS).await;
            }
            Token::Create { name, role, scope, expires_in, output } => {
                let mut body = json!({ "name": name, "scope": scope.json() });
                if let Some(role) = role {
                    body["role"] = role.json();
                }
                if let Some(span) = expires_in {
                    body["expires_in"] = json!(span);
                }
                let token = session.client()?.fetch(Request::post("/tokens", &body)).await?;
                if matches!(output.format, Format::Table | Format::Wide) {
                    let id = field(&token, "/id");
                    session.say(format!("token {id}; it is shown now and never again:"));
                    output::line(&field(&token, "/token"))?;
                } else {
                    session.output(output).one(&token, &columns::TOKENS)?;
                }
            }
            Token::Delete { id, yes } => {
                let client = session.client()?;
                let id = token_id(&client, id).await?;
                let question = format!("Delete token {id}? Programs that use it are refused then.");
                session.terminal.confirm(&question, yes)?;
                client.send(Request::delete(format!("/tokens/{}", escaped(&id)))).await?;
                session.say(format!("token {id} is deleted"));
            }
        }
        Ok(0)
    }
}

/// The id of a token, which may be given by its name.
async fn token_id(client: &Client, word: String) -> Result<String, Failure> {
    if is_run(&word) {
        return Ok(word);
    }
    let tokens = client.fetch(Request::get("/tokens")).await?;
    let all = tokens["items"].as_array().into_iter().flatten();
    let named = all.filter(|token| token["name"] == *word);
    let ids: Vec<String> = named.map(|token| field(token, "/id")).collect();
    match ids.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(Code::NotFound, format!("no token has the id or the name {word}"))
            .advise("`cronapi token list` lists them")),
        several => {
            let text = format!("{} tokens have the name {word}: give the id", several.len());
            Err(Failure::usage(text).advise(several.join(", ")))
        }
    }
}

impl Key {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Key::List(named) => {
                return named.run(session, "/auth/keys", "id", &columns::KEYS).await;
            }
            Key::Rotate { revoke, yes } => {
                let client = session.client()?;
                if revoke {
                    let question = "End every session of everybody?";
                    session.terminal.confirm(question, yes)?;
                }
                let body = json!({ "revoke": revoke });
                client.send(Request::post("/auth/keys/rotate", &body)).await?;
                session.say(match revoke {
                    true => "a new key signs; every session has ended",
                    false => "a new key signs; tokens of the one before are good until they end",
                });
            }
        }
        Ok(0)
    }
}
