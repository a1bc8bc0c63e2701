//! Who is of the cluster, and who votes: the leader's care for it.
//!
//! [`next_change`] is pure and looks at one moment; the loop carries out one change at a time
//! through the log, so that each is safe by itself (Ongaro, §4: joint consensus).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::handle::Handle;
use super::types::{Node, NodeId};
use crate::model::Actor;

/// How often the leader looks.
const EVERY: Duration = Duration::from_millis(250);
/// One change, until it is committed.
const DEADLINE: Duration = Duration::from_secs(8);
/// Heard of within this, a node counts as alive.
const ALIVE: Duration = Duration::from_secs(3);
/// A voter that is silent for longer loses its vote to a node that is alive.
const DEAD: Duration = Duration::from_secs(30);
/// How long a node that stops waits for another one to take its vote.
const GIVE_UP: Duration = Duration::from_secs(3);
/// A node this many entries behind the leader's last has caught up.
const CAUGHT_UP: u64 = 2_000;

/// Why the membership was not changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// Nobody leads, or this node does not any more.
    #[error("the cluster has no leader at the moment")]
    NoLeader,
    /// There is no such node.
    #[error("there is no node {0}")]
    NotFound(NodeId),
    /// It can't be done.
    #[error("{0}")]
    Refused(String),
    /// It may have been done.
    #[error("{0}; it may have been done all the same")]
    Unknown(String),
}

/// What the leader sees at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The cluster moves from one set of voters to another; `voters` is the latter.
    pub joint: bool,
    pub own: NodeId,
    pub wanted: usize,
    pub voters: BTreeSet<NodeId>,
    /// All members and where they can be reached, as the membership says.
    pub nodes: BTreeMap<NodeId, String>,
    /// Where they say they can be reached.
    pub told: BTreeMap<NodeId, String>,
    /// For how long they have been silent; of one not heard of, since the term began.
    pub silent: BTreeMap<NodeId, Duration>,
    /// How many entries they lack; none: not known.
    pub lacks: BTreeMap<NodeId, u64>,
    /// Those that said that they stop.
    pub leaving: BTreeSet<NodeId>,
}

/// One step to a better membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A node has moved.
    Moved { node: NodeId, addr: String },
    /// A node without a vote gets one.
    Promote { node: NodeId },
    /// A voter that is silent, or stops, gives its vote to another node.
    Relieve { node: NodeId, by: NodeId },
    /// A node is gone for good: another one is at its address.
    Forget { node: NodeId, by: Option<NodeId> },
    /// A change of voters that another leader left half done.
    Finish,
}

impl View {
    fn alive(&self, node: NodeId) -> bool {
        node == self.own || self.silent.get(&node).is_some_and(|span| *span < ALIVE)
    }

    fn silent_for(&self, node: NodeId) -> Duration {
        self.silent.get(&node).copied().unwrap_or_default()
    }

    /// Nodes that could take a vote at once.
    fn candidates(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied().filter(|node| {
            !self.voters.contains(node)
                && self.alive(*node)
                && !self.leaving.contains(node)
                && self.lacks.get(node).is_some_and(|lacks| *lacks <= CAUGHT_UP)
        })
    }

    /// Whether another living node says that it is at this address.
    fn told_by_another(&self, node: NodeId, addr: &str) -> bool {
        let mut told = self.told.iter();
        told.any(|(other, at)| *other != node && at == addr && self.alive(*other))
    }

    /// A living node that has taken over the address of `node`.
    fn successor(&self, node: NodeId) -> Option<NodeId> {
        let addr = self.nodes.get(&node)?;
        let mut others = self.nodes.iter().filter(|(other, _)| **other != node);
        others.find(|(other, at)| *at == addr && self.alive(**other)).map(|(other, _)| *other)
    }
}

