//! Builds a checkpoint from a clone of the machine, while the machine goes on.

use std::io;
use std::sync::Arc;

use openraft::{AnyError, RaftSnapshotBuilder, StorageIOError};

use super::carried::Carried;
use super::convert::{self, Head};
use super::published::Published;
use super::types::{LogId, Snapshot, SnapshotMeta, StorageError, StoredMembership, TypeConfig};
use crate::machine::State;
use crate::storage::{self, Checkpoints, History, Source, off_thread};

/// A clone of the machine at an index, and where its checkpoint goes.
pub(super) struct SnapshotBuilder {
    pub last_applied: Option<LogId>,
    pub membership: StoredMembership,
    pub state: State,
    /// Where its history is.
    pub generation: u32,
    pub published: Arc<Published>,
    pub history: History,
    pub checkpoints: Arc<Checkpoints>,
}

impl SnapshotBuilder {
    /// Makes the history durable up to the index, then publishes the checkpoint: a checkpoint
    /// never promises history that a crash could still take.
    pub async fn build(&mut self) -> Result<Snapshot, storage::Error> {
        if self.history.durable_index() < self.last_applied.map(|id| id.index) {
            self.history.persist().await?;
        }
        let name = name(self.last_applied);
        let meta = SnapshotMeta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
            snapshot_id: name.clone(),
        };
        let head = Head { meta, installed: false, generation: self.generation };
        let sealed = convert::seal_head(&head);
        let (state, checkpoints) = (self.state.clone(), Arc::clone(&self.checkpoints));
        let publish = move || {
            checkpoints.publish(&name, &sealed, |mut out| {
                rmp_serde::encode::write_named(&mut out, &state).map_err(io::Error::other)
            })
        };
        let source = off_thread(self.checkpoints.blocks(), "write a checkpoint", publish).await?;
        // One from a leader may have come meanwhile: then that one is the newest.
        let (meta, checkpoint) = self.published.offer(head.meta, source);
        let own = Carried::Own { checkpoint, history: self.history.clone() };
        Ok(Snapshot { meta, snapshot: Box::new(own) })
    }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        self.build()
            .await
            .map_err(|e| StorageIOError::write_snapshot(None, AnyError::new(&e)).into())
    }
}

/// The file name of a checkpoint: it sorts by index.
pub(super) fn name(last_applied: Option<LogId>) -> String {
    let (index, term, node) =
        last_applied.map_or((0, 0, 0), |id| (id.index, id.leader_id.term, id.leader_id.node_id));
    format!("{index:020}-{term}-{node}")
}

/// The index that a checkpoint's file name stands for.
pub(super) fn index_in(name: &str) -> Option<u64> {
    name.split('-').next()?.parse().ok()
}

/// Reads a checkpoint whole.
pub(super) fn read(source: &Source) -> Result<(Head, State), storage::Error> {
    source.read(|head, body| {
        let head = convert::open_head(head.clone()).map_err(|e| e.to_string())?;
        let state = rmp_serde::from_read(body).map_err(|e| e.to_string())?;
        Ok((head, state))
    })
}
