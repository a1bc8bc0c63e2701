//! The Kv on disk: the only file that knows the sled engine, and the rules that make it safe.
//!
//! sled's own flush writes the pages but neither the file's size nor the disk's cache, so
//! `sync_data` on its file follows each flush. It puts large tree nodes in `blobs/`, which it
//! never syncs: the segment sizes and the bounds on values keep that directory empty (ADR 0005),
//! and should one appear all the same, it is synced here.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::Error;
use super::kv::{Direction, Kv, Limits, Pair, Writes};

/// How often the engine collects garbage. Its own flusher thread is what does it, so never none.
const COLLECT_EVERY_MS: u64 = 1000;
/// Tries to take the engine's file lock, which an instance that just closed may hold a moment.
const LOCK_TRIES: u32 = 40;
/// Between two of those tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Where the engine puts tree nodes that are too large for its file.
const BLOBS: &str = "blobs";
/// The thread that opens, whose panics are turned into errors.
const OPEN_THREAD: &str = "storage-open";

/// The two uses, with the sizes that hold for each. Stored files depend on them: never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Few keys, values up to 64 KiB, soon purged.
    Log,
    /// Many keys, values up to 8 KiB.
    State,
}

impl Profile {
    /// The bounds on keys and values.
    pub fn limits(self) -> Limits {
        match self {
            Self::Log => Limits::LOG,
            Self::State => Limits::STATE,
        }
    }

    fn segment_bytes(self) -> usize {
        match self {
            Self::Log => 8 * 1024 * 1024,
            Self::State => 512 * 1024,
        }
    }

    fn cache_bytes(self) -> u64 {
        match self {
            Self::Log => 16 * 1024 * 1024,
            Self::State => 64 * 1024 * 1024,
        }
    }
}

/// One sled database.
pub struct SledKv {
    db: sled::Db,
    file: File,
    path: PathBuf,
    limits: Limits,
    /// Blob files that are durable; each is written once.
    synced: Mutex<BTreeSet<OsString>>,
    // Dropped after the database, so the directory stays locked until its files are closed.
    _lock: Arc<dyn Send + Sync>,
}

impl SledKv {
    /// Opens or creates the database in `path`. `lock` is kept as long as the files are open.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the engine can't read its files, or panics on them.
    pub fn open(path: &Path, profile: Profile, lock: Arc<dyn Send + Sync>) -> Result<Self, Error> {
        let db = open_guarded(path, profile)?;
        let inside = path.join("db");
        let file = File::open(&inside).map_err(|e| Error::file("open", &inside, e))?;
        let (path, limits) = (path.to_owned(), profile.limits());
        let kv = Self { db, file, path, limits, synced: Mutex::default(), _lock: lock };
        kv.flush_durable()?;
        sync_directory(&kv.path)?;
        // And its own name, should it be new.
        kv.path.parent().map_or(Ok(()), sync_directory)?;
        if let Err(error) = kv.health() {
            tracing::warn!(%error, "writes are slower until these files are gone");
        }
        Ok(kv)
    }

    fn range(&self, from: &[u8], to: &[u8]) -> sled::Iter {
        // sled panics on an inverted range.
        let to = to.max(from);
        self.db.range(from.to_vec()..to.to_vec())
    }

    fn blobs(&self) -> Result<BTreeSet<OsString>, Error> {
        let path = self.path.join(BLOBS);
        let failed = |e| Error::file("list", &path, e);
        let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name());
        match fs::read_dir(&path) {
            Ok(inside) => inside.map(name).collect::<io::Result<_>>().map_err(failed),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(e) => Err(failed(e)),
        }
    }

    /// Makes durable what the engine put outside its file.
    fn sync_blobs(&self) -> Result<(), Error> {
        let present = self.blobs()?;
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path.join(BLOBS);
        for name in present.difference(&synced) {
            let blob = path.join(name);
            match File::open(&blob).and_then(|file| file.sync_data()) {
                Ok(()) => {}
                // The engine removed it meanwhile: nothing refers to it any more.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::file("sync", &blob, e)),
            }
        }
        if !present.is_subset(&synced) {
            sync_directory(&path)?;
        }
        *synced = present;
        Ok(())
    }
}

