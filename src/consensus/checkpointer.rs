//! Decides when a checkpoint is due, and purges the log behind the older of the two kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::log_store::LogStore;
use super::published::Published;
use super::snapshot::index_in;
use super::transfer::Transfers;
use super::types::Raft;
use crate::storage::{Checkpoints, Pressure, Space};

/// Entries and bytes that are enough while the disk is short of room: the log is what can go.
const SHORT_ENTRIES: u64 = 500;
const SHORT_BYTES: u64 = 4 * 1024 * 1024;
/// How often that is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// A checkpoint that takes longer than this is given up as far as waiting goes.
const PATIENCE: Duration = Duration::from_secs(120);
/// The same for a purge, which only sets a mark.
const PURGE_PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Checkpointer {
    raft: Raft,
    log: LogStore,
    published: Arc<Published>,
    checkpoints: Arc<Checkpoints>,
    space: Space,
    /// Entries applied since the last one that make the next one due, and bytes.
    entries: u64,
    bytes: u64,
    /// Bytes appended when the last checkpoint was begun.
    bytes_at_last: u64,
}

impl Checkpointer {
    pub fn new(
        raft: &Raft,
        log: &LogStore,
        published: &Arc<Published>,
        transfers: &Transfers,
        space: &Space,
        (entries, bytes): (u64, u64),
    ) -> Self {
        let (checkpoints, space) = (transfers.checkpoints(), space.clone());
        let (raft, log, published) = (raft.clone(), log.clone(), Arc::clone(published));
        Self { raft, log, published, checkpoints, space, entries, bytes, bytes_at_last: 0 }
    }

    /// Runs until `stop` turns true, then takes a last checkpoint.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let stopping = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                _ = stop.wait_for(|stop| *stop) => true,
            };
            let applied = *self.published.applied.borrow();
            let due = if stopping { applied > self.last_index() } else { self.is_due(applied) };
            if due {
                self.take(applied).await;
            }
            if stopping {
                return;
            }
        }
    }

    fn last_index(&self) -> u64 {
        let newest = self.published.checkpoint();
        newest.as_ref().and_then(|(meta, _)| meta.last_log_id).map_or(0, |id| id.index)
    }

    fn is_due(&self, applied: u64) -> bool {
        let last = self.last_index();
        let bytes = self.log.appended_bytes().saturating_sub(self.bytes_at_last);
        let (entries, bytes_min) = match self.space.pressure() {
            Pressure::None => (self.entries, self.bytes),
            _ => (self.entries.min(SHORT_ENTRIES), self.bytes.min(SHORT_BYTES)),
        };
        if applied <= last || (applied - last < entries && bytes < bytes_min) {
            return false;
        }
        // Copying a large state more often than its log outgrows it would cost more than it saves.
        let size = self.published.checkpoint().as_ref().map_or(0, |(_, source)| source.bytes());
        applied - last >= entries || bytes >= size
    }

    async fn take(&mut self, applied: u64) {
        let bytes = self.log.appended_bytes();
        let mut metrics = self.raft.metrics();
        if self.raft.trigger().snapshot().await.is_err() {
            return;
        }
        let taken = metrics.wait_for(|now| {
            now.running_state.is_err() || now.snapshot.is_some_and(|id| id.index >= applied)
        });
        match timeout(PATIENCE, taken).await {
            Ok(Ok(_)) => {}
            _ => return tracing::warn!(applied, "a checkpoint takes unusually long"),
        }
        self.bytes_at_last = bytes;
        self.purge().await;
    }

    /// Purges up to the older of the two checkpoints kept; with one there is nothing to purge.
    async fn purge(&self) {
        let kept = match self.checkpoints.list() {
            Ok(kept) => kept,
            Err(error) => return tracing::warn!(%error, "the log is not purged"),
        };
        let [_, (older, _)] = kept.as_slice() else { return };
        let Some(upto) = index_in(older) else { return };
        if let Err(error) = self.raft.trigger().purge_log(upto).await {
            return tracing::warn!(%error, "the log is not purged");
        }
        let mut metrics = self.raft.metrics();
        let purged = metrics.wait_for(|now| {
            now.running_state.is_err() || now.purged.is_some_and(|id| id.index >= upto)
        });
        if timeout(PURGE_PATIENCE, purged).await.is_err() {
            tracing::warn!(upto, "purging the log takes unusually long");
        }
    }
}
