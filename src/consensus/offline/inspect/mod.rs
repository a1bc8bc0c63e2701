//! Looks at a data directory that no node uses, and says everything that is wrong with it.
//!
//! Owns: what is looked at, and what is told about it. Does not own: what a start makes of a
//! directory (`recovery`), which is asked.
//!
//! Nothing in the directory is changed: the storage engine writes when it opens its files, and
//! cuts off what it can't read, so it is given copies. What a start would do is done with these
//! copies, by the same code.
//!
//! To add a check: in `outside` when nothing need be opened, else in `walk`; then plant the fault
//! in tests/backup/doctor.rs.

mod copy;
mod walk;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::consensus::log_store::LogStore;
use crate::consensus::purge_guard::PurgeGuard;
use crate::consensus::{recovery, snapshot};
use crate::machine::{State, invariants};
use crate::storage::{
    self, Checkpoints, DataDirectory, DirectoryError, Fatal, Generations, Held, Identity, Space,
};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A node would not start, or would be without something.
    pub grave: bool,
    /// Where.
    pub file: PathBuf,
    /// What.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// Whose directory it is, when that can be read.
    pub identity: Option<Identity>,
    /// Index of the last entry in the log.
    pub last_log: u64,
    /// Index of the newest checkpoint that can be read.
    pub checkpoint: u64,
    /// Entries of the log that were read.
    pub entries: u64,
    /// Rows of the history that were read.
    pub rows: u64,
    /// Jobs in the state, after the log.
    pub jobs: u64,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

const RESTORE: &str = "if the cluster has other nodes: remove this one, move the directory aside \
                       and start the node anew, it is sent everything; if not: restore a backup";

impl Inspected {
    fn fault(&mut self, grave: bool, file: &Path, what: impl ToString, advice: &str) {
        let (what, advice) = (what.to_string(), advice.to_owned());
        self.faults.push(Fault { grave, file: file.to_owned(), what, advice });
    }

    fn grave(&mut self, file: &Path, what: impl ToString) {
        self.fault(true, file, what, RESTORE);
    }

    /// Whether a node can start on it and lacks nothing.
    pub fn is_sound(&self) -> bool {
        !self.faults.iter().any(|fault| fault.grave)
    }
}

/// Looks at the directory `path`, with copies in `scratch`, which is removed afterwards.
///
/// # Errors
/// Nothing could be looked at: the directory is in use, or is none, or there is no room for
/// copies.
pub async fn inspect(path: &Path, scratch: &Path) -> Result<Inspected, DirectoryError> {
    let held = DataDirectory::hold(path)?;
    let mut found = Inspected::default();
    outside(path, &mut found);
    let format = path.join("FORMAT");
    if !format.exists() {
        let what = "it is missing: no node has used the directory, or a restore was cut short";
        let advice = "after a restore that was cut short: empty the directory, restore again";
        found.fault(true, &format, what, advice);
        return Ok(found);
    }
    match DataDirectory::look(path) {
        Ok(identity) => found.identity = identity,
        Err(error) => {
            let advice = "start the version that wrote it; or restore a backup";
            found.fault(true, &format, error, advice);
            return Ok(found);
        }
    }
    copy::all(path, scratch)?;
    let end = copy::Removed(scratch.to_owned());
    let newest = checkpoints(path, &mut found);
    inside(path, scratch, newest, held, &mut found).await;
    drop(end);
    Ok(found)
}

