//! What readers see of the machine: the state, how far it is, what happened lately, the newest
//! checkpoint.

use std::sync::{Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::events::Events;
use super::purge_guard::PurgeGuard;
use super::types::SnapshotMeta;
use crate::machine::State;
use crate::storage::Source;

/// What readers see of the machine; shared by all handles of a node.
pub(super) struct Published {
    /// The state after the last applied entry.
    pub state: ArcSwap<State>,
    /// The index of that entry, 0 before the first.
    pub applied: watch::Sender<u64>,
    /// Counts the changes of who may come in.
    pub access: watch::Sender<u64>,
    /// What happened lately.
    pub events: Events,
    /// The newest checkpoint.
    checkpoint: Mutex<Option<(SnapshotMeta, Source)>>,
    /// How far checkpoints let the log be forgotten.
    purge_guard: PurgeGuard,
    /// Done to the state before the next entry, so that tests see what becomes of a replica that is
    /// not like the others.
    #[cfg(test)]
    plant: Mutex<Option<fn(&mut State)>>,
}

impl Published {
    /// The state at an index, and the checkpoint that it was read from, if it was.
    pub fn new(
        state: State,
        index: Option<u64>,
        checkpoint: Option<(SnapshotMeta, Source)>,
        purge_guard: PurgeGuard,
    ) -> Self {
        purge_guard.reach(index.unwrap_or_default());
        Self {
            state: ArcSwap::from_pointee(state),
            applied: watch::Sender::new(index.unwrap_or_default()),
            access: watch::Sender::new(0),
            events: Events::starting_at(index),
            checkpoint: Mutex::new(checkpoint),
            purge_guard,
            #[cfg(test)]
            plant: Mutex::default(),
        }
    }

    /// Offers a checkpoint that is durable; returns the newest there is.
    pub fn offer(&self, meta: SnapshotMeta, source: Source) -> (SnapshotMeta, Source) {
        self.purge_guard.reach(meta.last_log_id.map_or(0, |id| id.index));
        let mut newest = self.checkpoint();
        match &*newest {
            Some((held, kept)) if held.last_log_id > meta.last_log_id => {
                (held.clone(), kept.clone())
            }
            _ => newest.insert((meta, source)).clone(),
        }
    }

    /// See [`Published::plant`].
    #[cfg(test)]
    pub fn plant(&self) -> MutexGuard<'_, Option<fn(&mut State)>> {
        self.plant.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> MutexGuard<'_, Option<(SnapshotMeta, Source)>> {
        self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
