//! A node's data directory: who uses it, whose it is, and what to do when it can't be used.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::format_file::{read_identity, write_identity};
use super::sled::sync_directory;
use super::{Error, ours};
use crate::chance::{self, NoChance};

/// The newest format of a cluster whose directory can be read. One of a newer one is refused.
pub const FORMAT: u32 = 6;
/// What a directory begins with; it is raised with the format of its cluster.
const FORMAT_FIRST: u32 = 1;
const LOCK_FILE: &str = "LOCK";
/// Why a directory must not be used again.
const REFUSED_FILE: &str = "REFUSED";
/// A process that is just ending may hold the lock a moment longer.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Node ids stay exact in JSON numbers, which many clients read as 64-bit floats.
const NODE_ID_BITS: u32 = 48;

/// Why a data directory can't be used. Each text says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another process holds it.
    #[error("the data directory {} is in use by another process{holder}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// " (pid N)", or nothing when that is not known.
        holder: String,
    },
    /// It can't be created or written.
    #[error("the data directory {path} can't be written: {source}", path = path.display())]
    Unwritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its name belongs to something else.
    #[error("{path} is a file, and the data directory must be a directory", path = path.display())]
    NotADirectory {
        /// What was given.
        path: PathBuf,
    },
    /// A newer version of the program wrote it.
    #[error(
        "the data directory {path} has format {found}, and this version of CronAPI reads up to \
         format {newest}: start the newer version again, or restore a backup taken before it",
        path = path.display()
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest this program reads.
        newest: u32,
    },
    /// What it holds can't be used without losing data, so nothing was touched.
    #[error(
        "the data directory {path} is damaged: {reason}. Nothing was changed. Either restore a \
         backup, or start with --move-aside-damaged: that renames the directory to \
         {path}.damaged-<time> and starts empty, as a new node: with --join the cluster's other \
         nodes send it everything, without it a new cluster begins",
        path = path.display()
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nobody more fits into a pool.
    #[error("all {seats} seats of the pool {path} are taken", path = path.display())]
    Full {
        /// The pool.
        path: PathBuf,
        /// How many it has.
        seats: usize,
    },
    /// It is in use for something else.
    #[error(
        "{path} is no data directory, and {found} is in it: a data directory is not made among \
         other files. Give one that does not exist yet or is empty, such as {path}/state",
        path = path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// Somebody else may change it at will.
    #[error(
        "the data directory {path} belongs to another account (uid {owner}) and everybody may \
         write to it: `chown` it to this account, or give a directory inside it",
        path = path.display()
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// It was to be new, and holds something.
    #[error(
        "{path} is not empty ({found} is there), and nothing is written over data: give a \
         directory that does not exist yet, or move this one aside",
        path = path.display()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// There is no chance to draw a new id from.
    #[error("no new id: {0}")]
    Random(#[from] NoChance),
}

/// Which node of which cluster a directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Format of its cluster: what a program must be able to read.
    pub format: u32,
    /// The cluster, named by its first node. Empty: the node is of no cluster yet.
    pub cluster_id: String,
    /// Whether this node is about to begin the cluster: true until its log has begun. None in
    /// directories made before nodes could join others: there it may begin it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub founding: Option<bool>,
    /// This node; never used again once its directory is lost.
    pub node_id: u64,
    /// When the directory was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Whether its log is in `wal/`, and so must be there; else in `log/`, as before format 5.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wal: bool,
}

impl Identity {
    /// A new node of no cluster yet.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn generate(created_ms: u64) -> Result<Self, DirectoryError> {
        let node_id = (chance::number()? >> (u64::BITS - NODE_ID_BITS)).max(1);
        let (cluster_id, founding) = (String::new(), Some(false));
        let (format, wal) = (FORMAT_FIRST, false);
        Ok(Self { format, cluster_id, founding, node_id, created_ms, wal })
    }

    /// The name of a new cluster.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn new_cluster_id() -> Result<String, DirectoryError> {
        let halves = [chance::number()?, chance::number()?];
        let bytes = (u128::from(halves[0]) << 64 | u128::from(halves[1])).to_be_bytes();
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
    }
}

/// A data directory that this process holds until the last clone of its lock is dropped.
pub struct DataDirectory {
    path: PathBuf,
    identity: Identity,
    lock: Arc<File>,
}

impl DataDirectory {
    /// Takes the directory, creating it for `new` when there is none.
    ///
    /// # Errors
    /// See [`DirectoryError`]; nothing is changed in a directory that is refused.
    pub fn open(path: &Path, new: &Identity) -> Result<Self, DirectoryError> {
        create(path)?;
        if read_identity(path)?.is_none() {
            ours::may_become_ours(path)?;
        }
        ours::not_open_to_all(path)?;
        let lock = Arc::new(take_lock(path)?);
        ours::tighten(path)?;
        if let Ok(reason) = fs::read_to_string(path.join(REFUSED_FILE)) {
            return Err(DirectoryError::Damaged { path: path.to_owned(), reason });
        }
        let identity = match read_identity(path)? {
            Some(identity) => identity,
            None => {
                write_identity(path, new)?;
                new.clone()
            }
        };
        Ok(Self { path: path.to_owned(), identity, lock })
    }

    /// Renames a directory aside, keeping every byte, so its name is free for a new one.
    ///
    /// # Errors
    /// The directory is in use, or can't be renamed.
    pub fn move_aside(path: &Path, now_ms: u64) -> Result<PathBuf, DirectoryError> {
        let _held = take_lock(path)?;
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{now_ms}"));
        let aside = PathBuf::from(name);
        let renamed = fs::rename(path, &aside);
        renamed.map_err(|source| DirectoryError::Unwritable { path: path.to_owned(), source })?;
        Ok(aside)
    }

