//! Kinds of definitions as words of the command line: `get queues`, `delete queue/slow`.

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};
use serde_json::{Value, json};

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure};
use super::super::output::{Columns, columns};
use super::jobs;
use crate::model::Kind;

/// A subcommand for every kind but jobs, each with the same arguments.
#[derive(Clone, Debug)]
pub struct OfKind<T> {
    pub(super) kind: Kind,
    pub(super) args: T,
}

impl<T: FromArgMatches> FromArgMatches for OfKind<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let missing = || Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (word, matches) = matches.subcommand().ok_or_else(missing)?;
        let kind = Kind::called(word).ok_or_else(missing)?;
        Ok(OfKind { kind, args: T::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<T: Args> Subcommand for OfKind<T> {
    fn augment_subcommands(mut command: Command) -> Command {
        for kind in Kind::plain() {
            let mut own = Command::new(kind.plural()).about(kind.text());
            // Settings are many as it is.
            if kind.as_str() != kind.plural() {
                own = own.visible_alias(kind.as_str());
            }
            command = command.subcommand(T::augment_args(own));
        }
        command
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Kind::plain().any(|kind| Kind::called(name) == Some(kind))
    }
}

/// A definition that a word names: `backup` is a job, `queue/slow` a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    pub(super) name: String,
}

impl Thing {
    /// Reads a word.
    pub(super) fn parse(word: &str) -> Result<Thing, Failure> {
        let Some((kind, name)) = word.split_once('/') else {
            return Ok(Thing { kind: Kind::Job, name: word.to_owned() });
        };
        let Some(kind) = Kind::called(kind) else {
            let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
            let advice = format!("before the / stands one of {}", all.join(", "));
            let text = format!("{kind:?} is no kind of definition");
            return Err(Failure::usage(text).advise(advice));
        };
        Ok(Thing { kind, name: name.to_owned() })
    }

    /// Where it stands in the interface.
    pub(super) fn path(&self) -> String {
        format!("/{}/{}", self.kind.plural(), escaped(&self.name))
    }

    /// What a person calls it, such as `job backup`.
    pub(super) fn told(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.name)
    }

    /// What the command line calls it.
    pub(super) fn word(&self) -> String {
        match self.kind {
            Kind::Job => self.name.clone(),
            kind => format!("{}/{}", kind.as_str(), self.name),
        }
    }

    /// The answer about it; where there is none, with what may have been meant.
    pub(super) async fn found(
        &self,
        client: &Client,
        answer: Result<Value, Failure>,
    ) -> Result<Value, Failure> {
        match answer {
            Err(failure) if self.kind != Kind::Job && failure.code == Code::NotFound => {
                let list = self.kind.plural();
                Err(failure.advise(format!("`cronapi get {list}` lists those that there are")))
            }
            answer if self.kind == Kind::Job => jobs::found(client, &self.name, answer).await,
            answer => answer,
        }
    }

    /// What the cluster has of it.
    pub(super) async fn get(&self, client: &Client) -> Result<Value, Failure> {
        let answer = client.fetch(Request::get(self.path())).await;
        let answer = self.found(client, answer).await?;
        Ok(with_kind(self.kind, answer))
    }
}

/// An answer that says of which kind it is, so that it can be applied again.
pub(super) fn with_kind(kind: Kind, answer: Value) -> Value {
    match answer {
        Value::Object(fields) if kind != Kind::Job => {
            let mut all = serde_json::Map::new();
            all.insert("kind".to_owned(), json!(kind.as_str()));
            all.extend(fields);
            Value::Object(all)
        }
        other => other,
    }
}

/// How a list of a kind is shown.
pub(super) fn columns_of(kind: Kind) -> &'static Columns {
    match kind {
        Kind::Job => &columns::JOBS,
        Kind::Queue => &columns::QUEUES,
        Kind::Channel => &columns::CHANNELS,
        Kind::Sink => &columns::SINKS,
        Kind::Trigger => &columns::TRIGGERS,
        Kind::Monitor => &columns::MONITORS,
        Kind::Window => &columns::WINDOWS,
        #[allow(unreachable_patterns, reason = "a kind without columns of its own")]
        _ => &columns::DEFINITIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_names_a_job_or_says_its_kind() {
        let job = Thing { kind: Kind::Job, name: "queue".to_owned() };
        assert_eq!(Thing::parse("queue").unwrap(), job);
        for word in ["queue/slow", "queues/slow"] {
            let thing = Thing::parse(word).unwrap();
            assert_eq!((thing.path(), thing.word()), ("/queues/slow".into(), "queue/slow".into()));
        }
        assert_eq!(Thing::parse("job/a").unwrap().word(), "a");
        assert!(Thing::parse("pod/a").is_err());
    }
}
