//! The identity of a running node, which changes when the node becomes part of a cluster.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::directory::write_refusal;
use super::directory_error::DirectoryError;
use super::format_file::write_identity;
use super::identity::Identity;

/// Where it is kept: in a data directory, or in memory.
#[derive(Clone)]
pub struct Identities {
    now: Arc<Mutex<Identity>>,
    directory: Option<PathBuf>,
}

impl Identities {
    /// In the data directory at `path`, which holds `identity` now.
    pub fn in_directory(path: PathBuf, identity: Identity) -> Self {
        Self { now: Arc::new(Mutex::new(identity)), directory: Some(path) }
    }

    /// In memory.
    pub fn in_memory(identity: Arc<Mutex<Identity>>) -> Self {
        Self { now: identity, directory: None }
    }

    /// As it is now.
    pub fn get(&self) -> Identity {
        self.locked().clone()
    }

    /// Changes it. On return the change is durable. Blocks on the disk for one small file.
    ///
    /// # Errors
    /// It can't be written; nothing has changed.
    pub fn change(&self, change: impl FnOnce(&mut Identity)) -> Result<(), DirectoryError> {
        let mut now = self.locked();
        let mut new = now.clone();
        change(&mut new);
        if let Some(path) = &self.directory {
            write_identity(path, &new)?;
        }
        *now = new;
        Ok(())
    }

    /// Notes beside it why this data must not be used again: the next start takes it for damaged.
    ///
    /// # Errors
    /// It can't be written.
    pub fn set_aside(&self, why: &str) -> Result<(), DirectoryError> {
        match &self.directory {
            Some(directory) => write_refusal(directory, why),
            None => Ok(()),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Identity> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
