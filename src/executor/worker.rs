//! Watches the state for attempts of this boot, begins each once, stops those that are
//! wanted stopped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::model::Fence;

use super::attempt::carry_out;
use super::begun::{Begun, Left, New};
use super::busy::Busy;
use super::lease::{Lease, holds, turned};
use super::parts::Parts;

/// This node's attempts.
pub struct Executor {
    parts: Arc<Parts>,
    lease: Lease,
    begun: Begun,
    busy: Busy,
    running: JoinSet<(Fence, Left)>,
}

impl Executor {
    /// With nothing running yet.
    pub fn new(parts: Parts) -> Executor {
        let (lease, begun) = (parts.lease.clone(), Begun::new(parts.node, parts.boot));
        let (parts, busy) = (Arc::new(parts), Busy::new());
        Executor { parts, lease, begun, busy, running: JoinSet::new() }
    }

    /// Whether attempts are carried out, or what is left is to report how they ended.
    pub fn busy(&self) -> Busy {
        self.busy.clone()
    }

    /// Works until `drain` turns true and what runs has ended, or `patience` has passed
    /// since; then stops the rest, which are reported as lost.
    pub async fn run(mut self, mut drain: watch::Receiver<bool>, patience: Duration) {
        let mut applied = self.parts.consensus.applied();
        while !*drain.borrow() {
            // Asked before the state is read: see `Parts::lease`.
            let held = holds(&self.lease);
            applied.borrow_and_update();
            self.look(held, if held { New::Begins } else { New::Waits });
            tokio::select! {
                changed = applied.changed() => if changed.is_err() { break },
                Some(ended) = self.running.join_next() => self.ended(ended),
                () = turned(&mut self.lease, held) => {}
                _ = drain.wait_for(|drain| *drain) => break,
            }
        }
        self.drain(applied, patience).await;
    }

    /// Waits for what runs; cancels still count. What has not begun is handed back.
    async fn drain(&mut self, mut applied: watch::Receiver<u64>, patience: Duration) {
        let deadline = tokio::time::Instant::now() + patience;
        let mut told = false;
        loop {
            let held = holds(&self.lease);
            self.look(held, New::HandedBack);
            if self.running.is_empty() {
                return;
            }
            tokio::select! {
                Some(ended) = self.running.join_next() => self.ended(ended),
                Ok(()) = applied.changed() => {}
                () = turned(&mut self.lease, held) => {}
                () = tokio::time::sleep_until(deadline), if !told => {
                    told = true;
                    tracing::warn!(attempts = self.running.len(), "stopping what still runs");
                    self.begun.stop_all();
                }
            }
        }
    }

    fn look(&mut self, held: bool, new: New) {
        if !held {
            self.begun.lease_lost();
        }
        for (fence, open, stopped) in self.begun.look(&self.parts.consensus.state(), new) {
            let (parts, one) = (self.parts.clone(), self.busy.one());
            self.running.spawn(async move { (fence, carry_out(parts, open, stopped, one).await) });
        }
    }

    fn ended(&mut self, ended: Result<(Fence, Left), JoinError>) {
        match ended {
            Ok((fence, left)) => self.begun.over(fence, left),
            Err(error) => tracing::error!(%error, "an attempt's task died"),
        }
    }
}
