//! `incident`: say that somebody knows of one; `notice`: send one again.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::super::client::{Request, with_query};
use super::super::exit::Outcome;
use super::super::output::{As, columns};
use super::super::session::Session;
use super::get::{all, empty};

/// What to do with incidents.
#[derive(Debug, Subcommand)]
pub enum Incident {
    /// Say that one is known: it is not told again, its end is
    ///
    /// Example: cronapi incident ack 3
    #[command(visible_alias = "acknowledge")]
    Ack {
        /// Its number
        id: u64,
    },
}

/// What to do with notices.
#[derive(Debug, Subcommand)]
pub enum Notice {
    /// Send one that waits, is held, or was given up
    ///
    /// Example: cronapi notice retry 17
    Retry {
        /// Its number
        seq: u64,
    },
}

/// Incidents, or one of them.
#[derive(Debug, clap::Args)]
pub struct Incidents {
    /// One of them
    id: Option<u64>,
    /// Those that are over, in place of those that go on
    #[arg(long)]
    resolved: bool,
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value = "50")]
    limit: usize,
    #[command(flatten)]
    output: As,
}

/// Notices.
#[derive(Debug, clap::Args)]
pub struct Notices {
    /// pending, sent, dead or muted
    #[arg(long, value_name = "STATE", default_value = "pending")]
    state: String,
    /// To this channel
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value = "50")]
    limit: usize,
    #[command(flatten)]
    output: As,
}

impl Incidents {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        if let Some(id) = self.id {
            let item = client.fetch(Request::get(format!("/incidents/{id}"))).await?;
            output.one(&item, &columns::INCIDENTS)?;
            return Ok(0);
        }
        let state = if self.resolved { "resolved" } else { "open" };
        let path = with_query("/incidents", &[("state", Some(state.to_owned()))]);
        let answer = all(&client, &path, self.limit).await?;
        output.list(&answer, &columns::INCIDENTS)?;
        empty(session, &output, &answer, "there is none");
        Ok(0)
    }
}

impl Notices {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        let query = [("state", Some(self.state)), ("channel", self.channel)];
        let answer = all(&client, &with_query("/notices", &query), self.limit).await?;
        output.list(&answer, &columns::NOTICES)?;
        empty(session, &output, &answer, "there is none");
        Ok(0)
    }
}

impl Incident {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let Incident::Ack { id } = self;
        let path = format!("/incidents/{id}/acknowledge");
        let incident: Value =
            session.client()?.fetch(Request::new(Method::POST, path).repeatable()).await?;
        let by = incident["acknowledged_by"].as_str().unwrap_or_default();
        session
            .say(format!("incident {id} is known to {by}: it is not told again until it is over"));
        Ok(0)
    }
}

impl Notice {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let Notice::Retry { seq } = self;
        let path = format!("/notices/{seq}/retry");
        let notice: Value =
            session.client()?.fetch(Request::new(Method::POST, path).repeatable()).await?;
        let channel = notice["channel"].as_str().unwrap_or_default();
        session.say(format!("notice {seq} goes to {channel} again"));
        Ok(0)
    }
}
