//! Backups and data directories: `backup`, `restore`, `doctor`.
//!
//! Owns: arguments, progress, what is told and with which exit code. Does not own: the form of a
//! backup (`backup`), nor what is done with one (`offline`).
//!
//! To add a command: a file with its `Options` and `run`, an arm in `cli/mod.rs`, docs/cli.md.

pub(super) mod backup;
pub(super) mod doctor;
mod partial;
mod passphrase;
mod progress;
pub(super) mod restore;

use super::exit::Failure;
use crate::offline;

impl From<offline::Error> for Failure {
    fn from(error: offline::Error) -> Self {
        match error {
            offline::Error::Refused(_) => Failure::usage(error.to_string()),
            other => Failure::failed(other.to_string()),
        }
    }
}

/// Something failed, and says itself how.
fn failed(error: impl ToString) -> Failure {
    Failure::failed(error.to_string())
}
