//! Calls an election in good order when the leader has gone.
//!
//! Left to the library's timers, those who miss a leader stand at about the same time: votes are
//! split, or go to a node whose log is too short, and each lost round costs a timeout. Its timers
//! hold for one length of way and one kind of disk, too. So they are switched off, and every
//! election begins here: whoever misses the leader asks the other voters first (Ongaro's thesis,
//! 9.6, "pre-vote"), and stands only if a majority misses it as well and none of them would make a
//! better leader. Nobody's term rises for an election that can't be won.
//!
//! A leader whose address refuses connections has ended, and is missed for no longer than its
//! lease; one that is only silent gets a little longer. How long each is follows the way and the
//! disks (`pace`). Whoever gave its vote away waits as for a leader; an election that came to
//! nothing is tried again later and later, by whom chance takes first.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::handle::Handle;
use super::rpc::Lane;
use super::types::{LogId, NodeId};
use super::{Leadership, convert};
use crate::chance;
use crate::wire::proto;

/// Between two looks at the leader's silence.
const LOOK: Duration = Duration::from_millis(15);
/// A leader speaks three times as often.
const SUSPECT: Duration = Duration::from_millis(150);
/// Whether a connection is refused shows within this, and the way there and back.
const REFUSAL: Duration = Duration::from_millis(100);
/// A question to another voter, and the way there and back; longer, up to so much longer, when too
/// few answered in time: it may be that nobody knows how long the way is by now.
const DEADLINE: Duration = Duration::from_millis(100);
const LONGER_MAX: Duration = Duration::from_millis(2_400);
/// Terms that one candidate goes ahead at once, at the most: each is a vote made durable.
const TERMS_MAX: u64 = 8;

/// What another voter says.
#[derive(Clone, Copy, Debug)]
struct Voter {
    node: NodeId,
    last: Option<LogId>,
    silent_for: Duration,
    wrong_clock: bool,
    /// Of its vote: it refuses whoever stands for an earlier one.
    term: u64,
}

/// Who votes: while the membership is changed, of two sets, and a majority of each counts.
type Voters = Vec<BTreeSet<NodeId>>;

fn majority(voters: &Voters, of: &BTreeSet<NodeId>) -> bool {
    voters.iter().all(|set| set.intersection(of).count() > set.len() / 2)
}

/// Whether a majority would vote for a node whose log ends there, as far as it is up to their logs.
fn could_win(own: NodeId, last: Option<LogId>, answers: &[Voter], voters: &Voters) -> bool {
    let no_longer = answers.iter().filter(|other| other.last <= last).map(|other| other.node);
    majority(voters, &no_longer.chain([own]).collect())
}

/// Terms to go ahead, so that nobody who would vote for a candidate of `own` is in a later one.
fn terms_ahead(own: u64, answers: &[Voter]) -> u64 {
    let latest = answers.iter().map(|voter| voter.term).max().unwrap_or_default();
    (latest.saturating_sub(own) + 1).min(TERMS_MAX)
}

/// Whether this node should stand, after what the voters that answered have said: a majority
/// misses the leader for at least `missed`. At first the one that would make the best leader
/// stands, and none with a wrong clock; `late` whoever can win.
fn stands(own: &Voter, answers: &[Voter], voters: &Voters, missed: Duration, late: bool) -> bool {
    let miss_it = || answers.iter().filter(|voter| voter.silent_for >= missed);
    // The longer log wins; of equal ones the lower id.
    let better =
        |other: &Voter| !other.wrong_clock && (other.last, own.node) > (own.last, other.node);
    let can_vote = miss_it().filter(|other| other.last <= own.last).map(|other| other.node);
    let with_it: BTreeSet<NodeId> = can_vote.chain([own.node]).collect();
    let best = !own.wrong_clock && !miss_it().any(better);
    (late || best) && majority(voters, &with_it)
}

