//! A node's data directory: who uses it, whose it is, and what to do when it can't be used.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::directory_error::{DirectoryError, unwritable};
use super::format_file::{read_identity, write_identity};
use super::identity::Identity;
use super::ours;
use super::sled::sync_directory;

const LOCK_FILE: &str = "LOCK";
/// Why a directory must not be used again.
const REFUSED_FILE: &str = "REFUSED";
/// A process that is just ending may hold the lock a moment longer.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

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
