//! Who leads, as this node knows it.

use std::sync::Arc;

use tokio::sync::watch;

use super::heartbeat::Heartbeat;
use super::rpc::Peers;
use super::types::{NodeId, Raft};
use crate::metrics::Metrics;
use crate::storage::Fatal;

/// Who leads, in which term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The current term.
    pub term: u64,
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Whether it is this node. Another one may lead already without this node knowing: only a
    /// committed command proves leadership.
    pub is_leader: bool,
}

/// Who else is told of what is seen: where members are, and since when this node leads.
pub(super) struct Seen {
    pub peers: Peers,
    pub heartbeat: Arc<Heartbeat>,
}

/// Follows the library's metrics and passes on what changes, until `stop` turns true; notes where
/// members can be reached.
pub(super) async fn follow(
    raft: Raft,
    node_id: NodeId,
    sender: watch::Sender<Leadership>,
    seen: Seen,
    fatal: Fatal,
    mut stop: watch::Receiver<bool>,
) {
    let mut metrics = raft.server_metrics();
    loop {
        let now = {
            let new = metrics.borrow_and_update();
            for (id, node) in new.membership_config.membership().nodes() {
                seen.peers.member(*id, &node.addr);
            }
            let leader = new.current_leader;
            let is_leader = leader == Some(node_id) && new.state.is_leader();
            Leadership { term: new.vote.leader_id.term, leader, is_leader }
        };
        if now.is_leader && !sender.borrow().is_leader {
            seen.heartbeat.heard(now.term);
        }
        sender.send_if_modified(|last| std::mem::replace(last, now) != now);
        tokio::select! {
            changed = metrics.changed() => if changed.is_err() {
                // Nobody asked it to: it met an error it can't go on from.
                fatal.raise("the consensus library stopped");
                break;
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    // A node that stops leads nobody.
    sender.send_modify(|last| *last = Leadership { term: last.term, ..Leadership::default() });
}

/// Counts how often another leader is known. Ends with what is followed.
pub(super) async fn count(
    mut leadership: watch::Receiver<Leadership>,
    metrics: Option<Arc<Metrics>>,
) {
    let Some(metrics) = metrics else { return };
    let mut last = None;
    while leadership.changed().await.is_ok() {
        let now = *leadership.borrow_and_update();
        let led = now.leader.map(|leader| (now.term, leader));
        if led.is_some() && led != last {
            metrics.parts.leader_changed();
            last = led;
        }
    }
}
