//! Bytes on their way to become a checkpoint.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sled::sync_directory;
use super::{Error, Source};

const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes that are gone with their owner, unless they were given a name.
pub struct Draft(Place);

enum Place {
    File { path: PathBuf, file: BufWriter<File> },
    Memory(Vec<u8>),
}

impl Draft {
    pub(super) fn on_disk(path: PathBuf) -> Result<Self, Error> {
        let file = File::create(&path).map_err(|e| Error::file("create", &path, e))?;
        let file = BufWriter::with_capacity(BUFFER_BYTES, file);
        Ok(Self(Place::File { path, file }))
    }

    pub(super) fn in_memory() -> Self {
        Self(Place::Memory(Vec::new()))
    }

    /// Where what was written can be read, as long as the draft lives. Nothing is written after.
    ///
    /// # Errors
    /// It can't be written out.
    pub fn finish(&mut self) -> Result<Source, Error> {
        match &mut self.0 {
            Place::Memory(bytes) => Ok(Source::Memory(Arc::new(std::mem::take(bytes)))),
            Place::File { path, file } => match file.flush() {
                Ok(()) => Ok(Source::File(path.clone())),
                Err(e) => Err(Error::file("write", path, e)),
            },
        }
    }

    /// Makes it durable, though not yet its name.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Place::Memory(_) => Ok(()),
            Place::File { file, .. } => {
                file.flush()?;
                file.get_ref().sync_data()
            }
        }
    }

    /// Gives it a name, durably. In memory there are no names.
    pub(super) fn rename(mut self, directory: &Path, name: &str) -> Result<Source, Error> {
        let Place::File { path, .. } = &self.0 else { return self.finish() };
        let to = directory.join(name);
        fs::rename(path, &to).map_err(|e| Error::file("rename", path, e))?;
        sync_directory(directory)?;
        Ok(Source::File(to))
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Place::Memory(held) => held.write(bytes),
            Place::File { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Place::Memory(_) => Ok(()),
            Place::File { file, .. } => file.flush(),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Place::File { path, .. } = &self.0 {
            // It was renamed, or is of no use to anybody; the next start clears what is left.
            let _ = fs::remove_file(path);
        }
    }
}
