//! Applies committed entries to the machine, and publishes what they did.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{AnyError, EntryPayload, OptionalSend, StorageIOError};
use tokio::time::Instant;

use super::carried::{Carried, Received};
use super::count::Count;
use super::proofs::Proofs;
use super::proving::Proving;
use super::published::Published;
use super::purge_guard::PurgeGuard;
use super::recovery::Recovered;
use super::snapshot::SnapshotBuilder;
use super::transfer::{self, Transfers};
use super::types::{
    Answers, Entry, LogId, Node, NodeId, Payload, Snapshot, SnapshotMeta, StorageError,
    StoredMembership, TypeConfig,
};
use crate::machine::state::FORMAT;
use crate::machine::{self, Output, State};
use crate::model::Span;
use crate::storage::{self, Checkpoints, Fatal, History, Source, off_thread};

/// Why an entry can't be applied here.
#[derive(Debug, thiserror::Error)]
enum ApplyError {
    #[error("its history can't be kept: {0}")]
    History(#[from] storage::Error),
    #[error("the machine panicked")]
    Panicked,
    #[error(
        "the cluster has gone on to format {0}, and this version of CronAPI reads up to {FORMAT}: \
         start a newer version on this data directory"
    )]
    Newer(u32),
}

/// The machine, as the consensus library drives it.
pub(super) struct StateMachine {
    last_applied: Option<LogId>,
    membership: StoredMembership,
    state: State,
    published: Arc<Published>,
    pub history: History,
    checkpoints: Arc<Checkpoints>,
    transfers: Transfers,
    fatal: Fatal,
    count: Count,
    proofs: Arc<Proofs>,
    proving: Proving,
}

impl StateMachine {
    /// Goes on from what was recovered.
    pub fn new(
        recovered: Recovered,
        history: History,
        transfers: Transfers,
        purge_guard: PurgeGuard,
        fatal: Fatal,
        count: Count,
        prove_every: Span,
    ) -> Self {
        let index = recovered.meta.last_log_id.map(|id| id.index);
        let (state, checkpoint) = (recovered.state.clone(), recovered.checkpoint());
        let published = Arc::new(Published::new(state, index, checkpoint, purge_guard));
        let checkpoints = transfers.checkpoints();
        let SnapshotMeta { last_log_id: last_applied, last_membership: membership, .. } =
            recovered.meta;
        let state = recovered.state;
        let proofs = Arc::new(Proofs::default());
        proofs.begins_at(state.proof);
        let proving = Proving::new(prove_every, Arc::clone(&proofs), checkpoints.blocks());
        Self {
            last_applied,
            membership,
            state,
            published,
            history,
            checkpoints,
            transfers,
            fatal,
            count,
            proofs,
            proving,
        }
    }

    /// The digests of what it applies.
    pub fn proofs(&self) -> Arc<Proofs> {
        Arc::clone(&self.proofs)
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
        self.count.entry(log_id, &output.facts);
        self.last_applied = Some(log_id);
        Ok(answers)
    }

    fn apply_batch(
        &mut self,
        index: u64,
        payload: &Payload,
        output: &mut Output,
    ) -> Result<Answers, ApplyError> {
        #[cfg(test)]
        if let Some(plant) = self.published.plant().take() {
            plant(&mut self.state);
        }
        let began = self.state.last_at;
        let state = &mut self.state;
        // The same input panics on every node, and a half-applied batch must not be answered or
        // checkpointed: the node stops, with its log as the evidence.
        let all = AssertUnwindSafe(|| {
            machine::apply_entry(state, index, payload.batch.commands(), output)
        });
        let answers = catch_unwind(all).map_err(|_| ApplyError::Panicked)?;
        self.proofs.applied(self.state.proof);
        self.proving.applied(began, &self.state);
        match self.state.format() {
            newer if newer > FORMAT => Err(ApplyError::Newer(newer)),
            _ => Ok(Answers(answers)),
        }
    }

    /// Takes what was received in place of everything there was. A crash leaves the old or the
    /// new: what decides is whether the checkpoint, which names the history, is there.
    async fn install(&mut self, meta: &SnapshotMeta, with: Carried) -> Result<(), transfer::Error> {
        let received = transfer::received(meta, with, &self.transfers).await?;
        let Received { checkpoint, state, generation } = received;
        generation.keep();
        let checkpoints = Arc::clone(&self.checkpoints);
        let reveal = move || checkpoints.reveal(checkpoint);
        let source = off_thread(self.checkpoints.blocks(), "publish a checkpoint", reveal).await?;
        // From here on the log may be purged, and a restart begins with the new checkpoint.
        self.published.offer(meta.clone(), source);
        let old = self.history.switch_to(generation).await?;
        // It is removed once its last reader is through.
        old.give_up();
        drop(old);
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.state = state;
        self.proofs.begins_at(self.state.proof);
        self.publish();
        self.published.events.restart_at(meta.last_log_id.map_or(0, |id| id.index));
        Ok(())
    }

    /// Ends the node over an entry it can't apply.
    fn give_up(&self, log_id: LogId, error: &ApplyError) -> StorageError {
        self.fatal.raise(format!("entry {}: {error}", log_id.index));
        StorageIOError::apply(log_id, AnyError::new(error)).into()
    }

    fn publish(&self) {
        let before = self.published.state.swap(Arc::new(self.state.clone()));
        if !before.access.lets_in_as(&self.state.access) {
            self.published.access.send_modify(|changes| *changes += 1);
        }
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
        let began = Instant::now();
        let mut answers = Vec::new();
        for entry in entries {
            let log_id = entry.log_id;
            let room = self.history.room().await.map_err(ApplyError::History);
            let applied = room.and_then(|()| self.apply_entry(entry));
            answers.push(applied.map_err(|e| self.give_up(log_id, &e))?);
        }
        self.publish();
        self.count.applied(began);
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            last_applied: self.last_applied,
            membership: self.membership.clone(),
            state: self.state.clone(),
            generation: self.history.generation().number(),
            published: Arc::clone(&self.published),
            history: self.history.clone(),
            checkpoints: Arc::clone(&self.checkpoints),
        }
    }

    /// Only the library's own transfer asks for it, which is not used: `transfer` is ours.
    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Carried>, StorageError> {
        let (checkpoint, history) = (Source::Memory(Arc::default()), self.history.clone());
        Ok(Box::new(Carried::Own { checkpoint, history }))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Carried>,
    ) -> Result<(), StorageError> {
        let installed = self.install(meta, *snapshot).await;
        installed.map_err(|e| {
            // The log waits for this checkpoint, so nothing goes on without it.
            self.fatal.raise(format!("installing a checkpoint: {e}"));
            let signature = Some(meta.signature());
            StorageIOError::read_snapshot(signature, AnyError::new(&e)).into()
        })
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let current = self.published.checkpoint().clone();
        Ok(current.map(|(meta, checkpoint)| {
            let own = Carried::Own { checkpoint, history: self.history.clone() };
            Snapshot { meta, snapshot: Box::new(own) }
        }))
    }
}
