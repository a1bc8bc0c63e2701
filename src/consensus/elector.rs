//! Calls an election in good order when the leader has gone.
//!
//! Left to the library's timers, those who miss a leader stand at about the same time: votes are
//! split, or go to a node whose log is too short, and each lost round costs a timeout. So whoever
//! misses the leader asks the other voters first (Ongaro's thesis, 9.6, "pre-vote"), and stands
//! only if a majority misses it too and none of them would make a better leader. Nobody's term
//! rises for an election that can't be won.
//!
//! A leader whose address refuses connections has ended, and is missed for no longer than its
//! lease; one that is only silent gets a little longer. When nothing comes of it, the library's
//! own timers act.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::handle::Handle;
use super::rpc::Lane;
use super::start::{ELECTION_MS_MAX, ELECTION_MS_MIN};
use super::types::{LogId, NodeId};
use super::{Leadership, convert};
use crate::wire::proto;

/// Between two looks at the leader's silence.
const LOOK: Duration = Duration::from_millis(15);
/// A leader speaks three times as often.
const SUSPECT: Duration = Duration::from_millis(150);
/// Voters refuse every candidate for so long after they heard the leader.
const LEASE: Duration = Duration::from_millis(ELECTION_MS_MAX + 1);
/// A leader that does not refuse connections may only be slow. The library acts at the earliest
/// after its lease and its shortest timeout, which this stays below.
const SILENT: Duration = Duration::from_millis(ELECTION_MS_MAX + ELECTION_MS_MIN - 50);
/// From here on it is left to the library.
const GIVE_UP: Duration = Duration::from_secs(3);
/// Whether a connection is refused shows within this.
const REFUSAL: Duration = Duration::from_millis(100);
/// A question to another voter.
const DEADLINE: Duration = Duration::from_millis(100);
/// What an election takes, before the next is tried.
const ELECTION: Duration = Duration::from_millis(150);

/// When a leader was last heard at this node, or when this node began to lead.
pub(super) struct Heartbeat {
    since: Instant,
    micros: AtomicU64,
}

impl Heartbeat {
    pub fn new() -> Self {
        Self { since: Instant::now(), micros: AtomicU64::new(0) }
    }

