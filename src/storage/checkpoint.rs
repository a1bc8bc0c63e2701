//! Checkpoints: the machine's memory at an index, in files that are published whole or not at all.
//!
//! A file is a stream of frames: a sealed head (its length first), then the machine. Its name
//! sorts by the index it stands for. The newest two are kept: should the newest turn out to be
//! damaged, the other one and the log still rebuild everything.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::draft::Draft;
use super::frames::FrameWriter;
use super::sled::sync_directory;
use super::{Error, Source};

/// Checkpoints kept.
const KEPT: usize = 2;
const SUFFIX: &str = ".checkpoint";
/// Files that nobody has begun to rely on: one being written, and one being received.
const UNFINISHED: &str = ".unfinished";
const INCOMING: &str = ".incoming";

enum Place {
    Directory(PathBuf),
    Memory(Mutex<Vec<(String, Source)>>),
}

/// The checkpoints of a node.
pub struct Checkpoints {
    place: Place,
    /// Tells files apart that are being written at the same time.
    drafts: AtomicU64,
}

/// A checkpoint that is whole and durable, and that nobody sees yet. Dropped, it is gone.
pub struct Unpublished {
    name: String,
    draft: Draft,
}

impl Checkpoints {
    /// In a directory, which is created.
    ///
    /// # Errors
    /// The directory can't be created.
    pub fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(|e| Error::file("create", path, e))?;
        Ok(Self { place: Place::Directory(path.to_owned()), drafts: AtomicU64::new(0) })
    }

    /// In memory.
    pub fn in_memory() -> Self {
        Self { place: Place::Memory(Mutex::default()), drafts: AtomicU64::new(0) }
    }

    /// Whether calls reach a disk.
    pub fn blocks(&self) -> bool {
        matches!(self.place, Place::Directory(_))
    }

    /// All of them, newest first.
    ///
    /// # Errors
    /// The directory can't be read.
    pub fn list(&self) -> Result<Vec<(String, Source)>, Error> {
        let mut found = match &self.place {
            Place::Memory(held) => locked(held).clone(),
            Place::Directory(path) => list_directory(path)?,
        };
        found.sort_by(|(a, _), (b, _)| b.cmp(a));
        Ok(found)
    }

    /// Writes a checkpoint and makes it durable; readers see it only then. Older ones than the
    /// newest two are removed afterwards. Names must sort as the indexes they stand for.
    ///
    /// # Errors
    /// Writing failed; nothing was published.
    pub fn publish(
        &self,
        name: &str,
        head: &[u8],
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Source, Error> {
        self.reveal(self.prepare(name, head, body)?)
    }

    /// Does all of [`Checkpoints::publish`] that takes time: writes it and makes it durable.
    ///
    /// # Errors
    /// Writing failed.
    pub fn prepare(
        &self,
        name: &str,
        head: &[u8],
        body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Unpublished, Error> {
        let mut draft = self.draft(name, UNFINISHED)?;
        let written = write_frames(&mut draft, head, body).and_then(Draft::sync);
        written.map_err(|e| Error::file("write", Path::new(name), e))?;
        Ok(Unpublished { name: name.to_owned(), draft })
    }

    /// Does the rest: readers see it from now on, and older ones than the newest two are removed.
    ///
    /// # Errors
    /// It can't be renamed.
    pub fn reveal(&self, new: Unpublished) -> Result<Source, Error> {
        let Unpublished { name, mut draft } = new;
        let source = match &self.place {
            Place::Directory(directory) => draft.rename(directory, &format!("{name}{SUFFIX}"))?,
            Place::Memory(held) => {
                let source = draft.finish()?;
                let mut held = locked(held);
                held.retain(|(other, _)| *other != name);
                held.push((name, source.clone()));
                source
            }
        };
        self.retire()?;
        Ok(source)
    }

    /// Room for the bytes of a checkpoint that comes from elsewhere.
    ///
    /// # Errors
    /// The file can't be created.
    pub fn receive(&self) -> Result<Draft, Error> {
        self.draft("checkpoint", INCOMING)
    }

    fn draft(&self, name: &str, suffix: &str) -> Result<Draft, Error> {
        match &self.place {
            Place::Memory(_) => Ok(Draft::in_memory()),
            Place::Directory(directory) => {
                let number = self.drafts.fetch_add(1, Ordering::Relaxed);
                Draft::on_disk(directory.join(format!("{name}.{number}{suffix}")))
            }
        }
    }

    /// Removes what was never finished before this process began.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn sweep(&self) -> Result<(), Error> {
        let Place::Directory(directory) = &self.place else { return Ok(()) };
        for suffix in [UNFINISHED, INCOMING] {
            for (_, path) in files(directory, suffix)? {
                fs::remove_file(&path).map_err(|e| Error::file("remove", &path, e))?;
            }
        }
        Ok(())
    }

    /// Takes a damaged checkpoint out of the list, keeping its bytes.
    ///
    /// # Errors
    /// The file can't be renamed.
    pub fn set_aside(&self, name: &str) -> Result<(), Error> {
        match &self.place {
            Place::Memory(held) => locked(held).retain(|(other, _)| other != name),
            Place::Directory(path) => {
                let from = path.join(format!("{name}{SUFFIX}"));
                let to = path.join(format!("{name}{SUFFIX}.damaged"));
                fs::rename(&from, to).map_err(|e| Error::file("rename", &from, e))?;
                sync_directory(path)?;
            }
        }
        Ok(())
    }

    fn retire(&self) -> Result<(), Error> {
        for (name, source) in self.list()?.into_iter().skip(KEPT) {
            match (&self.place, source) {
                (Place::Memory(held), _) => locked(held).retain(|(other, _)| *other != name),
                (Place::Directory(_), Source::File(path)) => {
                    fs::remove_file(&path).map_err(|e| Error::file("remove", &path, e))?;
                }
                (Place::Directory(_), Source::Memory(_)) => {}
            }
        }
        Ok(())
    }
}

fn locked(held: &Mutex<Vec<(String, Source)>>) -> MutexGuard<'_, Vec<(String, Source)>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

fn list_directory(path: &Path) -> Result<Vec<(String, Source)>, Error> {
    let found = files(path, SUFFIX)?;
    Ok(found.into_iter().map(|(name, path)| (name, Source::File(path))).collect())
}

/// The files whose names end so, with what comes before.
fn files(directory: &Path, suffix: &str) -> Result<Vec<(String, PathBuf)>, Error> {
    let failed = |e| Error::file("list", directory, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(suffix)) {
            found.push((name.to_owned(), entry.path()));
        }
    }
    Ok(found)
}

fn write_frames<W: Write>(
    inner: W,
    head: &[u8],
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<W> {
    let mut frames = FrameWriter::begin(inner)?;
    frames.write_all(&(head.len() as u32).to_be_bytes())?;
    frames.write_all(head)?;
    body(&mut frames)?;
    frames.finish()
}