/// Watches the leader until `stop` turns true.
pub(super) async fn run(handle: Handle, mut stop: watch::Receiver<bool>) {
    let (more, longer) = (Duration::ZERO, Duration::ZERO);
    let mut elector = Elector { handle, failed: 0, more, longer };
    loop {
        tokio::select! {
            () = sleep(LOOK) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if elector.handle.running.heartbeat.silent_for() < SUSPECT {
            continue;
        }
        tokio::select! {
            () = elector.look() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

struct Elector {
    handle: Handle,
    /// Elections in a row that this node stood for and that brought no leader.
    failed: u32,
    /// What chance adds to the patience after one.
    more: Duration,
    /// How much longer answers are waited for.
    longer: Duration,
}

impl Elector {
    async fn look(&mut self) {
        let running = &self.handle.running;
        let now = *running.leadership.borrow();
        let own = running.local.node;
        let voters = voters(&self.handle);
        if now.is_leader || !voters.iter().any(|set| set.contains(&own)) {
            return;
        }
        let pace = &running.pace;
        // Of a later term than the library knows, it is still busy with the vote for it.
        let over = running.heartbeat.latest() > now.term;
        let leader = now.leader.filter(|leader| *leader != own && !over);
        let (missed, patience) = match leader {
            Some(leader) if running.peers.refuses(leader, REFUSAL + pace.way()).await => {
                (pace.lease(), pace.lease())
            }
            Some(_) => (pace.lease(), pace.silent()),
            // An election is under way, or came to nothing.
            None => {
                let once = pace.lease().max(pace.election(0));
                (once, once.max(pace.election(self.failed)) + self.more)
            }
        };
        let silent = running.heartbeat.silent_for();
        if silent < patience {
            return sleep((patience - silent).min(SUSPECT)).await;
        }
        let others: BTreeSet<NodeId> = voters.iter().flatten().copied().collect();
        let others = others.into_iter().filter(|node| *node != own && Some(*node) != leader);
        let deadline = DEADLINE + pace.way() + self.longer;
        let answers = ask(&self.handle, others.collect(), deadline).await;
        let heard_of = answers.iter().map(|voter| voter.node).chain([own]).collect();
        self.longer = match majority(&voters, &heard_of) {
            true => Duration::ZERO,
            false => (2 * self.longer).max(DEADLINE).min(LONGER_MAX),
        };
        let silent = running.heartbeat.silent_for();
        let unchanged = *running.leadership.borrow() == now && silent >= patience;
        let late = silent >= patience + pace.election(0) + pace.lease();
        let (last, wrong_clock) = (running.log.last(), self.handle.clock_is_wrong());
        let this = Voter { node: own, last, silent_for: silent, wrong_clock, term: now.term };
        if unchanged && stands(&this, &answers, &voters, missed, late) {
            self.stand(now, terms_ahead(now.term, &answers)).await;
        }
    }

    async fn stand(&mut self, then: Leadership, terms: u64) {
        let running = &self.handle.running;
        let leader = then.leader.unwrap_or_default();
        tracing::info!(leader, term = then.term, "the leader is missed; this node stands");
        running.heartbeat.waits();
        // The library stands for the next term only. A candidate of an election before left others
        // in a later one: they would refuse, and each round that comes to nothing is a long wait.
        for _ in 0..terms {
            if running.raft.trigger().elect().await.is_err() {
                return;
            }
        }
        let patience = running.pace.election(self.failed);
        let mut leadership = running.leadership.clone();
        let elected = leadership.wait_for(|now| now.leader.is_some() && now.term > then.term);
        if timeout(patience, elected).await.is_ok() {
            (self.failed, self.more) = (0, Duration::ZERO);
        } else {
            self.failed += 1;
            let most = running.pace.election(self.failed).as_micros() as u64;
            // Without chance all nodes wait equally long, and the best of them stands again.
            let drawn = chance::number().unwrap_or_default() % most.max(1);
            self.more = Duration::from_micros(drawn);
        }
    }
}

fn voters(handle: &Handle) -> Voters {
    let metrics = handle.running.raft.metrics();
    let metrics = metrics.borrow();
    metrics.membership_config.membership().get_joint_config().clone()
}

/// What the others say; those that don't answer soon are left out.
async fn ask(handle: &Handle, others: Vec<NodeId>, deadline: Duration) -> Vec<Voter> {
    let mut calls = JoinSet::new();
    for node in others {
        let handle = handle.clone();
        calls.spawn(async move {
            let call = handle.running.peers.call(
                node,
                Lane::Pulse,
                deadline,
                proto::MissedRequest {},
                |mut client, request| async move { client.missed(request).await },
            );
            let reply = call.await.ok()?;
            let last = reply.last_log.as_ref().map(convert::log_id_in);
            let silent_for = Duration::from_millis(reply.silent_ms);
            let proto::MissedReply { wrong_clock, term, .. } = reply;
            Some(Voter { node, last, silent_for, wrong_clock, term })
        });
    }
    let mut answers = Vec::new();
    while let Some(Ok(answer)) = calls.join_next().await {
        answers.extend(answer);
    }
    answers
}

impl Handle {
    /// Whether a majority would not refuse this node for its log; those that don't answer would.
    pub(super) async fn could_be_elected(&self) -> bool {
        let own = self.running.local.node;
        let voters = voters(self);
        let others: BTreeSet<NodeId> = voters.iter().flatten().copied().collect();
        let others = others.into_iter().filter(|node| *node != own).collect();
        let answers = ask(self, others, DEADLINE + self.running.pace.way()).await;
        could_win(own, self.running.log.last(), &answers, &voters)
    }

    /// The leader of `term` speaks to this node, or one that it voted for. What waits for the
    /// library stands behind what its disk has to do; this is noted before.
    pub(super) fn hears(&self, term: u64) {
        if term >= self.running.leadership.borrow().term {
            self.running.heartbeat.heard(term);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(301);

    fn at(index: u64) -> Option<LogId> {
        let id = proto::LogId { term: 1, node: 1, index };
        Some(convert::log_id_in(&id))
    }

    fn voter(node: NodeId, index: u64, silent_ms: u64) -> Voter {
        let silent_for = Duration::from_millis(silent_ms);
        Voter { node, last: at(index), silent_for, wrong_clock: false, term: 1 }
    }

    fn of(count: u64) -> Voters {
        vec![(1..=count).collect()]
    }

    fn soon(own: NodeId, index: u64, answers: &[Voter], count: u64) -> bool {
        stands(&voter(own, index, 400), answers, &of(count), LEASE, false)
    }

    #[test]
    fn only_one_of_those_that_miss_the_leader_stands() {
        // Of equal logs the lower id.
        assert!(soon(2, 9, &[voter(3, 9, 400)], 3));
        assert!(!soon(3, 9, &[voter(2, 9, 400)], 3));
        // The longer log.
        assert!(soon(3, 10, &[voter(2, 9, 400)], 3));
        assert!(!soon(2, 9, &[voter(3, 10, 400)], 3));
    }

    #[test]
    fn nobody_stands_whom_a_majority_would_refuse() {
        assert!(!soon(2, 9, &[], 3), "alone");
        assert!(!soon(2, 9, &[voter(3, 9, 250)], 3), "the other one still hears it");
        assert!(!soon(2, 9, &[voter(3, 9, 400), voter(4, 9, 10)], 5));
        assert!(soon(2, 9, &[voter(3, 9, 400), voter(4, 8, 400)], 5));
        // Who hears the leader would not vote, so its longer log does not matter.
        assert!(soon(2, 9, &[voter(3, 9, 400), voter(4, 12, 10), voter(5, 9, 302)], 5));
    }

    #[test]
    fn later_whoever_can_win_stands() {
        let late = |own, index, answers: &[Voter], count| {
            stands(&voter(own, index, 400), answers, &of(count), LEASE, true)
        };
        assert!(late(3, 9, &[voter(2, 9, 400)], 3), "the better one did not stand");
        assert!(!late(3, 9, &[voter(2, 10, 400)], 3), "its vote is not to be had");
        assert!(late(3, 9, &[voter(2, 10, 400), voter(4, 9, 400), voter(5, 8, 400)], 5));
        assert!(!late(3, 9, &[voter(2, 9, 250)], 3));
        assert!(late(1, 9, &[], 1), "the only voter");
    }

    #[test]
    fn a_candidate_goes_past_the_terms_of_those_that_were_refused() {
        let of_term = |term| Voter { term, ..voter(3, 9, 400) };
        assert_eq!(terms_ahead(4, &[]), 1);
        assert_eq!(terms_ahead(4, &[of_term(0), of_term(4)]), 1);
        assert_eq!(terms_ahead(4, &[of_term(6), of_term(3)]), 3);
        assert_eq!(terms_ahead(4, &[of_term(u64::MAX)]), TERMS_MAX);
    }

    #[test]
    fn whose_log_is_shorter_than_those_of_a_majority_can_not_win() {
        let wins = |index, answers: &[Voter], count| could_win(2, at(index), answers, &of(count));
        assert!(wins(9, &[voter(3, 9, 0)], 3) && !wins(9, &[voter(3, 10, 0)], 3));
        assert!(!wins(9, &[], 3), "nobody answered");
        assert!(wins(9, &[voter(1, 8, 0), voter(3, 10, 0), voter(4, 9, 0)], 5));
        assert!(!wins(9, &[voter(1, 9, 0), voter(3, 10, 0), voter(4, 10, 0)], 5));
    }

    #[test]
    fn a_node_with_a_wrong_clock_leaves_it_to_the_others() {
        let wrong = |voter: Voter| Voter { wrong_clock: true, ..voter };
        let stands = |own: Voter, others: &[Voter], late| stands(&own, others, &of(3), LEASE, late);
        let (two, three) = (voter(2, 9, 400), voter(3, 9, 400));
        assert!(!stands(wrong(two), &[three], false) && stands(three, &[wrong(two)], false));
        assert!(stands(wrong(two), &[three], true), "when the other one did not");
        assert!(!stands(three, &[wrong(voter(2, 10, 400))], false), "it would not vote");
    }

    #[test]
    fn while_voters_change_it_takes_a_majority_of_both_sets() {
        let both = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([3, 4, 5])];
        let this = voter(3, 9, 400);
        let stands = |answers: &[Voter]| stands(&this, answers, &both, LEASE, false);
        assert!(!stands(&[voter(4, 9, 400)]), "none of the others of the first");
        assert!(!stands(&[voter(2, 8, 400)]), "none of the others of the second");
        assert!(stands(&[voter(2, 8, 400), voter(4, 9, 400)]));
    }
}
