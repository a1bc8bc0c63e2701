//! The log of a node, whatever holds its bytes: entries under consecutive indexes, and a few
//! named marks.
//!
//! [`LogDisk`] is all that a holder of the bytes has to do. There are three: the write-ahead log
//! (`wal`), a Kv in memory that loses what was not flushed, for simulation, and the Kv on disk of
//! directories that older versions made (`log_kv`), until they are moved (`log_home`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Error;

/// A named mark beside the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// The last vote.
    Vote,
    /// The last entry that was purged.
    Purged,
    /// The last entry known to be committed; may lag.
    Committed,
}

impl Mark {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Vote, Self::Purged, Self::Committed];
}

/// One write to the log.
#[derive(Clone, Debug)]
pub enum Write {
    /// Adds entries at the end.
    Append {
        /// Index and record of each, ascending.
        entries: Vec<(u64, Bytes)>,
    },
    /// Sets a mark.
    Mark(Mark, Bytes),
    /// Removes the entries from this index on.
    Truncate {
        /// The first to go.
        since: u64,
    },
    /// Forgets the entries up to this index; their bytes are removed later, bit by bit.
    Purge {
        /// The last to go.
        upto: u64,
        /// The purge mark.
        mark: Bytes,
    },
    /// Makes durable what came before, and ends the writer.
    Stop,
}

/// Holds the bytes of a log. One writer calls what changes it, in order; anyone reads meanwhile.
/// All calls may block on the disk.
pub trait LogDisk: Send + Sync + 'static {
    /// Makes a group of writes visible, in their order. They are durable after the next
    /// [`LogDisk::sync`]; a crash before it keeps all of a prefix of the groups.
    ///
    /// # Errors
    /// The disk failed. The log takes no more writes then.
    fn write(&self, group: Vec<Write>) -> Result<(), Error>;

    /// Returns once everything written before the call survives a power loss.
    ///
    /// # Errors
    /// The disk failed. It must not be tried again: the system may have dropped the pages it
    /// could not write, and would then report success.
    fn sync(&self) -> Result<(), Error>;

    /// The entries with `from <= index < to`, in order. Stops early once `bytes_max` is passed,
    /// but never before the first.
    ///
    /// # Errors
    /// The disk failed, or an entry is not what was written.
    fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<(u64, Bytes)>, Error>;

    /// A mark, or `None` when it was never set.
    ///
    /// # Errors
    /// The disk failed.
    fn mark(&self, mark: Mark) -> Result<Option<Bytes>, Error>;

    /// The index of the last entry, or `None` when there is no entry.
    ///
    /// # Errors
    /// The disk failed.
    fn last_index(&self) -> Result<Option<u64>, Error>;

    /// The entries up to this index were purged before the start: their bytes may go.
    fn purged_before(&self, upto: u64);

    /// Removes some of what was purged, between writes; says whether there is more.
    ///
    /// # Errors
    /// The disk failed.
    fn tidy(&self) -> Result<bool, Error>;

    /// Nothing was written for a while, or nothing will be: notes how far the log is durable, so
    /// that damage there can't be taken for an end that was cut off.
    ///
    /// # Errors
    /// The disk failed, as in [`LogDisk::sync`].
    fn settle(&self) -> Result<(), Error>;

    /// Bytes it takes on disk.
    fn bytes_on_disk(&self) -> u64;

    /// Checks that everything written is where it can be made durable.
    ///
    /// # Errors
    /// Something is in files that are never synced.
    fn health(&self) -> Result<(), Error>;

    /// Whether calls reach a disk, and so belong on a thread that may block.
    fn blocks(&self) -> bool;

    /// How long the next sync is made to take, where a simulation plays the disk.
    fn delay(&self) -> Option<Duration> {
        None
    }
}

/// A log that is shared by its writer and its readers. Cheap to clone.
pub type Log = Arc<dyn LogDisk>;
