//! The bytes that are stored and sent: messages, and the version each one begins with.
//!
//! Owns: the protobuf messages of `proto/`, the version byte before every stored record, and the
//! encoding of a batch of commands. Does not own: where bytes are kept (`storage`), nor the
//! consensus library's types (`consensus` converts them, so its layout is never ours).
//!
//! Flow: `Command` -> MessagePack with named fields -> `Batch` message -> `Entry` message
//! -> version byte + message = one record of the log.
//!
//! Invariants:
//! - Formats only grow: fields are added, numbers never reused.
//! - What can't be decoded is an error the caller must stop at. Skipping a command would let this
//!   node's state part from the others'.
//!
//! To add a record: a message in `proto/cronapi/v1/`, then `seal` and `open` it; add a golden
//! file with its bytes.

mod batch;
mod record;

pub use batch::{Batch, EncodedCommand};
pub use record::{open, seal};

/// The generated protobuf messages.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/cronapi.v1.rs"));
}

/// Bytes that this version of the program can't read or write.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record was empty.
    #[error("an empty record")]
    Empty,
    /// The record was written by a newer version of the program.
    #[error("the {what} has format {found}, and this version reads up to {newest}")]
    Version {
        /// Which kind of record.
        what: &'static str,
        /// The format it has.
        found: u32,
        /// The newest format this program reads.
        newest: u32,
    },
    /// The record is not a valid message.
    #[error("a malformed record: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A command could not be decoded: it is damaged, or of a newer version.
    #[error("command {position} of a batch can't be read: {source}")]
    Command {
        /// Its place in the batch, from 0.
        position: usize,
        /// What the decoder said.
        source: rmp_serde::decode::Error,
    },
    /// A command could not be encoded.
    #[error("a command can't be written: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
    /// A field that must be present was absent.
    #[error("a record without its {0}")]
    Missing(&'static str),
}
