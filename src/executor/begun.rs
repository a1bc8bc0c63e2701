//! Which attempts this boot has begun, and whether they go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::machine::State;
use crate::machine::state::OpenRun;
use crate::model::{BootId, Fence, NodeId, OnLeaseLost};

/// Why the node wants an attempt stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopFor {
    /// Nothing yet.
    Nothing,
    /// It must not begin: its planned start was withdrawn, or the node leaves. Once it has
    /// begun it goes on.
    NotBegin,
    /// The state says so.
    Cancel,
    /// The node was cut off, and the job wants it so.
    LeaseLost,
    /// The node goes down.
    Shutdown,
}

/// What became of the task of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It has ended, or was told that it must not begin.
    Over,
    /// It did not begin, because the lease was over. It may be begun later.
    Untouched,
}

/// An attempt to begin, and what stops it.
pub(super) type Order = (Fence, Arc<OpenRun>, watch::Receiver<StopFor>);

/// The attempts of this boot. One stands here from its beginning until its task is over and
/// the state no longer shows it. A fence is never given out twice, and states come in order:
/// an attempt that is gone from one does not come back. So none is begun twice.
pub(super) struct Begun {
    node: NodeId,
    boot: BootId,
    by_fence: BTreeMap<Fence, Known>,
}

struct Known {
    stop: watch::Sender<StopFor>,
    /// Its job wants it stopped when the node may have been given up.
    kill: bool,
    /// Its task is not over.
    going: bool,
    shown: bool,
}

impl Known {
    /// Asks it to stop, unless it was asked before.
    fn stop(&self, why: StopFor) {
        self.stop.send_if_modified(|stop| {
            let first = !stop.ends() && *stop != why;
            if first {
                *stop = why;
            }
            first
        });
    }
}

impl StopFor {
    /// Whether an attempt that has begun is stopped too.
    pub(super) fn ends(self) -> bool {
        !matches!(self, StopFor::Nothing | StopFor::NotBegin)
    }
}

/// What an attempt that is new in the state may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum New {
    /// Begin.
    Begins,
    /// Wait: there is no lease.
    Waits,
    /// Not begin any more: the node leaves. What has not begun is handed back.
    HandedBack,
}

impl Begun {
    /// None yet, of that boot of a node.
    pub(super) fn new(node: NodeId, boot: BootId) -> Begun {
        Begun { node, boot, by_fence: BTreeMap::new() }
    }

    /// Stops what `state` wants stopped; gives what is new in it, unless that has to wait.
    pub(super) fn look(&mut self, state: &State, new: New) -> Vec<Order> {
        let mut orders = Vec::new();
        self.by_fence.values_mut().for_each(|known| known.shown = false);
        for open in state.placed_on(self.node) {
            let Some((fence, boot)) = open.held() else { continue };
            if boot != self.boot {
                continue;
            }
            let stop = match open.ahead {
                _ if open.cancel => StopFor::Cancel,
                Some(ahead) if ahead.withdrawn => StopFor::NotBegin,
                _ if new == New::HandedBack => StopFor::NotBegin,
                _ => StopFor::Nothing,
            };
            match self.by_fence.get_mut(&fence) {
                Some(known) => {
                    known.shown = true;
                    if stop != StopFor::Nothing {
                        known.stop(stop);
                    }
                }
                None if new == New::Waits => {}
                None => orders.push(self.begin(fence, open, stop)),
            }
        }
        self.by_fence.retain(|_, known| known.shown || known.going);
        // What goes on and is not shown was given up by the log, or has told its end.
        for known in self.by_fence.values().filter(|known| !known.shown && known.kill) {
            known.stop(StopFor::LeaseLost);
        }
        orders
    }

    fn begin(&mut self, fence: Fence, open: &Arc<OpenRun>, first: StopFor) -> Order {
        let (stop, stopped) = watch::channel(first);
        let kill = open.spec.on_lease_lost() == OnLeaseLost::Kill;
        self.by_fence.insert(fence, Known { stop, kill, going: true, shown: true });
        (fence, open.clone(), stopped)
    }

    /// The task of an attempt is over.
    pub(super) fn over(&mut self, fence: Fence, left: Left) {
        match left {
            Left::Untouched => drop(self.by_fence.remove(&fence)),
            Left::Over => {
                if let Some(known) = self.by_fence.get_mut(&fence) {
                    known.going = false;
                }
            }
        }
    }

    /// The node may be given up from now on.
    pub(super) fn lease_lost(&self) {
        for known in self.by_fence.values().filter(|known| known.kill) {
            known.stop(StopFor::LeaseLost);
        }
    }

    /// The node goes down and waits no longer.
    pub(super) fn stop_all(&self) {
        for known in self.by_fence.values() {
            known.stop.send_replace(StopFor::Shutdown);
        }
    }
}

#[cfg(test)]
mod tests;
