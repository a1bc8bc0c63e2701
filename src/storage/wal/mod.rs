//! The write-ahead log: one append and one `fdatasync` a group of writes (ADR 0022).
//!
//! ```text
//! wal/ 0000000000000001.log  a segment: a header, then groups, then zeros     <- segment, frame
//!      0000000000000002.log  the next: its header says where the one before ended
//!      synced                how far everything is durable, in two slots      <- synced
//! group: length, number, how far all was durable when it was written, the checksum of the group
//!        before, checksums of its own header and body; then records           <- frame, record
//! ```
//!
//! Owns: the bytes, their order, and which damage is told apart from an end that was cut off.
//! Does not own: what entries and marks mean, nor when to write (`log_writer`).
//!
//! Invariants:
//! - A group is written where the last one ended, and synced before anyone hears of it. Nothing
//!   that was written is written over: a truncation is a record too.
//! - **A torn end is cut, damage is refused** (`scan`). What can't be read at the end was being
//!   written when the power went, unless something proves that it was synced: a later group, the
//!   next segment, or `synced`, which is written after a quiet moment, with each new segment, and
//!   at each start and stop. What is so proven is refused, with file and offset; nothing is cut.
//! - A segment begins with all marks, so that the ones before it can go once their entries are
//!   purged. They go one by one, the oldest first.
//! - A segment gets its name when it is durable; so one that can't be read is damaged, never new.
//!
//! To add a kind of record: in `record`, with the next number; older programs refuse it, so it
//! needs a newer format (ADR 0017).

mod frame;
mod index;
mod log;
mod record;
mod scan;
mod segment;
mod synced;

pub use log::Wal;

use std::path::{Path, PathBuf};

use super::Error;

/// Damage at a place of a file.
fn damaged(path: &Path, offset: u64, reason: impl Into<String>) -> Error {
    let what = format!("{} at byte {offset}", path.display());
    Error::Damaged { what, reason: reason.into() }
}

/// Damage of a whole file.
fn damaged_file(path: &Path, reason: impl Into<String>) -> Error {
    Error::Damaged { what: path.display().to_string(), reason: reason.into() }
}

fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016}.log"))
}

#[cfg(test)]
mod tests;
