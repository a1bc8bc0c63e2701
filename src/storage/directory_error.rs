//! Why a data directory can't be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use crate::chance::NoChance;

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

pub(super) fn unwritable(path: &Path, error: Error) -> DirectoryError {
    let source = match error {
        Error::File { source, .. } => source,
        other => io::Error::other(other),
    };
    DirectoryError::Unwritable { path: path.to_owned(), source }
}
