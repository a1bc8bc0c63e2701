//! A checkpoint on its way from one node to another, and the history that goes with it (ADR 0011).
//!
//! Owns: what is sent, in which order and pieces, and how it becomes durable where it arrives.
//! Does not own: the connection (`rpc`), nor when a checkpoint is sent or believed (the library).
//!
//! ```text
//! Outgoing: head ─> checkpoint, in pieces ─> rows, in messages ─> end: how much it was
//! Incoming:         a draft                  generation N         │ all checked, all durable,
//!                                            beside the live one  │ nothing published
//! StateMachine::install: publish the checkpoint, which names N <──┘
//!                        switch the history to N, remove the generation before
//! ```
//!
//! Rows are sent while the sender goes on writing them. That is right for every kind of row:
//! - All rows up to the checkpoint's index are durable before the checkpoint exists, and they are
//!   read in the order of their keys, so none that stays is missed.
//! - A row of a later entry may come along or not. The receiver applies that entry itself and
//!   writes the same row under the same key: `apply` sees nothing but the state and the entry, and
//!   what is packed (`a`, `f`, `o`) is packed by entry and keyed by counters of the state.
//! - A row that a later entry removes may come along or not: the receiver applies the removal
//!   too, and removing what is not there changes nothing.
//! - A row that later entries write, remove and write again ends as the last of them leaves it,
//!   whatever was sent, because the receiver applies all of them, in order.
//! - Whole rows are sent and not the pieces they are stored in, so that a row which is removed
//!   while it is read leaves no piece behind.
//!
//! Until a receiver has caught up, its readers may meet a row of an entry that its state has not
//! come to: a run that is in the history already and still open in the state.
//!
//! To add something to what is sent: a variant of `InstallPart`, the step in `send` that makes it,
//! the arm in `receiving` that takes it, and its count at the end.

mod receive;
mod receiving;
mod send;

pub use receive::Transfers;
pub use send::Outgoing;

use super::carried::{Carried, Received};
use super::types::{Snapshot, SnapshotMeta, Vote};
use crate::storage;
use crate::wire;

/// Bytes in one message, of a checkpoint or of rows. Only a single row may be larger.
const PART_BYTES: usize = 1024 * 1024;

/// Why a transfer ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was received is not what is sent.
    #[error("a transfer that is not as it should be: {0}")]
    Malformed(String),
    /// Another transfer was begun.
    #[error("another transfer took the place of this one")]
    Replaced,
    /// What was received can't be stored, or what was read is damaged.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

fn malformed(reason: &str) -> Error {
    Error::Malformed(reason.to_owned())
}

/// What is to be installed. A snapshot that another machine of this process built is carried over
/// first, as between nodes.
pub(super) async fn received(
    meta: &SnapshotMeta,
    carried: Carried,
    transfers: &Transfers,
) -> Result<Received, Error> {
    let (checkpoint, history) = match carried {
        Carried::Received(received) => return Ok(*received),
        Carried::Own { checkpoint, history } => (checkpoint, history),
    };
    let own = Box::new(Carried::Own { checkpoint, history });
    let mut outgoing =
        Outgoing::new(&Vote::default(), Snapshot { meta: meta.clone(), snapshot: own })?;
    let mut incoming = transfers.begin();
    while let Some(part) = outgoing.next().await? {
        incoming.take(part).await?;
    }
    match *incoming.finish().await?.1.snapshot {
        Carried::Received(received) => Ok(*received),
        Carried::Own { .. } => Err(malformed("it did not go anywhere")),
    }
}
