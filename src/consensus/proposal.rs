//! What is proposed for the log: by whoever serves a request, at whichever node. One way in for
//! all of it, `Handle::submit`; what the leader itself decided in its term goes in as a batch,
//! `Handle::propose`.

use serde::{Deserialize, Serialize};

use crate::machine::Command;
use crate::machine::command::RequestKey;
use crate::machine::prepare::Intent;
use crate::model::Actor;

/// What is to be put into the log.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// To be prepared by the leader: only its clock counts.
    Intent(Intended),
    /// A command that lacks nothing but its time.
    Command(Command),
}

/// An intent, who has it, and the key of the request that it came with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Intended {
    /// What is to become of what.
    pub intent: Intent,
    /// None: the cluster itself.
    pub actor: Option<Actor>,
    /// A repeat under the same key is answered, not carried out.
    pub request: Option<RequestKey>,
}

impl Intended {
    /// All of it.
    pub fn new(intent: Intent, actor: Option<Actor>, request: Option<RequestKey>) -> Self {
        Intended { intent, actor, request }
    }
}

impl Proposal {
    /// Whether it is what somebody wants, and does not say who.
    pub(super) fn is_anonymous(&self) -> bool {
        match self {
            Proposal::Intent(Intended { intent, actor, .. }) => {
                actor.is_none() && intent.needs_actor()
            }
            Proposal::Command(command) => command.actor.is_none() && command.op.needs_actor(),
        }
    }
}

impl From<Command> for Proposal {
    fn from(command: Command) -> Self {
        Proposal::Command(command)
    }
}

impl From<Intended> for Proposal {
    fn from(intended: Intended) -> Self {
        Proposal::Intent(intended)
    }
}
