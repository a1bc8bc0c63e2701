//! Digests of the whole state, at the same entries on every node: the first ones after so much log
//! time. They find what the digest of the log can't: a state that is not what the log made it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::proofs::Proofs;
use crate::machine::State;
use crate::machine::state::Proof;
use crate::model::{Span, Timestamp};
use crate::storage::{Error, off_thread};

/// When the next one is due, and who gets it.
pub(super) struct Proving {
    every: Span,
    proofs: Arc<Proofs>,
    /// There are threads to do it on.
    blocks: bool,
    /// One is under way: a state that is large takes its time, and the next one is left out.
    busy: Arc<AtomicBool>,
}

impl Proving {
    pub fn new(every: Span, proofs: Arc<Proofs>, blocks: bool) -> Self {
        Self { every, proofs, blocks, busy: Arc::default() }
    }

    /// The state after an entry that moved log time on from `before`.
    pub fn applied(&self, before: Timestamp, state: &State) {
        let every = self.every.millis().max(1);
        let period = |at: Timestamp| at.millis() / every;
        if state.proof.is_none() || period(before) == period(state.last_at) {
            return;
        }
        if self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        // It shares all there is with the one that goes on.
        let (state, proofs) = (state.clone(), Arc::clone(&self.proofs));
        let (blocks, busy) = (self.blocks, Arc::clone(&self.busy));
        tokio::spawn(async move {
            let digest = off_thread(blocks, "digest the state", move || {
                let digest = state.digest().map_err(|error| Error::Engine {
                    op: "digest the state",
                    reason: error.to_string(),
                })?;
                Ok(Proof { index: state.proof.index, digest })
            });
            match digest.await {
                Ok(proof) => proofs.whole(proof),
                Err(error) => tracing::warn!(%error, "the state has no digest"),
            }
            busy.store(false, Ordering::Release);
        });
    }
}
