//! What comes of what is known of the clocks (`clocks`): the time to decide by, and that a leader
//! with a wrong clock hands over.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::clocks::APART_MICROS;
use super::handle::Handle;
use super::types::NodeId;
use crate::model::Timestamp;

/// Between two looks, and how often it is said again.
const LOOK: Duration = Duration::from_millis(250);
const AGAIN: Duration = Duration::from_secs(60);

impl Handle {
    /// The time to decide by; none: this node's clock is over 2 s from most voters', and it is to
    /// decide nothing.
    pub fn time(&self) -> Option<Timestamp> {
        let voters: Vec<NodeId> = {
            let metrics = self.running.raft.metrics();
            let metrics = metrics.borrow();
            metrics.membership_config.membership().voter_ids().collect()
        };
        self.running.clocks.time(self.running.local.node, &voters)
    }

    /// How far this node's clock is ahead of most voters', in microseconds; none: not known.
    pub fn clock_ahead(&self) -> Option<i64> {
        self.running.clocks.ahead()
    }

    /// Whether this node's clock is known to be over 2 s from most voters'.
    pub fn clock_is_wrong(&self) -> bool {
        self.clock_ahead().is_some_and(|ahead| ahead.abs() > APART_MICROS)
    }

    /// The voter with a right clock that lacks least of the log.
    fn right_voter(&self) -> Option<NodeId> {
        let running = &self.running;
        let matched = running.raft.metrics().borrow().replication.clone().unwrap_or_default();
        let leaving = self.leaving();
        let right = |node: &NodeId| {
            let ahead = running.clocks.ahead_of(*node);
            ahead.is_some_and(|ahead| ahead.abs() <= APART_MICROS) && !leaving.contains(node)
        };
        let voters = super::pulse::other_voters(self).into_iter().filter(right);
        voters.max_by_key(|node| matched.get(node).copied().flatten())
    }
}

/// Says when this node's clock is wrong, and hands leadership over then, until `stop` turns true.
pub(super) async fn run(handle: Handle, mut stop: watch::Receiver<bool>) {
    let mut told: Option<Instant> = None;
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let leads = handle.running.leadership.borrow().is_leader;
        // Judged anew by a leader, so that it is known when it is right again.
        let right = if leads { handle.time().is_some() } else { !handle.clock_is_wrong() };
        if right || !handle.clock_is_wrong() {
            if told.take().is_some() {
                tracing::info!("this node's clock agrees with most others' again");
            }
            continue;
        }
        if told.is_none_or(|at| at.elapsed() >= AGAIN) {
            told = Some(Instant::now());
            let ahead_ms = handle.clock_ahead().unwrap_or_default() / 1000;
            tracing::error!(
                ahead_ms,
                leads,
                "the clock of this node is over 2 s from most others': it decides nothing"
            );
        }
        if leads && let Some(to) = handle.right_voter() {
            tokio::select! {
                handed = handle.hand_over(Some(to)) => match handed {
                    Ok(to) => tracing::warn!(to, "leadership went to a node with a right clock"),
                    Err(error) => tracing::warn!(%error, "leadership stays at a wrong clock"),
                },
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }
}
