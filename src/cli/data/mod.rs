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
mod remote;
pub(super) mod restore;

use std::process::ExitCode;

use super::audit_fires::client::Trouble;
use crate::offline;

/// Why a command ends early: what is told, and the exit code.
pub(super) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    fn new(text: impl ToString) -> Self {
        Self { text: text.to_string(), code: 1 }
    }

    fn usage(text: impl ToString) -> Self {
        Self { text: text.to_string(), code: 2 }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self { text: trouble.to_string(), code: trouble.exit_code() }
    }
}

impl From<offline::Error> for Failure {
    fn from(error: offline::Error) -> Self {
        match error {
            offline::Error::Refused(_) => Self::usage(error),
            other => Self::new(other),
        }
    }
}

fn ended(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cronapi: {}", failure.text);
            ExitCode::from(failure.code)
        }
    }
}
