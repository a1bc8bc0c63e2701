//! `login`, `logout`, `whoami`.

use serde_json::json;

use super::super::client::{Client, Request};
use super::super::connection::{checked, is_open};
use super::super::exit::{Failure, Outcome};
use super::super::output::As;
use super::super::output::columns::{self, field};
use super::super::session::{Session, variable};
use super::super::settings::{Context, Tokens};
use super::super::terminal::secret_from_stdin;

/// Log in and keep the tokens.
#[derive(Debug, clap::Args)]
pub struct Login {
    /// Who; default: asked for
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Read the password from standard input [env: CRONAPI_PASSWORD]
    #[arg(long)]
    password_stdin: bool,
    /// Read an API token (crn_…) from standard input instead
    #[arg(long, conflicts_with_all = ["user", "password_stdin"])]
    token_stdin: bool,
}

/// Forget the tokens of the context.
#[derive(Debug, clap::Args)]
pub struct Logout {
    /// End every session of the user on the server too, also those elsewhere
    #[arg(long)]
    everywhere: bool,
}

/// Show who is asking.
#[derive(Debug, clap::Args)]
pub struct Whoami {
    #[command(flatten)]
    output: As,
}

impl Login {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        // A context that is not there yet is made.
        let mut contexts = session.settings.contexts()?;
        let named = session.place.context.clone().or_else(|| variable("CRONAPI_CONTEXT"));
        let mut place = session.place.clone();
        if named.as_ref().is_some_and(|name| !contexts.contexts.contains_key(name)) {
            place.context = None;
        }
        let hidden = |name: &str| {
            variable(name).filter(|_| !matches!(name, "CRONAPI_TOKEN" | "CRONAPI_CONTEXT"))
        };
        let mut connection = place.connect(&session.settings, &hidden)?;
        let servers =
            connection.servers.iter().map(|url| checked(url)).collect::<Result<Vec<_>, _>>()?;
        if let Some(open) = servers.iter().find(|url| is_open(url)) {
            session.say(format!(
                "warning: {open} is not HTTPS: others on the way can read the password"
            ));
        }
        let known = contexts.contexts.iter().find(|(_, context)| context.servers == servers);
        let name = named.or_else(|| known.map(|(name, _)| name.clone()));
        let name = name.unwrap_or_else(|| name_of(&servers[0]));
        connection.tokens = None;
        let ca = connection.ca.clone();
        let client = Client::new(connection, &session.settings)?;
        let tokens = self.tokens(session, &client).await?;
        client.use_tokens(Some(tokens.clone()));
        let me = client.fetch(Request::get("/auth/me")).await?;
        let (user, role) = (field(&me, "/user"), field(&me, "/role"));
        session.settings.keep(&name, Some(tokens))?;
        let context = Context { servers, ca, user: Some(user.clone()) };
        let server = context.servers.join(", ");
        contexts.contexts.insert(name.clone(), context);
        contexts.current = Some(name.clone());
        session.settings.save(&contexts)?;
        session.say(format!("logged in to {server} as {user} ({role}); context {name} is in use"));
        Ok(0)
    }

    async fn tokens(&self, session: &Session, client: &Client) -> Result<Tokens, Failure> {
        if self.token_stdin {
            return Ok(Tokens { access: secret_from_stdin("the token")?, refresh: None });
        }
        let asks = session.terminal.asks();
        let user = match &self.user {
            Some(user) => user.clone(),
            None if asks => session.terminal.text("User:", "admin")?,
            None => return Err(Failure::usage("there is nobody to ask for the user; give --user")),
        };
        client.log_in(&user, &session.password(self.password_stdin)?).await
    }
}

/// A name for a context: host and port of its server.
fn name_of(server: &str) -> String {
    let bare = server.split("://").nth(1).unwrap_or(server);
    bare.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}

impl Logout {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let connection = session.connection()?;
        let Some(context) = connection.context.clone() else {
            return Err(Failure::usage("no context is in use; there is nothing to forget")
                .advise("a token in CRONAPI_TOKEN is forgotten with `unset CRONAPI_TOKEN`"));
        };
        if self.everywhere && connection.tokens.is_some() {
            let client = Client::new(connection, &session.settings)?;
            client.send(Request::post("/auth/logout", &json!({}))).await?;
        }
        let there = session.settings.keep(&context, None)?;
        session.say(match there {
            true => format!("logged out of context {context}"),
            false => format!("context {context} was not logged in"),
        });
        Ok(0)
    }
}

impl Whoami {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let me = session.client()?.fetch(Request::get("/auth/me")).await?;
        session.output(self.output).one(&me, &columns::ME)?;
        Ok(0)
    }
}
