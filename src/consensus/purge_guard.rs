//! How far the log may be forgotten.
//!
//! When a checkpoint comes from a leader, the library hands it to the machine and has the log
//! purged up to it without waiting for the machine. A crash in between would leave neither the
//! entries nor the checkpoint that stands for them. So a purge waits here until a durable
//! checkpoint covers it. The library's core waits with it; what is left to do of an install by
//! then is renaming a file (`transfer`).

use std::sync::Arc;

use tokio::sync::watch;

use crate::storage::{self, Fatal};

/// The index that durable checkpoints cover. Clones share it.
#[derive(Clone)]
pub(super) struct PurgeGuard {
    index: Arc<watch::Sender<u64>>,
}

impl PurgeGuard {
    /// Everything up to `index` may be forgotten.
    pub fn upto(index: u64) -> Self {
        Self { index: Arc::new(watch::Sender::new(index)) }
    }

    /// A checkpoint of this index is durable.
    pub fn reach(&self, index: u64) {
        self.index.send_if_modified(|reached| {
            let further = index > *reached;
            *reached = index.max(*reached);
            further
        });
    }

    /// Returns once `index` is covered.
    ///
    /// # Errors
    /// Storage failed, so it never will be.
    pub async fn wait_for(&self, index: u64, fatal: &Fatal) -> Result<(), storage::Error> {
        let (mut reached, mut failed) = (self.index.subscribe(), fatal.watch());
        tokio::select! {
            biased;
            _ = reached.wait_for(|reached| *reached >= index) => Ok(()),
            _ = failed.wait_for(Option::is_some) => Err(storage::Error::Stopped),
        }
    }
}
