//! Who leads, as this node knows it.

use std::sync::Arc;

use tokio::sync::watch;

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

/// Follows the library's metrics and passes on what changes, until `stop` turns true; notes where
/// members can be reached.
pub(super) async fn follow(
    raft: Raft,
    node_id: NodeId,
    sender: watch::Sender<Leadership>,
    peers: Peers,
    fatal: Fatal,
    mut stop: watch::Receiver<bool>,
) {
    let mut metrics = raft.server_metrics();
    loop {
        let now = {
            let seen = metrics.borrow_and_update();
            for (id, node) in seen.membership_config.membership().nodes() {
                peers.member(*id, &node.addr);
            }
            let leader = seen.current_leader;
            let is_leader = leader == Some(node_id) && seen.state.is_leader();
            Leadership { term: seen.vote.leader_id.term, leader, is_leader }
        };
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
