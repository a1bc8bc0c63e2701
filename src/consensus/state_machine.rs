//! Applies committed entries to the machine, and publishes what they did.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, StorageIOError};
use tokio::sync::watch;

use super::events::Events;
use super::recovery::{self, Recovered};
use super::snapshot::SnapshotBuilder;
use super::types::{
    Answers, Entry, LogId, Node, NodeId, Payload, Snapshot, SnapshotMeta, StorageError,
    StoredMembership, TypeConfig,
};
use crate::machine::{self, Output, State};
use crate::storage::{self, Checkpoints, Fatal, History, Source};

/// What readers see of the machine; shared by all handles of a node.
pub(super) struct Published {
    /// The state after the last applied entry.
    pub state: ArcSwap<State>,
    /// The index of that entry, 0 before the first.
    pub applied: watch::Sender<u64>,
    /// What happened lately.
    pub events: Events,
    /// The newest checkpoint.
    checkpoint: Mutex<Option<(SnapshotMeta, Source)>>,
}

impl Published {
    fn new(recovered: &Recovered) -> Self {
        let index = recovered.meta.last_log_id.map(|id| id.index);
        Self {
            state: ArcSwap::from_pointee(recovered.state.clone()),
            applied: watch::Sender::new(index.unwrap_or_default()),
            events: Events::starting_at(index),
            checkpoint: Mutex::new(recovered.checkpoint()),
        }
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> MutexGuard<'_, Option<(SnapshotMeta, Source)>> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why an entry can't be applied here.
#[derive(Debug, thiserror::Error)]
enum ApplyError {
    #[error("its history can't be kept: {0}")]
    History(#[from] storage::Error),
    #[error("the machine panicked")]
    Panicked,
}

/// The machine, as the consensus library drives it.
pub(super) struct StateMachine {
    last_applied: Option<LogId>,
    membership: StoredMembership,
    state: State,
    published: Arc<Published>,
    history: History,
    checkpoints: Arc<Checkpoints>,
    fatal: Fatal,
}

impl StateMachine {
    /// Goes on from what was recovered.
    pub fn new(
        recovered: Recovered,
        history: History,
        checkpoints: Arc<Checkpoints>,
        fatal: Fatal,
    ) -> Self {
        let published = Arc::new(Published::new(&recovered));
        let SnapshotMeta { last_log_id: last_applied, last_membership: membership, .. } =
            recovered.meta;
        let state = recovered.state;
        Self { last_applied, membership, state, published, history, checkpoints, fatal }
    }

    /// What readers see.
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    fn apply_entry(&mut self, entry: Entry) -> Result<Answers, ApplyError> {
        let log_id = entry.log_id;
        let mut output = Output::default();
        let answers = match entry.payload {
            EntryPayload::Blank => Answers::default(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(log_id), membership);
                Answers::default()
            }
            EntryPayload::Normal(payload) => {
                self.apply_batch(log_id.index, &payload, &mut output)?
            }
        };
        let rows = output.rows.into_iter().map(|row| (row.key, row.value)).collect();
        self.history.record(log_id.index, rows)?;
        self.published.events.publish(output.events);
        self.last_applied = Some(log_id);
        Ok(answers)
    }

    fn apply_batch(
        &mut self,
        index: u64,
        payload: &Payload,
        output: &mut Output,
    ) -> Result<Answers, ApplyError> {
        let state = &mut self.state;
        // The same input panics on every node, and a half-applied batch must not be answered or
        // checkpointed: the node stops, with its log as the evidence.
        let all = AssertUnwindSafe(|| {
            machine::apply_entry(state, index, payload.batch.commands(), output)
        });
        catch_unwind(all).map(Answers).map_err(|_| ApplyError::Panicked)
    }

    /// Ends the node over an entry it can't apply.
    fn give_up(&self, log_id: LogId, error: &ApplyError) -> StorageError {
        self.fatal.raise(format!("entry {}: {error}", log_id.index));
        StorageIOError::apply(log_id, AnyError::new(error)).into()
    }

    fn publish(&self) {
        self.published.state.store(Arc::new(self.state.clone()));
        if let Some(log_id) = self.last_applied {
            self.published.applied.send_replace(log_id.index);
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId>, openraft::StoredMembership<NodeId, Node>), StorageError> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Answers>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut answers = Vec::new();
        for entry in entries {
            let log_id = entry.log_id;
            let room = self.history.room().await.map_err(ApplyError::History);
            let applied = room.and_then(|()| self.apply_entry(entry));
            answers.push(applied.map_err(|e| self.give_up(log_id, &e))?);
        }
        self.publish();
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            last_applied: self.last_applied,
            membership: self.membership.clone(),
            state: self.state.clone(),
            published: Arc::clone(&self.published),
            history: self.history.clone(),
            checkpoints: Arc::clone(&self.checkpoints),
            installed: false,
            snapshot_id: None,
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Source>, StorageError> {
        Ok(Box::new(Source::Memory(Arc::default())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Source>,
    ) -> Result<(), StorageError> {
        let failed = |e: storage::Error| {
            let signature = Some(meta.signature());
            StorageError::from(StorageIOError::read_snapshot(signature, AnyError::new(&e)))
        };
        let read = recovery::read(*snapshot).await.map_err(failed)?;
        let mut builder = self.get_snapshot_builder().await;
        builder.last_applied = meta.last_log_id;
        builder.membership = meta.last_membership.clone();
        builder.state = read.state.clone();
        builder.snapshot_id = Some(meta.snapshot_id.clone());
        builder.installed = true;
        // The checkpoint first: a crash before the jump is mended when it is recovered from.
        builder.build().await.map_err(failed)?;
        if let Some(log_id) = meta.last_log_id {
            self.history.jump_to(log_id.index).await.map_err(failed)?;
        }
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.state = read.state;
        self.publish();
        if let Some(log_id) = meta.last_log_id {
            self.published.events.restart_at(log_id.index);
        }
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let current = self.published.checkpoint().clone();
        Ok(current.map(|(meta, source)| Snapshot { meta, snapshot: Box::new(source) }))
    }
}