    /// It was heard now.
    pub fn heard(&self) {
        self.micros.store(self.since.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    /// For how long it was not heard.
    pub fn silent_for(&self) -> Duration {
        let heard = Duration::from_micros(self.micros.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(heard)
    }
}

/// What another voter says.
#[derive(Clone, Copy, Debug)]
struct Voter {
    node: NodeId,
    last: Option<LogId>,
    silent_for: Duration,
}

/// Whether this node should stand, after what the voters that answered have said. `voters` counts
/// all of them, this node and the missing leader too.
fn stands(own: NodeId, last: Option<LogId>, answers: &[Voter], voters: usize) -> bool {
    let miss_it = || answers.iter().filter(|voter| voter.silent_for >= LEASE);
    // The longer log wins; of equal ones the lower id.
    let is_best = miss_it().all(|other| match other.last.cmp(&last) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => own < other.node,
        std::cmp::Ordering::Greater => false,
    });
    is_best && 1 + miss_it().count() > voters / 2
}

/// Watches the leader until `stop` turns true.
pub(super) async fn run(handle: Handle, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let silent = handle.running.heartbeat.silent_for();
        if silent < SUSPECT || silent > GIVE_UP {
            continue;
        }
        tokio::select! {
            () = look(&handle) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn look(handle: &Handle) {
    let running = &handle.running;
    let now = *running.leadership.borrow();
    let Leadership { leader: Some(leader), is_leader: false, .. } = now else { return };
    let own = running.local.node;
    let Some(voters) = voters(handle) else { return };
    if !voters.contains(&own) {
        return;
    }
    let patience = if running.peers.refuses(leader, REFUSAL).await { LEASE } else { SILENT };
    let silent = running.heartbeat.silent_for();
    if silent < patience {
        // Not beyond the moment when it is the library's turn.
        return sleep((patience - silent).min(SUSPECT)).await;
    }
    let others: Vec<NodeId> =
        voters.iter().copied().filter(|node| *node != own && *node != leader).collect();
    let answers = ask(handle, &others).await;
    let unchanged = *running.leadership.borrow() == now && running.heartbeat.silent_for() >= LEASE;
    if unchanged && stands(own, running.log.last(), &answers, voters.len()) {
        tracing::info!(leader, term = now.term, "the leader is missed; this node stands");
        if running.raft.trigger().elect().await.is_err() {
            return;
        }
        let mut leadership = running.leadership.clone();
        let _ = timeout(ELECTION, leadership.wait_for(|then| then.leader != now.leader)).await;
    }
}

/// Who votes; none: the membership is being changed, which takes two majorities.
fn voters(handle: &Handle) -> Option<BTreeSet<NodeId>> {
    let metrics = handle.running.raft.metrics();
    let metrics = metrics.borrow();
    let membership = metrics.membership_config.membership();
    let plain = membership.get_joint_config().len() == 1;
    plain.then(|| membership.voter_ids().collect())
}

/// What the others say; those that don't answer soon are left out.
async fn ask(handle: &Handle, others: &[NodeId]) -> Vec<Voter> {
    let mut calls = JoinSet::new();
    for node in others.iter().copied() {
        let handle = handle.clone();
        calls.spawn(async move {
            let call = handle.running.peers.call(
                node,
                Lane::Raft,
                DEADLINE,
                proto::MissedRequest {},
                |mut client, request| async move { client.missed(request).await },
            );
            let reply = call.await.ok()?;
            let last = reply.last_log.as_ref().map(convert::log_id_in);
            Some(Voter { node, last, silent_for: Duration::from_millis(reply.silent_ms) })
        });
    }
    let mut answers = Vec::new();
    while let Some(Ok(answer)) = calls.join_next().await {
        answers.extend(answer);
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: u64) -> Option<LogId> {
        let id = proto::LogId { term: 1, node: 1, index };
        Some(convert::log_id_in(&id))
    }

    fn voter(node: NodeId, index: u64, silent_ms: u64) -> Voter {
        Voter { node, last: at(index), silent_for: Duration::from_millis(silent_ms) }
    }

    #[test]
    fn only_one_of_those_that_miss_the_leader_stands() {
        // Of equal logs the lower id.
        assert!(stands(2, at(9), &[voter(3, 9, 400)], 3));
        assert!(!stands(3, at(9), &[voter(2, 9, 400)], 3));
        // The longer log.
        assert!(stands(3, at(10), &[voter(2, 9, 400)], 3));
        assert!(!stands(2, at(9), &[voter(3, 10, 400)], 3));
    }

    #[test]
    fn nobody_stands_whom_a_majority_would_refuse() {
        assert!(!stands(2, at(9), &[], 3), "alone");
        assert!(!stands(2, at(9), &[voter(3, 9, 250)], 3), "the other one still hears it");
        assert!(!stands(2, at(9), &[voter(3, 9, 400), voter(4, 9, 10)], 5));
        assert!(stands(2, at(9), &[voter(3, 9, 400), voter(4, 8, 400)], 5));
        // Who hears the leader would not vote, so its longer log does not matter.
        assert!(stands(2, at(9), &[voter(3, 9, 400), voter(4, 12, 10), voter(5, 9, 302)], 5));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_word() {
        let heartbeat = Heartbeat::new();
        sleep(Duration::from_millis(40)).await;
        assert_eq!(heartbeat.silent_for(), Duration::from_millis(40));
        heartbeat.heard();
        sleep(Duration::from_millis(7)).await;
        assert_eq!(heartbeat.silent_for(), Duration::from_millis(7));
    }
}
