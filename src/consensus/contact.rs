//! Keeps in touch with the leader: this node's lease, its place in the membership, and where it
//! can be reached.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic::Request;

use super::handle::Handle;
use super::presence::{Heard, Member, members_in};
use super::rpc::Lane;
use super::types::NodeId;
use crate::machine::state::FORMAT;
use crate::model::limits::NODE_LEASE;
use crate::wire::proto;

/// How often a node speaks, and how soon it tries again.
const EVERY: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(200);
/// One call.
const DEADLINE: Duration = Duration::from_secs(2);
/// Answers without this node in them, before it believes that it was removed.
const MISSED_MAX: u32 = 3;

/// Speaks until `stop` turns true. `join` are addresses to ask at when nobody leads.
pub(super) async fn run(handle: Handle, join: Vec<String>, mut stop: watch::Receiver<bool>) {
    let mut contact = Contact { handle, join, found: None, belongs: false, missed: 0 };
    let mut leadership = contact.handle.leadership();
    loop {
        let known = leadership.borrow_and_update().leader;
        let went_well = tokio::select! {
            well = contact.speak() => well,
            // One that is gone is not waited for when there is another.
            Ok(_) = leadership.wait_for(|now| now.leader.is_some() && now.leader != known) => {
                contact.found = None;
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let pause = if went_well { EVERY } else { AGAIN };
        tokio::select! {
            () = sleep(pause) => {}
            // A new leader starts without having heard of anyone.
            _ = leadership.changed(), if went_well => contact.found = None,
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

struct Contact {
    handle: Handle,
    join: Vec<String>,
    /// The leader that others named, since the one that this node knew did not answer. It comes
    /// first: a node that was removed is told of no later leader.
    found: Option<NodeId>,
    /// Whether this process was ever told that it is a member.
    belongs: bool,
    missed: u32,
}

impl Contact {
    /// Whether the leader answered.
    async fn speak(&mut self) -> bool {
        let own = self.handle.running.local.node;
        let leader = self.handle.running.leadership.borrow().leader;
        let well = match self.found.or(leader) {
            Some(leader) if leader == own => self.speak_to_self().await,
            Some(leader) => self.speak_to(leader).await,
            None => false,
        };
        if !well {
            self.say_hello().await;
        }
        well
    }

    /// A leader holds a lease too: only as long as a majority follows it.
    async fn speak_to_self(&mut self) -> bool {
        let running = &self.handle.running;
        let sent = Instant::now();
        let heard = Heard {
            boot: running.boot,
            at: sent,
            applied: *running.published.applied.borrow(),
            addr: running.local.addr.clone(),
            reads: FORMAT,
        };
        running.presence.hear(running.local.node, heard);
        if self.handle.read_barrier().await.is_err() {
            return false;
        }
        let nodes = self.handle.members_now();
        if self.belongs_to(&nodes).await {
            self.handle.running.presence.confirmed(sent, NODE_LEASE.std(), nodes);
        }
        true
    }

    async fn speak_to(&mut self, leader: NodeId) -> bool {
        let running = &self.handle.running;
        let sent = Instant::now();
        let message = proto::BeatRequest {
            node: running.local.node,
            boot: running.boot.as_bytes().to_vec().into(),
            applied: *running.published.applied.borrow(),
            addr: running.local.addr.clone(),
            reads: FORMAT,
            proofs: running.proofs.report(),
        };
        let call = running.peers.call(
            leader,
            Lane::Raft,
            DEADLINE + running.pace.slack(),
            message,
            |mut client, request| async move { client.beat(request).await },
        );
        match call.await {
            Ok(reply) => {
                if let Some(why) = reply.odd {
                    self.handle.stop_for_good(&why);
                    return true;
                }
                let nodes = members_in(reply.members);
                if !self.belongs_to(&nodes).await {
                    return true;
                }
                // What was given up while the lease was over must be seen before anything begins.
                let applied = self.handle.wait_applied(reply.index).await.is_ok();
                if applied {
                    self.handle.running.presence.confirmed(sent, NODE_LEASE.std(), nodes);
                }
                applied
            }
            Err(error) => {
                tracing::debug!(%error, "the leader did not answer");
                self.found = None;
                false
            }
        }
    }

    /// Whether this node is among the members. One that was and is no more stops; one that has
    /// not been, in this process's life, asks to be let in.
    async fn belongs_to(&mut self, nodes: &[Member]) -> bool {
        let own = self.handle.running.local.node;
        if nodes.iter().any(|member| member.node == own) {
            (self.belongs, self.missed) = (true, 0);
            return true;
        }
        let leader = nodes.iter().find(|member| member.leader).map(|member| member.node);
        if self.belongs {
            self.missed += 1;
            if self.missed >= MISSED_MAX {
                self.handle.running.fatal.raise(
                    "this node was removed from the cluster; start it again to let it join anew",
                );
            }
        } else if let Some(leader) = leader {
            self.ask_to_join(leader).await;
        }
        false
    }

    /// Asks to be a member: a node that was removed and started again.
    async fn ask_to_join(&self, leader: NodeId) {
        let running = &self.handle.running;
        let (node, addr) = (running.local.node, running.local.addr.clone());
        let message = proto::JoinRequest { node, addr, reads: FORMAT };
        let call = running.peers.call(
            leader,
            Lane::Raft,
            5 * DEADLINE,
            message,
            |mut client, request| async move { client.join(request).await },
        );
        match call.await {
            Ok(_) => tracing::info!("this node is a member again"),
            Err(error) => tracing::warn!(%error, "this node is no member and was not let in"),
        }
    }

    /// Tells everyone where this node is, and asks who leads.
    async fn say_hello(&mut self) {
        let running = &self.handle.running;
        let mut addrs = Vec::new();
        for name in &self.join {
            addrs.extend(running.peers.lookup(name).await);
        }
        addrs.extend(running.peers.all().into_iter().map(|(_, addr)| addr));
        addrs.sort_unstable();
        addrs.dedup();
        let mut calls = JoinSet::new();
        for addr in addrs.into_iter().filter(|addr| *addr != running.local.addr) {
            let handle = self.handle.clone();
            calls.spawn(async move { hello(&handle, &addr).await });
        }
        while let Some(Ok(reply)) = calls.join_next().await {
            let Some(reply) = reply else { continue };
            if reply.cluster != running.local.cluster() || reply.node == running.local.node {
                continue;
            }
            running.peers.told(reply.node, &reply.addr);
            // Of itself a node knows more than others do.
            if reply.leader != 0 && reply.leader != running.local.node {
                if !reply.leader_addr.is_empty() {
                    running.peers.member(reply.leader, &reply.leader_addr);
                }
                self.found = Some(reply.leader);
            }
        }
    }
}

/// Says hello to whoever listens at `addr`; none: nobody that answers.
pub(super) async fn hello(handle: &Handle, addr: &str) -> Option<proto::HelloReply> {
    let local = &handle.running.local;
    let mut client = handle.running.peers.stranger(addr)?;
    let cluster = local.cluster();
    let (node, own) = (local.node, local.addr.clone());
    let message = proto::HelloRequest { node, addr: own, cluster, reads: FORMAT };
    match timeout(DEADLINE, client.hello(Request::new(message))).await {
        Ok(Ok(reply)) => Some(reply.into_inner()),
        Ok(Err(status)) => {
            tracing::debug!(%addr, error = status.message(), "no hello");
            None
        }
        Err(_) => None,
    }
}

impl Handle {
    /// The members as this node, which leads, sees them.
    pub(super) fn members_now(&self) -> Vec<Member> {
        let running = &self.running;
        let metrics = running.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership().clone();
        let heard = running.presence.heard();
        let compared = running.proofs.compared();
        let matched = metrics.replication.unwrap_or_default();
        let own = running.local.node;
        let voters: std::collections::BTreeSet<NodeId> = membership.voter_ids().collect();
        let member = |(id, node): (&NodeId, &super::types::Node)| {
            let heard = heard.get(id);
            let matched = matched.get(id).copied().flatten().map_or(0, |id| id.index);
            Member {
                node: *id,
                addr: node.addr.clone(),
                voter: voters.contains(id),
                leader: *id == own,
                silent_for: heard.map(|heard| heard.at.elapsed()),
                // What it has in its log at the least, when it did not say what it applied.
                applied: heard.map_or(matched, |heard| heard.applied),
                proven: compared.get(id).map_or(0, |compared| compared.equal),
                differs: compared.get(id).and_then(|compared| Some(compared.differs?.1)),
            }
        };
        membership.nodes().map(member).collect()
    }
}
