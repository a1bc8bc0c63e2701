//! Durable bytes: a node's data directory, the log, the history and the checkpoints.
//!
//! Owns: what is on disk, when it is durable, and how damage is noticed. Does not own: what the
//! bytes mean (`wire`, `machine`), nor when a checkpoint is due (`consensus`).
//!
//! ```text
//! <data>/  LOCK     held while a process uses the directory
//!          FORMAT   version, cluster id, node id, checksum           <- format_file
//!          wal/         the log: entries, vote, marks                <- log_writer (one thread)
//!          log/         the same in one Kv, before format 5          <- log_home moves it
//!          state/       one Kv: history rows, large ones in chunks   <- history (write-behind)
//!          state.N/     the same, once it came from a leader         <- generations
//!          checkpoints/ the machine's memory, two newest kept        <- checkpoint
//! ```
//!
//! Invariants:
//! - Nothing is acknowledged before `LogDisk::sync` returned; after one failed flush nothing
//!   is acknowledged ever again and [`Fatal`] tells the node to stop.
//! - Log writes happen in the order they were asked for, by one writer.
//! - History is durable up to a checkpoint's index before that checkpoint is published, and the
//!   log is purged only up to the older of the two checkpoints kept (ADR 0005).
//! - Which history counts is said by the checkpoint that a node begins with; one that is received
//!   lies beside it until a checkpoint names it (ADR 0011).
//! - Damage is refused or moved aside, never deleted.
//! - Before a disk is full, output and then what is asked for have to wait ([`Pressure`]).
//!
//! To add a stored thing: give it a key prefix here, keep its values under the Kv's bound, and
//! say in this page who makes it durable. To add an engine: implement [`Kv`] in one file.

mod checkpoint;
mod directory;
mod directory_error;
mod draft;
mod fatal;
mod format_file;
mod frames;
mod generation;
mod generations;
mod history;
mod history_scan;
mod identities;
mod identity;
mod image;
mod kv;
mod log;
mod log_home;
mod log_kv;
mod log_writer;
mod memory;
mod memory_disk;
mod off_thread;
mod ours;
mod overlay;
mod pool;
mod rows;
mod sled;
mod source;
mod space;
mod wal;

pub use self::sled::{Profile, SledKv};
pub use checkpoint::{Checkpoints, Unpublished};
pub use directory::{DataDirectory, Held, NewDirectory};
pub use directory_error::DirectoryError;
pub use draft::Draft;
pub use fatal::Fatal;
pub use generation::Generation;
pub use generations::Generations;
pub use history::History;
pub use history_scan::Scan;
pub use identities::Identities;
pub use identity::{FORMAT, Identity};
pub use image::Image;
pub use kv::{Direction, Kv, Limits, Pair, Writes};
pub use log::{Log, LogDisk, Mark, Write};
pub use log_home::{IndexOf, Step, held, make_log, open_log};
pub use log_kv::KvLog;
pub use log_writer::{Done, LogWriter};
pub use memory::{Delay, MemoryKv};
pub use memory_disk::MemoryDisk;
pub use off_thread::off_thread;
pub use pool::Seat;
pub use source::Source;
pub use space::{Pressure, Room, Space};
pub use wal::Wal;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

/// The disk, or what is on it, failed. A node that meets one while writing must stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("{op} {path}: {source}", path = path.display())]
    File {
        /// What was attempted.
        op: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The storage engine failed.
    #[error("{op} failed in the storage engine: {reason}")]
    Engine {
        /// What was attempted.
        op: &'static str,
        /// What the engine said.
        reason: String,
    },
    /// Stored bytes are not what was written.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// What was read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key or a value is over the bound that keeps the engine safe: a bug in the caller.
    #[error("{what} of {bytes} bytes is over the bound of {limit}")]
    TooLarge {
        /// A key or a value.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// An earlier write failed, so nothing is acknowledged any more.
    #[error("storage stopped after an earlier failure")]
    Stopped,
}

impl Error {
    /// An [`Error::File`] for a failed operation on `path`.
    fn file(op: &'static str, path: &std::path::Path, source: io::Error) -> Self {
        Self::File { op, path: path.to_owned(), source }
    }
}
