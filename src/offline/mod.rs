//! What is done with backups and data directories while no node runs: verify, restore, inspect.
//!
//! Owns: the order of things, and what an operator is told. Does not own: the form of a backup
//! (`backup`), the making and reading of a directory (`consensus::offline`), what a restore
//! means for jobs and runs (`machine::prepare::restore`, `machine::apply`).
//!
//! ```text
//! verify:   file ─> Decoder ─> checkpoint: decodes, invariants ─> Verified
//!                           └> rows: each decodes, and stands under its own key
//! restore:  verify, all of it ─> empty directory ─> rows, as they are
//!                                state ─> Op::Restored ─> state, rows ─> identity, last of all
//! rehearse: what happens, what attempts do ─> prepare, plan, apply ─> rows, state ─> identity
//! ```
//!
//! To add a check: where the thing is read; both verify and restore go through `verify`.

mod rehearse;
mod restore;
mod verify;

pub use crate::consensus::offline::{Fault, Inspected, inspect};
pub use rehearse::{Beginning, Ending, Happening, Rehearsal, Rehearsed, rehearse};
pub use restore::{AsOf, Restored, Restoring, restore};
pub use verify::{Verified, verify, verify_outside};

use std::path::{Path, PathBuf};

use crate::consensus::offline::RebuildError;
use crate::{backup, storage};

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file can't be read.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The backup is not good.
    #[error("{path}: {source}", path = path.display())]
    Backup {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: backup::Error,
    },
    /// What is in the backup is not good, although it is as it was written.
    #[error("{path}: {what}", path = path.display())]
    Inside {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The directory can't be made.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// It can't be used so.
    #[error("{0}")]
    Refused(String),
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        Self::Rebuild(error.into())
    }
}

fn file(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}
