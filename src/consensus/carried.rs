//! What the consensus library carries as a snapshot from one place to another.

use crate::machine::State;
use crate::storage::{Generation, History, Source, Unpublished};

/// What the library carries as a snapshot.
pub enum Carried {
    /// A checkpoint of this node; its rows are those of the live history.
    Own {
        /// The checkpoint.
        checkpoint: Source,
        /// The history.
        history: History,
    },
    /// What came from another node.
    Received(Box<Received>),
}

/// A checkpoint and its history, whole, checked and durable here. Dropped, they are gone; what is
/// left to do is publishing the one and keeping the other.
pub struct Received {
    pub(super) checkpoint: Unpublished,
    pub(super) state: State,
    pub(super) generation: Generation,
}
