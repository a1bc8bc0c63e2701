//! Watches the state for attempts of this boot, starts each once, stops those that are
//! wanted stopped.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::machine::State;
use crate::model::Fence;

use super::attempt::{StopFor, carry_out};
use super::parts::Parts;

/// This node's attempts.
pub struct Executor {
    parts: Arc<Parts>,
    /// Attempts that were started, until the state no longer shows them. A fence is never
    /// given out twice, so what stands here is never started again.
    known: HashMap<Fence, watch::Sender<StopFor>>,
    running: JoinSet<Fence>,
}

impl Executor {
    /// With nothing running yet.
    pub fn new(parts: Parts) -> Executor {
        Executor { parts: Arc::new(parts), known: HashMap::new(), running: JoinSet::new() }
    }

    /// Works until `drain` turns true and what runs has ended, or `patience` has passed
    /// since; then stops the rest, which are reported as lost.
    pub async fn run(mut self, mut drain: watch::Receiver<bool>, patience: Duration) {
        let mut applied = self.parts.consensus.applied();
        while !*drain.borrow() {
            applied.borrow_and_update();
            let state = self.parts.consensus.state();
            self.look(&state);
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { break },
                Some(ended) = self.running.join_next() => self.ended(ended),
                _ = drain.wait_for(|drain| *drain) => break,
            }
        }
        self.drain(applied, patience).await;
    }

    /// Waits for what runs; cancels still count, new attempts do not start.
    async fn drain(&mut self, mut applied: watch::Receiver<u64>, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        let mut told = false;
        while !self.running.is_empty() {
            self.stop_cancelled(&self.parts.consensus.state());
            tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended),
                Ok(()) = applied.changed() => {}
                () = tokio::time::sleep_until(deadline), if !told => {
                    told = true;
                    tracing::warn!(attempts = self.running.len(), "stopping what still runs");
                    for stop in self.known.values() {
                        stop.send_replace(StopFor::Shutdown);
                    }
                }
            }
        }
    }

    fn ended(&mut self, ended: Result<Fence, tokio::task::JoinError>) {
        if let Err(error) = ended {
            tracing::error!(%error, "an attempt's task died");
        }
    }

    /// Starts what is new in `state`. States come in order, so an attempt that is gone from
    /// one does not come back in a later one, and its fence may be forgotten.
    fn look(&mut self, state: &State) {
        let mut shown = HashMap::new();
        for open in state.placed_on(self.parts.node) {
            let Some((fence, boot)) = open.held() else { continue };
            if boot != self.parts.boot {
                continue;
            }
            let stop = self.known.remove(&fence).unwrap_or_else(|| {
                let (stop, stopped) = watch::channel(StopFor::Nothing);
                let (parts, open) = (self.parts.clone(), open.clone());
                self.running.spawn(async move {
                    carry_out(parts, open, stopped).await;
                    fence
                });
                stop
            });
            if open.cancel {
                cancel(&stop);
            }
            shown.insert(fence, stop);
        }
        self.known = shown;
    }

    fn stop_cancelled(&self, state: &State) {
        for open in state.placed_on(self.parts.node).filter(|open| open.cancel) {
            if let Some(stop) = open.held().and_then(|(fence, _)| self.known.get(&fence)) {
                cancel(stop);
            }
        }
    }
}

/// Asks an attempt to stop, unless it was asked before.
fn cancel(stop: &watch::Sender<StopFor>) {
    stop.send_if_modified(|stop| {
        let first = *stop == StopFor::Nothing;
        if first {
            *stop = StopFor::Cancel;
        }
        first
    });
}
