//! What submitting a command can lead to, other than its answer.

use super::types::NodeId;
use crate::machine::Answer;

/// A command that is durable and applied.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What the machine said; a rejection is an answer too.
    pub answer: Answer,
    /// The entry it is in: a node whose applied index is not below it has seen the command.
    pub index: u64,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// This node does not lead, or the cluster has no leader now. Not applied.
    #[error("this node does not lead the cluster")]
    NoLeader {
        /// The leader, if one is known.
        leader: Option<NodeId>,
    },
    /// The term the batch was decided in is over. Not applied.
    #[error("term {expected} is over, now it is {current}")]
    TermMoved {
        /// The term it was decided in.
        expected: u64,
        /// The term now.
        current: u64,
    },
    /// It was sent and no answer came: it may have been applied, or may yet be.
    #[error("no answer in time: the command may have been applied")]
    Unknown,
    /// Too many commands wait already. Not applied.
    #[error("too many commands are waiting")]
    Overloaded,
    /// The disk of the leader is nearly full. Not applied.
    #[error("the disk of the node that leads is nearly full")]
    NoRoom,
    /// The node is stopping, or has lost its storage. Not applied.
    #[error("the node is stopping")]
    Stopping,
    /// The command is over the bound on one entry. Not applied, and never will be.
    #[error("a command of {bytes} bytes is over the bound of {limit}")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// The command has no encoding, which only a bug can cause. Not applied.
    #[error("the command can't be encoded: {0}")]
    Encode(String),
}

impl SubmitError {
    /// Whether the same command may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::NoLeader { .. }
            | Self::Unknown
            | Self::Overloaded
            | Self::NoRoom
            | Self::Stopping => true,
            Self::TermMoved { .. } | Self::TooLarge { .. } | Self::Encode(_) => false,
        }
    }

    /// Whether the command may have been applied all the same.
    pub fn ambiguous(&self) -> bool {
        matches!(self, Self::Unknown)
    }
}