/// What can be seen without opening anything.
fn outside(path: &Path, found: &mut Inspected) {
    if let Ok(mode) = fs::metadata(path).map(|about| about.permissions().mode())
        && mode & 0o077 != 0
    {
        let mode = mode & 0o777;
        let what = format!("others may read it (mode {mode:o}): it holds password hashes");
        found.fault(false, path, what, "chmod 700");
    }
    if let Ok(space) = Space::of(path.to_owned())
        && let room = space.room()
        && room.free < room.output_below()
    {
        let mib = room.free / (1024 * 1024);
        let what = format!("the disk has {mib} MiB left: a node keeps no output then");
        found.fault(false, path, what, "make room, or give the node a larger disk");
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = [
            "LOCK",
            "FORMAT",
            "wal",
            "wal.unfinished",
            "log",
            "checkpoints",
            "state",
            "lost+found",
            "results",
        ];
        let ours = known.contains(&name.as_str())
            || name == "FORMAT.unfinished"
            || name == "write-probe"
            || name.strip_prefix("state.").is_some();
        if !ours {
            found.fault(false, &entry.path(), "it is not of CronAPI", "move it elsewhere");
        }
        let blobs = fs::read_dir(entry.path().join("blobs"));
        let count = blobs.map(Iterator::count).unwrap_or_default();
        if count > 0 {
            let what = format!("{count} files that the engine does not sync by itself");
            let advice = "nothing by hand: a node syncs them, and says so in its log";
            found.fault(false, &entry.path().join("blobs"), what, advice);
        }
    }
}

/// Reads every checkpoint; gives the newest that can be.
fn checkpoints(path: &Path, found: &mut Inspected) -> Option<State> {
    let directory = path.join("checkpoints");
    let listed = Checkpoints::open(&directory).and_then(|checkpoints| checkpoints.list());
    let listed = match listed {
        Ok(listed) => listed,
        Err(error) => {
            found.grave(&directory, error);
            return None;
        }
    };
    let mut newest: Option<State> = None;
    let some = listed.len();
    for (name, source) in listed {
        let file = directory.join(format!("{name}.checkpoint"));
        match snapshot::read(&source) {
            Ok((head, state)) => {
                for broken in invariants::check(&state) {
                    found.grave(&file, format!("its state is not in order: {broken}"));
                }
                if newest.is_none() {
                    found.checkpoint = head.meta.last_log_id.map_or(0, |id| id.index);
                    newest = Some(state);
                }
            }
            Err(error) => {
                let advice = match some {
                    1 => RESTORE,
                    _ => "nothing, if nothing else is named: a start uses the other and the log",
                };
                found.fault(some == 1, &file, error, advice);
            }
        }
    }
    for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".damaged") {
            let advice = "it was set aside at an earlier start and is not used; remove it";
            found.fault(false, &entry.path(), "a damaged checkpoint", advice);
        }
    }
    newest
}

/// Opens the copies as a start would, and reads everything in them.
async fn inside(
    path: &Path,
    scratch: &Path,
    newest: Option<State>,
    held: Held,
    found: &mut Inspected,
) {
    let lock = held.lock();
    let Some(identity) = found.identity.clone() else { return };
    let file = path.join(if identity.wal { "wal" } else { "log" });
    let log = match storage::held(scratch, &identity, Arc::clone(&lock)) {
        Ok(Some(log)) => log,
        Ok(None) => return,
        Err(error) => return found.grave(&file, copy::told(&error, scratch, path)),
    };
    let entries = walk::log(&log, &file, found);
    let store = LogStore::open(log, PurgeGuard::upto(0), Fatal::default());
    let store = match store {
        Ok(store) => store,
        Err(error) => return found.grave(&file, copy::told(&error, scratch, path)),
    };
    let parts = Checkpoints::open(&scratch.join("checkpoints"))
        .and_then(|checkpoints| Ok((checkpoints, Generations::on_disk(scratch, lock)?)));
    let (checkpoints, generations) = match parts {
        Ok(parts) => parts,
        Err(error) => return found.grave(path, error),
    };
    match recovery::recover(&checkpoints, &store, &generations, Fatal::default()).await {
        Ok((recovered, history)) => {
            let name = format!("state{}", recovered.suffix());
            walk::rows(&history.generation(), &path.join(name), found);
        }
        Err(error) => found.grave(path, copy::told(&error, scratch, path)),
    }
    if let Some(entries) = entries {
        walk::replay(newest.unwrap_or_default(), &entries, &file, found);
    }
    let _ = store.stop().await;
}