    /// Holds a directory that is there, so that no node starts on it; nothing is written.
    ///
    /// # Errors
    /// It is in use, or there is none.
    pub fn hold(path: &Path) -> Result<Held, DirectoryError> {
        let failed = |source| DirectoryError::Unwritable { path: path.to_owned(), source };
        if !fs::metadata(path).map_err(failed)?.is_dir() {
            return Err(DirectoryError::NotADirectory { path: path.to_owned() });
        }
        let mut file = match File::open(path.join(LOCK_FILE)) {
            Ok(file) => file,
            // Without it nobody holds it; the directory itself keeps two of us apart.
            Err(e) if e.kind() == io::ErrorKind::NotFound => File::open(path).map_err(failed)?,
            Err(e) => return Err(failed(e)),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Held(Arc::new(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(in_use(path, &mut file)),
            Err(e) => Err(failed(e.into())),
        }
    }

    /// Whose directory it is; none: nobody's yet.
    ///
    /// # Errors
    /// It can't be read, is damaged, or of a newer version.
    pub fn look(path: &Path) -> Result<Option<Identity>, DirectoryError> {
        read_identity(path)
    }

    /// Whose directory it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Changes whose directory it is, or where its log is. On return that is durable.
    ///
    /// # Errors
    /// It can't be written; nothing has changed.
    pub fn change(&mut self, change: impl FnOnce(&mut Identity)) -> Result<(), DirectoryError> {
        let mut identity = self.identity.clone();
        change(&mut identity);
        write_identity(&self.path, &identity)?;
        self.identity = identity;
        Ok(())
    }

    /// Where the identity is kept, to change it.
    pub fn identity_file(&self) -> PathBuf {
        self.path.clone()
    }

    /// A place inside it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Keeps the directory locked as long as a clone lives.
    pub fn lock(&self) -> Arc<dyn Send + Sync> {
        Arc::clone(&self.lock) as Arc<dyn Send + Sync>
    }

    /// A [`DirectoryError::Damaged`] for this directory.
    pub fn damaged(&self, reason: impl ToString) -> DirectoryError {
        DirectoryError::Damaged { path: self.path.clone(), reason: reason.to_string() }
    }
}

fn in_use(path: &Path, lock: &mut File) -> DirectoryError {
    let mut pid = String::new();
    let known = lock.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
    let holder = if known { format!(" (pid {})", pid.trim()) } else { String::new() };
    DirectoryError::InUse { path: path.to_owned(), holder }
}

/// A directory that is looked at: no node starts on it as long as this lives.
pub struct Held(Arc<File>);

impl Held {
    /// Keeps it as long as a clone lives.
    pub fn lock(&self) -> Arc<dyn Send + Sync> {
        Arc::clone(&self.0) as Arc<dyn Send + Sync>
    }
}

/// A data directory that is being made. Until it is finished no start takes it.
pub struct NewDirectory {
    path: PathBuf,
    lock: Arc<File>,
}

impl NewDirectory {
    /// Takes a directory that does not exist, or is empty.
    ///
    /// # Errors
    /// See [`DirectoryError`]; nothing is changed in a directory that is refused.
    pub fn begin(path: &Path) -> Result<Self, DirectoryError> {
        let failed = |source| DirectoryError::Unwritable { path: path.to_owned(), source };
        create(path)?;
        if let Some(found) = ours::foreign(path).map_err(failed)? {
            return Err(DirectoryError::NotEmpty { path: path.to_owned(), found });
        }
        ours::not_open_to_all(path)?;
        let lock = Arc::new(take_lock(path)?);
        ours::tighten(path)?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// A place inside it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Keeps the directory locked as long as a clone lives.
    pub fn lock(&self) -> Arc<dyn Send + Sync> {
        Arc::clone(&self.lock) as Arc<dyn Send + Sync>
    }

    /// Says whose it is: from here on a node can start on it.
    ///
    /// # Errors
    /// It can't be written.
    pub fn finish(self, identity: &Identity) -> Result<(), DirectoryError> {
        write_identity(&self.path, identity)
    }
}

pub(super) fn create(path: &Path) -> Result<(), DirectoryError> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => {
            return Err(DirectoryError::NotADirectory { path: path.to_owned() });
        }
        Err(_) => {}
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| DirectoryError::Unwritable { path: path.to_owned(), source })?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_directory(parent.unwrap_or(Path::new("."))).map_err(|e| unwritable(path, e))
}

fn take_lock(path: &Path) -> Result<File, DirectoryError> {
    let failed = |source| DirectoryError::Unwritable { path: path.to_owned(), source };
    let name = path.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(name).map_err(failed)?;
    let mut tries = 0;
    let locked = loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if tries < LOCK_TRIES => {
                tries += 1;
                thread::sleep(LOCK_PAUSE);
            }
            outcome => break outcome,
        }
    };
    match locked {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(in_use(path, &mut file)),
        Err(e) => return Err(failed(e.into())),
    }
    let mut note = || {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note().map_err(failed)?;
    Ok(file)
}

/// Notes why a directory must not be used again. On return that is durable.
pub(super) fn write_refusal(path: &Path, why: &str) -> Result<(), DirectoryError> {
    let write = || {
        let mut file = File::create(path.join(REFUSED_FILE))?;
        file.write_all(why.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| DirectoryError::Unwritable { path: path.to_owned(), source })?;
    sync_directory(path).map_err(|e| unwritable(path, e))
}

pub(super) fn unwritable(path: &Path, error: Error) -> DirectoryError {
    let source = match error {
        Error::File { source, .. } => source,
        other => io::Error::other(other),
    };
    DirectoryError::Unwritable { path: path.to_owned(), source }
}
