//! Who is alive: what the leader hears, what every node is told of it, and this node's lease.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::types::NodeId;
use crate::model::BootId;
use crate::wire::proto;

/// When the leader last heard of a node.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The boot that spoke.
    pub boot: BootId,
    /// When.
    pub at: Instant,
    /// How far it has applied the log.
    pub applied: u64,
    /// Where it says it can be reached.
    pub addr: String,
    /// The newest format that it reads.
    pub reads: u32,
}

/// A member, as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Identity.
    pub node: NodeId,
    /// Where other nodes reach it.
    pub addr: String,
    /// It votes.
    pub voter: bool,
    /// It leads.
    pub leader: bool,
    /// Since the leader heard of it; none: it has not, in its term.
    pub silent_for: Option<Duration>,
    /// How far it has applied the log, when it was last heard of.
    pub applied: u64,
    /// Up to here its digests are those of the leader; 0: none was compared.
    pub proven: u64,
    /// From here on they are not.
    pub differs: Option<u64>,
}

/// What is known of who is alive.
pub(super) struct Presence {
    heard: Mutex<BTreeMap<NodeId, Heard>>,
    /// What the leader told last, and when it was asked.
    members: Mutex<Option<(Instant, Vec<Member>)>>,
    lease: watch::Sender<Instant>,
}

impl Presence {
    pub fn new() -> Self {
        let lease = watch::Sender::new(Instant::now());
        Self { heard: Mutex::default(), members: Mutex::default(), lease }
    }

    /// A node spoke to this one, which leads.
    pub fn hear(&self, node: NodeId, heard: Heard) {
        self.locked().insert(node, heard);
    }

    /// Everyone who ever spoke to this node while it led.
    pub fn heard(&self) -> BTreeMap<NodeId, Heard> {
        self.locked().clone()
    }

    /// A node is gone for good.
    pub fn forget(&self, node: NodeId) {
        self.locked().remove(&node);
    }

    /// The leader, confirmed by a majority, answered what was sent at `sent`.
    pub fn confirmed(&self, sent: Instant, lease: Duration, members: Vec<Member>) {
        self.lease.send_replace(sent + lease);
        let mut told = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Some((sent, members));
    }

    /// The members as told last, their silence as it must be by now.
    pub fn members(&self) -> Vec<Member> {
        let told = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, members)) = &*told else { return Vec::new() };
        let later = at.elapsed();
        let aged = |member: &Member| Member {
            silent_for: member.silent_for.map(|span| span + later),
            ..member.clone()
        };
        members.iter().map(aged).collect()
    }

    pub fn lease(&self) -> watch::Receiver<Instant> {
        self.lease.subscribe()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<NodeId, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn members_out(members: &[Member]) -> Vec<proto::MemberState> {
    let one = |member: &Member| proto::MemberState {
        node: member.node,
        addr: member.addr.clone(),
        voter: member.voter,
        leader: member.leader,
        heard_ms_ago: member.silent_for.map(|span| span.as_millis() as u64),
        applied: member.applied,
        proven: member.proven,
        differs: member.differs,
    };
    members.iter().map(one).collect()
}

pub(super) fn members_in(members: Vec<proto::MemberState>) -> Vec<Member> {
    let one = |member: proto::MemberState| Member {
        node: member.node,
        addr: member.addr,
        voter: member.voter,
        leader: member.leader,
        silent_for: member.heard_ms_ago.map(Duration::from_millis),
        applied: member.applied,
        proven: member.proven,
        differs: member.differs,
    };
    members.into_iter().map(one).collect()
}
