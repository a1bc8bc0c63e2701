//! Copies of what the storage engine would write to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::storage::DirectoryError;

/// Removes the copies when it is dropped.
pub(super) struct Removed(pub PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the copies stay");
        }
    }
}

/// Copies the directory to `scratch`, which must not exist.
pub(super) fn all(path: &Path, scratch: &Path) -> Result<(), DirectoryError> {
    let copied = fs::create_dir(scratch).and_then(|()| inside(path, scratch));
    copied.map_err(|source| {
        let _ = fs::remove_dir_all(scratch);
        DirectoryError::Unwritable { path: scratch.to_owned(), source }
    })
}

fn inside(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (place, kind) = (to.join(entry.file_name()), entry.file_type()?);
        if kind.is_dir() {
            fs::create_dir(&place)?;
            inside(&entry.path(), &place)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &place)?;
        }
    }
    Ok(())
}

/// A text about the copies, as one about the directory.
pub(super) fn told(error: &impl ToString, scratch: &Path, path: &Path) -> String {
    let (copy, own) = (scratch.display().to_string(), path.display().to_string());
    error.to_string().replace(&copy, &own)
}
