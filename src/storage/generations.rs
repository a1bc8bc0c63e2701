//! Generations of the history: each is a Kv of its own, so that one can be filled beside the one
//! in use, and take its place whole.
//!
//! On disk `state` is generation 0, as it was before there were others, and `state.N` is N. Which
//! one counts is said by the checkpoint that a node begins with. A generation that is not kept is
//! removed once nobody reads it any more: renamed first, so that what a crash leaves of it is never
//! taken for a generation.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::generation::{Generation, Remove};
use super::kv::{Kv, Limits};
use super::sled::sync_directory;
use super::{Error, MemoryKv, Profile, SledKv};

const NAME: &str = "state";
/// What a generation is called while it is removed.
const REMOVED: &str = ".removed";

type Shelf = Mutex<BTreeMap<u32, Arc<MemoryKv>>>;

enum Place {
    Directory { path: PathBuf, lock: Arc<dyn Send + Sync> },
    Memory(Arc<Shelf>),
}

/// The generations of a node.
pub struct Generations {
    place: Place,
    /// The number of the next one that is created, above every other that was ever seen here.
    next: AtomicU32,
}

impl Generations {
    /// In a data directory. `lock` is kept as long as one is open.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn on_disk(path: &Path, lock: Arc<dyn Send + Sync>) -> Result<Self, Error> {
        let path = path.to_owned();
        let highest = list(&path)?.iter().filter_map(|name| number_in(name)).max();
        let next = AtomicU32::new(highest.unwrap_or_default() + 1);
        Ok(Self { place: Place::Directory { path, lock }, next })
    }

    /// In memory.
    pub fn in_memory() -> Self {
        Self { place: Place::Memory(Arc::default()), next: AtomicU32::new(1) }
    }

    /// Opens a generation that a checkpoint names. Only 0 may be missing: a new node begins so.
    ///
    /// # Errors
    /// It is missing or damaged, or the engine failed.
    pub fn open(&self, number: u32) -> Result<Generation, Error> {
        let missing = |what: String| {
            let reason = "the checkpoint names it, and it is not there".to_owned();
            Err(Error::Damaged { what, reason })
        };
        match &self.place {
            Place::Directory { path, .. } => {
                let inside = path.join(name_of(number));
                if number > 0 && !inside.is_dir() {
                    return missing(format!("the history {}", inside.display()));
                }
            }
            Place::Memory(shelf) => {
                if number > 0 && !locked(shelf).contains_key(&number) {
                    return missing(format!("the history's generation {number}"));
                }
            }
        }
        self.take(number, true)
    }

    /// Creates an empty one. Until it is kept it goes with its last reader.
    ///
    /// # Errors
    /// The engine failed.
    pub fn create(&self) -> Result<Generation, Error> {
        self.take(self.next.fetch_add(1, Ordering::Relaxed), false)
    }

    fn take(&self, number: u32, kept: bool) -> Result<Generation, Error> {
        let (kv, remove): (Arc<dyn Kv>, Remove) = match &self.place {
            Place::Directory { path, lock } => {
                let inside = path.join(name_of(number));
                let kv = SledKv::open(&inside, Profile::State, Arc::clone(lock))?;
                (Arc::new(kv), Box::new(move || remove(&inside)))
            }
            Place::Memory(shelf) => {
                let new = || Arc::new(MemoryKv::new(Limits::STATE));
                let kv = Arc::clone(locked(shelf).entry(number).or_insert_with(new));
                let shelf = Arc::clone(shelf);
                let remove = move || {
                    locked(&shelf).remove(&number);
                    Ok(())
                };
                (kv, Box::new(remove))
            }
        };
        Ok(Generation::new(number, kv, kept, remove))
    }

    /// Removes every other generation than `keep`, and what is left of removed ones. Nothing
    /// else in the directory is touched.
    ///
    /// # Errors
    /// A directory can't be removed.
    pub fn sweep(&self, keep: u32) -> Result<(), Error> {
        match &self.place {
            Place::Memory(shelf) => locked(shelf).retain(|number, _| *number == keep),
            Place::Directory { path, .. } => {
                for name in list(path)? {
                    let inside = path.join(&name);
                    if name.strip_suffix(REMOVED).and_then(number_in).is_some() {
                        remove_rest(&inside)?;
                    } else if number_in(&name).is_some_and(|number| number != keep) {
                        tracing::info!(path = %inside.display(), "an unused history is removed");
                        remove(&inside)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The numbers of all of them, also of one that is being received.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn numbers(&self) -> Result<Vec<u32>, Error> {
        Ok(match &self.place {
            Place::Memory(shelf) => locked(shelf).keys().copied().collect(),
            Place::Directory { path, .. } => {
                list(path)?.iter().filter_map(|name| number_in(name)).collect()
            }
        })
    }

    /// Calls `each` with every one in memory.
    pub(super) fn in_memory_each(&self, each: impl Fn(&MemoryKv)) {
        if let Place::Memory(shelf) = &self.place {
            locked(shelf).values().for_each(|kv| each(kv));
        }
    }
}

fn locked(shelf: &Shelf) -> MutexGuard<'_, BTreeMap<u32, Arc<MemoryKv>>> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

fn name_of(number: u32) -> String {
    if number == 0 { NAME.to_owned() } else { format!("{NAME}.{number}") }
}

/// The number of a directory that we named.
fn number_in(name: &str) -> Option<u32> {
    if name == NAME {
        return Some(0);
    }
    let number = name.strip_prefix(NAME)?.strip_prefix('.')?.parse().ok()?;
    (name_of(number) == name).then_some(number)
}

/// The directories inside one.
fn list(path: &Path) -> Result<Vec<String>, Error> {
    let failed = |e| Error::file("list", path, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            found.extend(entry.file_name().into_string());
        }
    }
    found.sort();
    Ok(found)
}

fn remove(path: &Path) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(REMOVED);
    let aside = PathBuf::from(name);
    // What is left of an earlier one of this name, whose removal a crash cut short.
    remove_rest(&aside)?;
    fs::rename(path, &aside).map_err(|e| Error::file("rename", path, e))?;
    if let Some(parent) = path.parent() {
        sync_directory(parent)?;
    }
    remove_rest(&aside)
}

fn remove_rest(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path, e)),
        _ => Ok(()),
    }
}
