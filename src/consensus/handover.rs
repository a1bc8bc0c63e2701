//! Leadership goes to another node because this one wants it to.
//!
//! The library has no transfer of its own. The leader stops taking commands, waits until the
//! other node has its whole log, and asks it to stand. A leader is bound by no lease and votes for
//! it; so does the candidate: in a cluster of up to three voters that is a majority at once. In a
//! larger one, the others first have to miss the leader for as long as a lease lasts.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::handle::Handle;
use super::membership::MemberError;
use super::pace::ELECTION_MS_MAX;
use super::rpc::Lane;
use super::types::{LogId, NodeId, Raft};
use crate::wire::proto;

/// Until the other node has the whole log, or has become leader.
const PATIENCE: Duration = Duration::from_secs(2);
/// An election that was lost is tried again after this: then no lease is in its way.
const AGAIN: Duration = Duration::from_millis(ELECTION_MS_MAX + 20);
/// Between two looks at what the library tells.
const LOOK: Duration = Duration::from_millis(5);

/// No heartbeats are sent until it is dropped: also when nobody waits for the hand-over any more.
struct Silence<'a>(&'a Raft);

impl<'a> Silence<'a> {
    fn begin(raft: &'a Raft) -> Self {
        raft.runtime_config().heartbeat(false);
        Self(raft)
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        self.0.runtime_config().heartbeat(true);
    }
}

impl Handle {
    /// Hands leadership over, to `to` or to the voter that is furthest; gives the new leader.
    /// When it fails, this node goes on leading unless another one came meanwhile.
    pub(super) async fn hand_over(&self, to: Option<NodeId>) -> Result<NodeId, MemberError> {
        let running = &self.running;
        let own = running.local.node;
        let metrics = running.raft.metrics().borrow().clone();
        if metrics.current_leader != Some(own) {
            return Err(MemberError::NoLeader);
        }
        let voters: Vec<NodeId> = metrics.membership_config.membership().voter_ids().collect();
        let to = match to {
            Some(to) if to == own => return Ok(own),
            Some(to) if voters.contains(&to) => to,
            Some(to) => {
                let text = format!("node {to} has no vote, so it can't lead");
                return Err(MemberError::Refused(text));
            }
            None => {
                let matched = metrics.replication.clone().unwrap_or_default();
                let others = voters.iter().copied().filter(|voter| *voter != own);
                let leaving = self.leaving();
                let best = others.max_by_key(|voter| {
                    (!leaving.contains(voter), matched.get(voter).copied().flatten())
                });
                best.ok_or_else(|| {
                    MemberError::Refused("there is no other voter to lead".to_owned())
                })?
            }
        };
        // Its own vote binds it for as long as a lease, so a new leader would refuse the other one.
        let bound = Duration::from_millis(ELECTION_MS_MAX + 1);
        sleep(bound.saturating_sub(running.heartbeat.silent_for())).await;
        // One at a time; and the proposer goes on whatever happens below.
        let Some(_pause) = running.pause.begin() else {
            return Err(MemberError::Refused("leadership is being handed over".to_owned()));
        };
        self.hand_to(to, metrics.current_term, voters.len() > 3).await?;
        Ok(to)
    }

    async fn hand_to(&self, to: NodeId, term: u64, slow: bool) -> Result<(), MemberError> {
        let running = &self.running;
        let until = Instant::now() + PATIENCE + running.pace.slack();
        let mut last = self.caught_up(to, until).await?;
        let _silence = slow.then(|| Silence::begin(&running.raft));
        if slow {
            sleep(Duration::from_millis(ELECTION_MS_MAX)).await;
            // Members change all the same, and each change is an entry.
            last = self.caught_up(to, until).await?;
        }
        let last_log = last.as_ref().map(super::convert::log_id_out);
        let message = proto::StandRequest { term, last_log };
        let call = running.peers.call(
            to,
            Lane::Raft,
            2 * (PATIENCE + 2 * running.pace.slack()),
            message,
            |mut client, request| async move { client.stand(request).await },
        );
        call.await.map_err(|error| MemberError::Unknown(error.to_string()))?;
        let mut leadership = running.leadership.clone();
        let moved = leadership.wait_for(|now| now.leader.is_some() && !now.is_leader);
        match timeout(PATIENCE + running.pace.slack(), moved).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(MemberError::Unknown("this node does not see the new leader".to_owned())),
        }
    }

    /// Waits until a node has everything that is in this leader's log, or on its way into it. Gives
    /// the last entry.
    async fn caught_up(&self, to: NodeId, until: Instant) -> Result<Option<LogId>, MemberError> {
        let running = &self.running;
        // What was handed to the library before is in the log once this is answered.
        let asked = timeout(PATIENCE + running.pace.slack(), running.raft.with_raft_state(|_| ()));
        if !matches!(asked.await, Ok(Ok(()))) {
            return Err(MemberError::NoLeader);
        }
        loop {
            let metrics = running.raft.metrics().borrow().clone();
            let last = running.log.last();
            let matched = metrics.replication.and_then(|all| all.get(&to).copied().flatten());
            if matched >= last {
                return Ok(last);
            }
            if Instant::now() > until {
                return Err(MemberError::Refused(format!("node {to} does not catch up")));
            }
            sleep(LOOK).await;
        }
    }

    /// Stands for election because the leader of `term` asks for it; returns once this node
    /// leads.
    pub(super) async fn stand(&self, term: u64, last: Option<LogId>) -> Result<(), MemberError> {
        let running = &self.running;
        let now = *running.leadership.borrow();
        if now.term != term || running.log.last() < last {
            return Err(MemberError::Refused("this node is not up to date".to_owned()));
        }
        let mut leadership = running.leadership.clone();
        let elected = async {
            loop {
                running.raft.trigger().elect().await.map_err(|_| MemberError::NoLeader)?;
                let leads = leadership.wait_for(|now| now.is_leader);
                // A leader of a moment ago is bound by its own vote for as long as by a lease.
                // On a slow disk, asked again too soon it would begin anew each time.
                match timeout(AGAIN.max(running.pace.election(0)), leads).await {
                    Ok(_) => return Ok(()),
                    Err(_) => tracing::debug!("not elected yet"),
                }
                let now = *running.leadership.borrow();
                if now.term > term && now.leader.is_some() && !now.is_leader {
                    return Err(MemberError::Refused("another node was elected".to_owned()));
                }
                // Each vote that is asked for makes the others wait; one that can't be had keeps
                // them from electing anybody.
                if !self.could_be_elected().await {
                    return Err(MemberError::Refused("the logs of others are longer".to_owned()));
                }
            }
        };
        let refused = || Err(MemberError::Refused("this node was not elected".to_owned()));
        let patience = PATIENCE + 2 * running.pace.slack();
        timeout(patience, elected).await.unwrap_or_else(|_| refused())
    }
}
