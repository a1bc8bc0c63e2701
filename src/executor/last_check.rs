//! The way to the beginning of an attempt: its time has come, the node has its lease, the
//! state still wants it, and nobody wants it stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use crate::clock::Clock;
use crate::consensus::Handle;
use crate::machine::State;
use crate::machine::state::OpenRun;
use crate::model::{Fence, RunId, Timestamp};

use super::begun::StopFor;
use super::lease;
use super::runner;

/// When the attempt started, once it has.
#[derive(Default)]
pub(super) struct Started {
    micros: AtomicI64,
    refused: AtomicBool,
    /// Told when it starts.
    pub known: Notify,
}

impl Started {
    pub(super) fn at(&self) -> Option<Timestamp> {
        match self.micros.load(Ordering::Acquire) {
            0 => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }

    /// It was not allowed to.
    pub(super) fn refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Release);
    }
}

/// Asked last, directly before the attempt begins.
pub struct LastCheck<'a> {
    pub(super) lease: &'a watch::Receiver<Instant>,
    pub(super) consensus: &'a Handle,
    pub(super) clock: &'a dyn Clock,
    pub(super) run: RunId,
    pub(super) fence: Fence,
    pub(super) stop: watch::Receiver<StopFor>,
    pub(super) started: Arc<Started>,
}

impl runner::Start for LastCheck<'_> {
    fn may(&self) -> bool {
        let may = lease::holds(self.lease)
            && *self.stop.borrow() == StopFor::Nothing
            && wanted(&self.consensus.state(), self.run, self.fence);
        if !may {
            self.started.refuse();
        }
        may
    }

    fn begun(self, _process: Option<u32>) {
        self.started.micros.store(self.clock.now().micros(), Ordering::Release);
        self.started.known.notify_one();
    }
}

/// Whether the state wants that attempt begun: what this node has applied counts, though the
/// worker may not have looked at it yet.
fn wanted(state: &State, run: RunId, fence: Fence) -> bool {
    let Some(open) = state.runs.get(&run) else { return false };
    let held = open.held().is_some_and(|(held, _)| held == fence);
    held && !open.cancel && open.ahead.is_none_or(|ahead| !ahead.withdrawn)
}

/// Waits until a start that is planned has come, by the node's clock; a clock that is behind
/// or stands still makes it wait no longer than the plan lay ahead when it was made. False:
/// it must not begin.
pub(super) async fn come(
    open: &OpenRun,
    clock: &dyn Clock,
    stop: &mut watch::Receiver<StopFor>,
) -> bool {
    let (Some(ahead), Some(last)) = (open.ahead, open.run.attempts.last()) else { return true };
    let latest = Instant::now() + ahead.start_at.since(last.assigned_at).std();
    loop {
        let left = ahead.start_at.micros() - clock.now().micros();
        let now = Instant::now();
        if left <= 0 || now >= latest {
            return true;
        }
        let by_clock = now + Duration::from_micros(left.unsigned_abs());
        tokio::select! {
            () = sleep_until(by_clock.min(latest)) => {}
            Ok(_) = stop.wait_for(|stop| *stop != StopFor::Nothing) => return false,
        }
    }
}

#[cfg(test)]
mod tests;
