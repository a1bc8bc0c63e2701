//! Checkpoints: the machine's memory at an index, in files that are published whole or not at all.
//!
//! A file is a stream of frames: a sealed head (its length first), then the machine. Its name
//! sorts by the index it stands for. The newest two are kept: should the newest turn out to be
//! damaged, the other one and the log still rebuild everything.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::Error;
use super::frames::{FrameReader, FrameWriter};
use super::sled::sync_directory;

/// Checkpoints kept.
const KEPT: usize = 2;
const SUFFIX: &str = ".checkpoint";
/// The head is small; more than this is damage.
const HEAD_BYTES_MAX: u32 = 1024 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// Where a checkpoint's bytes are.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a file.
    File(PathBuf),
    /// In memory, for tests and simulation.
    Memory(Arc<Vec<u8>>),
}

impl Source {
    /// Bytes it takes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::File(path) => fs::metadata(path).map(|m| m.len()).unwrap_or_default(),
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// Reads the head, gives the rest to `body`, and checks that nothing is missing or damaged.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the bytes are not what was written, or `body` refused them.
    pub fn read<T>(
        &self,
        body: impl FnOnce(&Bytes, &mut dyn Read) -> Result<T, String>,
    ) -> Result<T, Error> {
        let damaged = |reason: String| Error::Damaged { what: self.name(), reason };
        let inner: Box<dyn Read + '_> = match self {
            Self::File(path) => {
                let file = File::open(path).map_err(|e| Error::file("open", path, e))?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
            }
            Self::Memory(bytes) => Box::new(bytes.as_slice()),
        };
        let text = |e: io::Error| damaged(e.to_string());
        let mut frames = FrameReader::begin(inner).map_err(text)?;
        let head = read_head(&mut frames).map_err(text)?;
        let value = body(&head, &mut frames).map_err(damaged)?;
        frames.finish().map_err(text)?;
        Ok(value)
    }

    fn name(&self) -> String {
        match self {
            Self::File(path) => format!("checkpoint {}", path.display()),
            Self::Memory(_) => "a checkpoint".to_owned(),
        }
    }
}

fn read_head(frames: &mut impl Read) -> io::Result<Bytes> {
    let mut length = [0; 4];
    frames.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > HEAD_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its head is too long"));
    }
    let mut head = vec![0; length as usize];
    frames.read_exact(&mut head)?;
    Ok(head.into())
}

enum Place {
    Directory(PathBuf),
    Memory(Mutex<Vec<(String, Source)>>),
}

/// The checkpoints of a node.
pub struct Checkpoints {
    place: Place,
}

impl Checkpoints {
    /// In a directory, which is created.
    ///
    /// # Errors
    /// The directory can't be created.
    pub fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path).map_err(|e| Error::file("create", path, e))?;
        Ok(Self { place: Place::Directory(path.to_owned()) })
    }

    /// In memory.
    pub fn in_memory() -> Self {
        Self { place: Place::Memory(Mutex::default()) }
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
        let source = match &self.place {
            Place::Memory(held) => {
                let io = |e| Error::file("write", Path::new(name), e);
                let bytes = write_frames(Vec::new(), head, body).map_err(io)?;
                let source = Source::Memory(Arc::new(bytes));
                let mut held = locked(held);
                held.retain(|(other, _)| other != name);
                held.push((name.to_owned(), source.clone()));
                source
            }
            Place::Directory(path) => publish_file(path, name, head, body)?,
        };
        self.retire()?;
        Ok(source)
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
    let failed = |e| Error::file("list", path, e);
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) {
            found.push((name.to_owned(), Source::File(entry.path())));
        }
    }
    Ok(found)
}

fn publish_file(
    directory: &Path,
    name: &str,
    head: &[u8],
    body: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Source, Error> {
    let path = directory.join(format!("{name}{SUFFIX}"));
    let unfinished = directory.join(format!("{name}.unfinished"));
    let write = || {
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create(&unfinished)?);
        let file = write_frames(file, head, body)?.into_inner()?;
        file.sync_data()?;
        fs::rename(&unfinished, &path)
    };
    write().map_err(|e| Error::file("write", &path, e))?;
    sync_directory(directory)?;
    Ok(Source::File(path))
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
