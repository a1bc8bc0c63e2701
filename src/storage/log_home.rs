//! Which log a data directory has, and the move from the one that older versions kept.
//!
//! Directories from before format 5 hold their log in `log/`, in the storage engine. They keep it
//! there as long as an older program may be started on them again, which is until the format of
//! their cluster is 5. At the next start after that it is moved to `wal/`:
//!
//! ```text
//! wal.unfinished/ is written and synced ─> renamed to wal/ ─> FORMAT says "wal" ─> log/ goes
//! ```
//!
//! `FORMAT` alone decides. Until it says so, `log/` is the log, whatever else lies there, and the
//! move begins anew; from then on it is `wal/`, which must be there. A new directory is made in the
//! same way, from nothing.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::Error;
use super::directory::{DataDirectory, NewDirectory};
use super::directory_error::DirectoryError;
use super::identity::Identity;
use super::log::{Log, LogDisk, Mark, Write};
use super::log_kv::KvLog;
use super::sled::{Profile, SledKv, sync_directory};
use super::wal::Wal;

/// Programs that read this format know the write-ahead log.
const FORMAT_OF_WAL: u32 = 5;
/// Bytes of entries that are moved at a time.
const MOVE_BYTES: usize = 4 * 1024 * 1024;

const OLD: &str = "log";
const NEW: &str = "wal";
const UNFINISHED: &str = "wal.unfinished";

/// Reads the index of an entry from the bytes of a mark.
pub type IndexOf = fn(Bytes) -> Result<u64, String>;

/// A step of the move, when it is done. What is there after each is a whole log, old or new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The place for the new log is made.
    Begun,
    /// Some entries are written.
    Copied,
    /// Everything is written and synced.
    Synced,
    /// The new log has its name.
    Named,
    /// `FORMAT` says that it holds.
    Noted,
    /// The old one is gone.
    Removed,
}

/// Opens the log of a directory, after moving it if that is due. `step` is told of each step.
///
/// # Errors
/// The log is damaged, or the disk failed.
pub fn open_log(
    directory: &mut DataDirectory,
    index_of: IndexOf,
    step: &dyn Fn(Step),
) -> Result<Log, Error> {
    let (root, identity) = (directory.join(""), directory.identity().clone());
    let lock = directory.lock();
    let due = !identity.wal && identity.format >= FORMAT_OF_WAL;
    let held = held(&root, &identity, Arc::clone(&lock))?;
    let old = match held {
        Some(log) if !due => {
            if identity.wal {
                remove(&root.join(OLD))?;
            }
            remove(&root.join(UNFINISHED))?;
            return Ok(log);
        }
        other => other,
    };
    // What an earlier try left: nothing refers to it.
    remove(&root.join(UNFINISHED))?;
    remove(&root.join(NEW))?;
    let wal = Wal::create(&root.join(UNFINISHED), identity.node_id, Arc::clone(&lock))?;
    step(Step::Begun);
    if let Some(old) = old {
        copy(&old, &wal, index_of, step)?;
    }
    finish(&root, wal)?;
    step(Step::Named);
    let noted = directory.change(|identity| {
        identity.wal = true;
        identity.format = identity.format.max(FORMAT_OF_WAL);
    });
    noted.map_err(not_noted)?;
    step(Step::Noted);
    if root.join(OLD).exists() {
        remove(&root.join(OLD))?;
        step(Step::Removed);
        tracing::info!("the log was moved to wal/");
    }
    Ok(Arc::new(Wal::open(&root.join(NEW), identity.node_id, lock)?))
}

/// Opens the log that `FORMAT` names; none: the directory is new.
///
/// # Errors
/// The log is damaged or missing, or the disk failed.
pub fn held(
    root: &Path,
    identity: &Identity,
    lock: Arc<dyn Send + Sync>,
) -> Result<Option<Log>, Error> {
    let (old, new) = (root.join(OLD), root.join(NEW));
    let missing = |path: &Path| {
        let reason = "it is missing, and the log is in it".to_owned();
        Err(Error::Damaged { what: path.display().to_string(), reason })
    };
    if identity.wal {
        if !new.exists() {
            return missing(&new);
        }
        return Ok(Some(Arc::new(Wal::open(&new, identity.node_id, lock)?)));
    }
    if old.exists() {
        let kv = SledKv::open(&old, Profile::Log, lock)?;
        return Ok(Some(KvLog::over(Arc::new(kv))));
    }
    // They are made after the log.
    let used = ["state", "checkpoints"].iter().any(|name| root.join(name).exists());
    if used { missing(&old) } else { Ok(None) }
}

/// Makes the log of a directory that is being made, with `writes` in it.
///
/// # Errors
/// The disk failed.
pub fn make_log(
    directory: &NewDirectory,
    identity: &mut Identity,
    writes: Vec<Write>,
) -> Result<(), Error> {
    let root = directory.join("");
    let wal = Wal::create(&root.join(UNFINISHED), identity.node_id, directory.lock())?;
    wal.write(writes)?;
    finish(&root, wal)?;
    identity.wal = true;
    identity.format = identity.format.max(FORMAT_OF_WAL);
    Ok(())
}

/// Copies everything that the old log still needs.
fn copy(old: &Log, wal: &Wal, index_of: IndexOf, step: &dyn Fn(Step)) -> Result<(), Error> {
    let mut marks = Vec::new();
    let mut next = 0;
    for mark in Mark::ALL {
        let Some(bytes) = old.mark(mark)? else { continue };
        if mark == Mark::Purged {
            let upto = index_of(bytes.clone()).map_err(|reason| Error::Damaged {
                what: "the log's purge mark".to_owned(),
                reason,
            })?;
            next = upto + 1;
            marks.push(Write::Purge { upto, mark: bytes });
        } else {
            marks.push(Write::Mark(mark, bytes));
        }
    }
    wal.write(marks)?;
    loop {
        let entries = old.read(next, u64::MAX, MOVE_BYTES)?;
        let Some((last, _)) = entries.last() else { break };
        next = last + 1;
        wal.write(vec![Write::Append { entries }])?;
        step(Step::Copied);
    }
    wal.sync()?;
    step(Step::Synced);
    Ok(())
}

/// Makes a new log durable, and gives it its name.
fn finish(root: &Path, wal: Wal) -> Result<(), Error> {
    wal.sync()?;
    wal.settle()?;
    drop(wal);
    let (unfinished, new) = (root.join(UNFINISHED), root.join(NEW));
    sync_directory(&unfinished)?;
    fs::rename(&unfinished, &new).map_err(|e| Error::file("rename", &unfinished, e))?;
    sync_directory(root)
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
        _ => Ok(()),
    }
}

fn not_noted(error: DirectoryError) -> Error {
    match error {
        DirectoryError::Unwritable { path, source } => Error::File { op: "write", path, source },
        other => Error::Engine { op: "note the log", reason: other.to_string() },
    }
}