/// What to do next, if anything.
pub(super) fn next_change(view: &View) -> Option<Change> {
    if view.joint {
        return Some(Change::Finish);
    }
    for (node, addr) in &view.told {
        let moved = view.nodes.get(node).is_some_and(|at| at != addr) && view.alive(*node);
        if moved && !view.told_by_another(*node, addr) {
            return Some(Change::Moved { node: *node, addr: addr.clone() });
        }
    }
    for node in view.nodes.keys().filter(|node| !view.alive(**node)) {
        let Some(by) = view.successor(*node) else { continue };
        if !view.voters.contains(node) {
            return Some(Change::Forget { node: *node, by: None });
        }
        if view.voters.contains(&by) {
            return Some(Change::Forget { node: *node, by: None });
        }
        if view.candidates().any(|candidate| candidate == by) {
            return Some(Change::Forget { node: *node, by: Some(by) });
        }
    }
    let candidate = view.candidates().next()?;
    if view.voters.len() < view.wanted {
        return Some(Change::Promote { node: candidate });
    }
    // It is still there, so no majority is at stake: several may stop at a time.
    let mut leaving = view.voters.iter().filter(|node| **node != view.own);
    if let Some(node) = leaving.find(|node| view.leaving.contains(node)) {
        return Some(Change::Relieve { node: *node, by: candidate });
    }
    let dead = view.voters.iter().filter(|node| !view.alive(**node));
    let longest = dead.max_by_key(|node| view.silent_for(**node))?;
    (view.silent_for(*longest) >= DEAD).then_some(Change::Relieve { node: *longest, by: candidate })
}

/// Cares for the membership whenever this node leads, until `stop` turns true.
pub(super) async fn run(handle: Handle, wanted: usize, mut stop: watch::Receiver<bool>) {
    let mut led_since = None;
    loop {
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = *handle.running.leadership.borrow();
        if !now.is_leader {
            led_since = None;
            continue;
        }
        let since = match led_since {
            Some((term, since)) if term == now.term => since,
            _ => Instant::now(),
        };
        led_since = Some((now.term, since));
        let view = look(&handle, wanted, since);
        if let Some(change) = next_change(&view) {
            match carry_out(&handle, &view, &change).await {
                Ok(()) => tracing::info!(?change, "the membership was changed"),
                Err(error) => tracing::warn!(?change, %error, "the membership was not changed"),
            }
        }
    }
}

/// Since when a node is silent, for one that leads since `since`: what it heard when it led
/// before says nothing of now.
fn last_sign(heard: Option<Instant>, since: Instant) -> Instant {
    heard.map_or(since, |at| at.max(since))
}

fn look(handle: &Handle, wanted: usize, since: Instant) -> View {
    let running = &handle.running;
    let metrics = running.raft.metrics().borrow().clone();
    let membership = metrics.membership_config.membership();
    let configs = membership.get_joint_config();
    let heard = running.presence.heard();
    let last = metrics.last_log_index.unwrap_or_default();
    let matched = metrics.replication.unwrap_or_default();
    let mut view = View { own: running.local.node, wanted, ..View::default() };
    view.joint = configs.len() > 1;
    view.voters = configs.last().cloned().unwrap_or_default();
    for (id, node) in membership.nodes() {
        view.nodes.insert(*id, node.addr.clone());
        let sign = last_sign(heard.get(id).map(|heard| heard.at), since);
        view.silent.insert(*id, sign.elapsed());
        if let Some(matched) = matched.get(id) {
            let matched = matched.map_or(0, |id| id.index);
            view.lacks.insert(*id, last.saturating_sub(matched));
        }
    }
    view.leaving = handle.leaving();
    for (id, heard) in heard {
        view.told.insert(id, heard.addr);
    }
    view
}

async fn carry_out(handle: &Handle, view: &View, change: &Change) -> Result<(), MemberError> {
    let swapped = |node: &NodeId, by: Option<NodeId>| {
        let mut voters = view.voters.clone();
        voters.remove(node);
        voters.extend(by);
        voters
    };
    match change {
        Change::Moved { node, addr } => {
            let node = BTreeMap::from([(*node, Node { addr: addr.clone() })]);
            handle.change(ChangeMembers::SetNodes(node), true).await
        }
        Change::Promote { node } => {
            handle.change(ChangeMembers::AddVoterIds(BTreeSet::from([*node])), true).await
        }
        Change::Relieve { node, by } => {
            let voters = swapped(node, Some(*by));
            handle.change(ChangeMembers::ReplaceAllVoters(voters), true).await
        }
        Change::Forget { node, by } => {
            if view.voters.contains(node) {
                let voters = swapped(node, *by);
                handle.change(ChangeMembers::ReplaceAllVoters(voters), false).await?;
            } else {
                handle.change(ChangeMembers::RemoveNodes(BTreeSet::from([*node])), false).await?;
            }
            handle.forget(*node, None).await
        }
        // To the voters there are already: what is left of a change is its second step.
        Change::Finish => handle.change(ChangeMembers::AddVoterIds(BTreeSet::new()), true).await,
    }
}

impl Handle {
    /// The nodes that said that they stop, and did not come back since.
    pub(super) fn leaving(&self) -> BTreeSet<NodeId> {
        let state = self.state();
        let leaving = state.nodes.values().filter(|node| !node.accepting && !node.lost);
        leaving.map(|node| node.id).collect()
    }

