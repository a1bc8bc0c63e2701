//! Where the bytes of a checkpoint are, and how they are read and checked.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::Error;
use super::frames::FrameReader;
use crate::model::Timestamp;

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

    /// When it was written, by the file system's clock; none: not known.
    pub fn written_at(&self) -> Option<Timestamp> {
        let Self::File(path) = self else { return None };
        let modified = fs::metadata(path).ok()?.modified().ok()?;
        let since = modified.duration_since(UNIX_EPOCH).ok()?;
        Some(Timestamp::from_micros(i64::try_from(since.as_micros()).ok()?))
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
        let text = |e: io::Error| damaged(e.to_string());
        let mut frames = FrameReader::begin(self.open()?).map_err(text)?;
        let head = read_head(&mut frames).map_err(text)?;
        let value = body(&head, &mut frames).map_err(damaged)?;
        frames.finish().map_err(text)?;
        Ok(value)
    }

    /// Opens its bytes as they are stored. They stay readable when the file is removed.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, Error> {
        Ok(match self {
            Self::File(path) => {
                let file = File::open(path).map_err(|e| Error::file("open", path, e))?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
            }
            Self::Memory(bytes) => Box::new(io::Cursor::new(SharedBytes(Arc::clone(bytes)))),
        })
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

struct SharedBytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
