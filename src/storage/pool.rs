//! A folder in which several nodes of one machine find their data directories by themselves.
//!
//! For nodes that are all started alike, such as the replicas of a container: nothing tells one
//! from another but which seat it takes.
//!
//! ```text
//! <pool>/  1/ 2/ …           data directories
//!          1.seat 2.seat …   held while a process uses the directory; the host that had it last
//! ```
//!
//! A node takes the seat that its host had before, else the first that is free. A system lock
//! holds it, so it is free as soon as its process is gone, however that ended. Whoever has seat
//! 1 may begin the cluster, unless a directory of the pool is of one: so a pool has one cluster,
//! begun once.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::directory;
use super::directory_error::DirectoryError;
use super::format_file::read_identity;
use super::ours::{self, CHOOSING_FILE};
use crate::model::limits::POOL_SEATS_MAX;

const CHOOSING_TRIES: u32 = 200;
const CHOOSING_PAUSE: Duration = Duration::from_millis(50);

/// A place in a pool, held until it is dropped.
#[derive(Debug)]
pub struct Seat {
    /// From 1.
    pub number: usize,
    /// Its data directory, which may not be there yet.
    pub data: PathBuf,
    /// Whether a data directory of the pool is of a cluster, or can't be read.
    pub formed: bool,
    _held: File,
}

impl Seat {
    /// Takes a seat for the node on `host`.
    ///
    /// # Errors
    /// The pool can't be written, or all of its seats are taken.
    pub fn take(pool: &Path, host: &str) -> Result<Self, DirectoryError> {
        directory::create(pool)?;
        ours::may_be_a_pool(pool)?;
        let _alone = alone(pool)?;
        let mut chosen: Option<(usize, File)> = None;
        for number in 1..=POOL_SEATS_MAX {
            let path = pool.join(format!("{number}.seat"));
            let new = !path.exists();
            if new && chosen.is_some() {
                break;
            }
            let Some(mut file) = lock(&path)? else { continue };
            let mut had = String::new();
            file.read_to_string(&mut had).map_err(|source| failed(&path, source))?;
            let own = had.trim() == host;
            if own || chosen.is_none() {
                chosen = Some((number, file));
            }
            if own || new {
                break;
            }
        }
        let Some((number, mut held)) = chosen else {
            return Err(DirectoryError::Full { path: pool.to_owned(), seats: POOL_SEATS_MAX });
        };
        let noted = held.set_len(0).and_then(|()| held.rewind());
        let noted = noted.and_then(|()| writeln!(held, "{host}"));
        noted.map_err(|source| failed(&pool.join(format!("{number}.seat")), source))?;
        let data = pool.join(number.to_string());
        Ok(Self { number, data, formed: formed(pool), _held: held })
    }
}

fn formed(pool: &Path) -> bool {
    (1..=POOL_SEATS_MAX).any(|number| {
        match read_identity(&pool.join(number.to_string())) {
            Ok(Some(identity)) => !identity.cluster_id.is_empty(),
            Ok(None) => false,
            // What can't be read may well be of one.
            Err(_) => true,
        }
    })
}

/// Waits for its turn to choose.
fn alone(pool: &Path) -> Result<File, DirectoryError> {
    let path = pool.join(CHOOSING_FILE);
    for _ in 0..CHOOSING_TRIES {
        if let Some(file) = lock(&path)? {
            return Ok(file);
        }
        thread::sleep(CHOOSING_PAUSE);
    }
    let holder = String::new();
    Err(DirectoryError::InUse { path, holder })
}

/// Locks a file, made if it is not there. None: another process has it.
fn lock(path: &Path) -> Result<Option<File>, DirectoryError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(|source| failed(path, source))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed(path, error.into())),
    }
}

fn failed(path: &Path, source: std::io::Error) -> DirectoryError {
    DirectoryError::Unwritable { path: path.to_owned(), source }
}