    /// Waits until this node, which stops, has no vote any more; not for long, and not at all
    /// when no other node could take it.
    pub async fn give_vote_up(&self) {
        let running = &self.running;
        let own = running.local.node;
        let mut metrics = running.raft.metrics();
        let given = async {
            loop {
                let now = metrics.borrow_and_update().clone();
                let membership = now.membership_config.membership();
                let voters: BTreeSet<NodeId> = membership.voter_ids().collect();
                let state = self.state();
                let accepts = |id: &NodeId| state.nodes.get(id).is_some_and(|node| node.accepting);
                let mut others = membership.nodes().map(|(id, _)| id);
                if !voters.contains(&own) || !others.any(|id| !voters.contains(id) && accepts(id)) {
                    return;
                }
                // Leadership may have come back.
                self.step_back().await;
                // Whichever comes first: the library tells of changes, the state does not.
                let _ = timeout(EVERY, metrics.changed()).await;
            }
        };
        if timeout(GIVE_UP, given).await.is_err() {
            tracing::info!("no other node took this one's vote");
        }
    }

    /// Makes one change of the membership, when this node leads.
    pub(super) async fn change(
        &self,
        change: ChangeMembers<NodeId, Node>,
        retain: bool,
    ) -> Result<(), MemberError> {
        use openraft::error::{ClientWriteError, RaftError};
        // A change of voters has two steps, and another change between them would leave the
        // cluster on the way.
        let _alone = self.running.changing.lock().await;
        let changing = self.running.raft.change_membership(change, retain);
        match timeout(DEADLINE, changing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Err(MemberError::NoLeader)
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
                Err(MemberError::Refused(error.to_string()))
            }
            Ok(Err(error)) => Err(MemberError::Unknown(error.to_string())),
            Err(_) => Err(MemberError::Unknown(format!("no word within {} s", DEADLINE.as_secs()))),
        }
    }

    /// The member that says it is at this address and is alive, as this node, which leads, knows.
    fn living_at(&self, addr: &str) -> Option<NodeId> {
        let local = &self.running.local;
        if local.addr == addr {
            return Some(local.node);
        }
        let heard = self.running.presence.heard();
        let mut living = heard.iter().filter(|(_, heard)| heard.at.elapsed() < ALIVE);
        living.find(|(_, heard)| heard.addr == addr).map(|(node, _)| *node)
    }

    /// Takes a node in, or notes where it is now, when this node leads.
    pub(super) async fn admit(&self, node: NodeId, addr: String) -> Result<(), MemberError> {
        let metrics = self.running.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership().clone();
        if let Some(other) = self.living_at(&addr).filter(|other| *other != node) {
            return Err(MemberError::Refused(format!(
                "node {other} is at {addr}, and was heard of just now: two members can't have one \
                 address; if it is gone, ask again"
            )));
        }
        self.running.peers.told(node, &addr);
        match membership.get_node(&node) {
            Some(known) if known.addr == addr => Ok(()),
            Some(_) => {
                let node = BTreeMap::from([(node, Node { addr })]);
                self.change(ChangeMembers::SetNodes(node), true).await
            }
            None => {
                let node = BTreeMap::from([(node, Node { addr })]);
                self.change(ChangeMembers::AddNodes(node), true).await
            }
        }
    }

    /// Takes a node out of the cluster, when this node leads.
    pub(super) async fn expel(
        &self,
        node: NodeId,
        actor: Option<Actor>,
    ) -> Result<(), MemberError> {
        let metrics = self.running.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership().clone();
        if membership.get_node(&node).is_none() {
            // It may have left the membership, and not yet the state.
            return match self.state().nodes.contains_key(&node) {
                true => self.forget(node, actor).await,
                false => Err(MemberError::NotFound(node)),
            };
        }
        let mut voters: BTreeSet<NodeId> = membership.voter_ids().collect();
        if node == self.running.local.node {
            self.hand_over(None).await?;
            return Err(MemberError::NoLeader);
        }
        if voters.remove(&node) {
            if voters.is_empty() {
                let text = "it is the only voter: the cluster would be gone".to_owned();
                return Err(MemberError::Refused(text));
            }
            self.change(ChangeMembers::ReplaceAllVoters(voters), false).await?;
        } else {
            self.change(ChangeMembers::RemoveNodes(BTreeSet::from([node])), false).await?;
        }
        self.forget(node, actor).await
    }
}

#[cfg(test)]
mod tests;