impl Kv for SledKv {
    fn write(&self, writes: Writes) -> Result<(), Error> {
        self.limits.check(&writes)?;
        let mut batch = sled::Batch::default();
        for (key, value) in writes.changes {
            match value {
                Some(value) => batch.insert(key, value.as_ref()),
                None => batch.remove(key),
            }
        }
        self.db.apply_batch(batch).map_err(|e| engine("write", &e))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let value = self.db.get(key).map_err(|e| engine("read", &e))?;
        Ok(value.map(|v| Bytes::copy_from_slice(&v)))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error> {
        let pair = |found: sled::Result<(sled::IVec, sled::IVec)>| {
            let (key, value) = found.map_err(|e| engine("scan", &e))?;
            Ok((key.to_vec(), Bytes::copy_from_slice(&value)))
        };
        let range = self.range(from, to);
        match direction {
            Direction::Forward => range.take(limit).map(pair).collect(),
            Direction::Backward => range.rev().take(limit).map(pair).collect(),
        }
    }

    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Error> {
        let key = |found: sled::Result<sled::IVec>| {
            found.map(|key| key.to_vec()).map_err(|e| engine("scan", &e))
        };
        self.range(from, to).keys().take(limit).map(key).collect()
    }

    fn flush_durable(&self) -> Result<(), Error> {
        self.db.flush().map_err(|e| engine("flush", &e))?;
        self.sync_blobs()?;
        self.file.sync_data().map_err(|e| Error::file("sync", &self.path, e))
    }

    fn bytes_on_disk(&self) -> u64 {
        self.db.size_on_disk().unwrap_or_default()
    }

    fn health(&self) -> Result<(), Error> {
        if self.blobs()?.is_empty() {
            return Ok(());
        }
        let what = self.path.join(BLOBS).display().to_string();
        let reason = "the engine put values in files that it never syncs".to_owned();
        Err(Error::Damaged { what, reason })
    }

    fn blocks(&self) -> bool {
        true
    }
}

/// Opens on a thread of its own, because the engine panics on some damaged files.
fn open_guarded(path: &Path, profile: Profile) -> Result<sled::Db, Error> {
    quiet_panics_while_opening();
    let what = path.display().to_string();
    let config = sled::Config::new()
        .path(path)
        .mode(sled::Mode::HighThroughput)
        .segment_size(profile.segment_bytes())
        .cache_capacity(profile.cache_bytes())
        .flush_every_ms(Some(COLLECT_EVERY_MS));
    let opening = thread::Builder::new()
        .name(OPEN_THREAD.to_owned())
        .spawn(move || open_patiently(&config))
        .map_err(|e| Error::file("open", path, e))?;
    match opening.join() {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(sled::Error::Io(e))) if !is_damage(e.kind()) => Err(Error::file("open", path, e)),
        Ok(Err(e)) => Err(Error::Damaged { what, reason: e.to_string() }),
        Err(panic) => Err(Error::Damaged { what, reason: panic_text(panic.as_ref()) }),
    }
}

fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn open_patiently(config: &sled::Config) -> sled::Result<sled::Db> {
    let mut tries = 0;
    loop {
        match config.open() {
            Err(sled::Error::Io(e))
                if tries < LOCK_TRIES && e.to_string().contains("could not acquire lock") =>
            {
                tries += 1;
                thread::sleep(LOCK_PAUSE);
            }
            result => return result,
        }
    }
}

/// Keeps the backtrace of a damaged database off the terminal: the error says it better.
fn quiet_panics_while_opening() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(OPEN_THREAD) {
                previous(panic);
            }
        }));
    });
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("the engine gave up: {}", text.unwrap_or("no reason given"))
}

fn engine(op: &'static str, error: &sled::Error) -> Error {
    Error::Engine { op, reason: error.to_string() }
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    let directory = File::open(path).map_err(|e| Error::file("open", path, e))?;
    directory.sync_all().map_err(|e| Error::file("sync", path, e))
}
