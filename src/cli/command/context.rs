//! `context`: which servers there are.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::super::connection::{checked, unknown};
use super::super::exit::{Failure, Outcome};
use super::super::output::As;
use super::super::output::columns;
use super::super::session::Session;
use super::super::settings::Context as Stored;

/// What to do with contexts.
#[derive(Debug, Subcommand)]
pub enum Context {
    /// List them
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        output: As,
    },
    /// Use one from now on
    Use {
        /// Its name
        name: String,
    },
    /// Make or change one, with the servers in --server and the certificates in --ca
    ///
    /// Example: cronapi context set prod --server https://n1:8000,https://n2:8000 --ca ca.pem
    Set {
        /// Its name
        name: String,
    },
    /// Remove one, with its tokens
    #[command(visible_alias = "rm")]
    Delete {
        /// Its name
        name: String,
    },
}

impl Context {
    pub(super) fn run(self, session: &Session) -> Outcome {
        let mut contexts = session.settings.contexts()?;
        match self {
            Context::List { output } => {
                let mut items = Vec::new();
                for (name, context) in &contexts.contexts {
                    items.push(json!({
                        "name": name, "servers": context.servers, "user": context.user,
                        "ca": context.ca, "current": contexts.current.as_ref() == Some(name),
                        "logged_in": session.settings.tokens(name)?.is_some(),
                    }));
                }
                session.output(output).list(&json!({ "items": items }), &columns::CONTEXTS)?;
            }
            Context::Use { name } => {
                if !contexts.contexts.contains_key(&name) {
                    return Err(unknown(&name, contexts.contexts.keys()));
                }
                contexts.current = Some(name.clone());
                session.settings.save(&contexts)?;
                session.say(format!("context {name} is in use"));
            }
            Context::Set { name } => {
                let before = contexts.contexts.get(&name).cloned().unwrap_or_default();
                let servers = session.place.server.iter().map(|url| checked(url));
                let mut servers = servers.collect::<Result<Vec<_>, _>>()?;
                if servers.is_empty() {
                    servers = before.servers;
                }
                if servers.is_empty() {
                    return Err(Failure::usage("a context has servers; name them with --server"));
                }
                let ca = session.place.ca.clone().map(absolute).transpose()?.or(before.ca);
                contexts.contexts.insert(name.clone(), Stored { servers, ca, user: before.user });
                contexts.current.get_or_insert_with(|| name.clone());
                session.settings.save(&contexts)?;
                session.say(format!("context {name} is set"));
            }
            Context::Delete { name } => {
                if contexts.contexts.remove(&name).is_none() {
                    return Err(unknown(&name, contexts.contexts.keys()));
                }
                if contexts.current.as_ref() == Some(&name) {
                    contexts.current = None;
                }
                session.settings.keep(&name, None)?;
                session.settings.save(&contexts)?;
                session.say(format!("context {name} is gone, and its tokens"));
            }
        }
        Ok(0)
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|error| Failure::usage(format!("--ca {}: {error}", path.display())))
}
