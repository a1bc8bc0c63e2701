//! What comes of digests that differ (`proofs`): it is told, and the node that a majority is
//! against stops for good.

use std::collections::BTreeMap;

use super::handle::Handle;
use super::proofs::Compared;
use super::types::NodeId;
use crate::wire::proto;

impl Handle {
    /// A node told its digests: the answer for it, if it is the odd one. If this node is, it stops.
    pub(super) fn hold_against(&self, node: NodeId, told: &[proto::Proof]) -> Option<String> {
        let running = &self.running;
        let metrics = running.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        let voters = membership.voter_ids().collect();
        running.proofs.retain(&membership.nodes().map(|(id, _)| *id).collect());
        let own = running.local.node;
        let before = running.proofs.compared().get(&node).and_then(|known| known.differs);
        let odd = running.proofs.hear(own, node, told, &voters);
        let now = running.proofs.compared().get(&node).and_then(|known| known.differs);
        if let (None, Some((of, index))) = (before, now) {
            tracing::error!(
                other = node,
                ?of,
                index,
                "two replicas differ at the same entry: what one of them says is wrong"
            );
        }
        let odd = odd?;
        if odd.node != own {
            return Some(odd.told());
        }
        self.stop_for_good(&odd.told());
        None
    }

    /// This node differs from a majority: it serves and votes no more, after a restart neither.
    pub(super) fn stop_for_good(&self, why: &str) {
        let running = &self.running;
        if running.fatal.is_raised() {
            return;
        }
        if let Err(error) = running.local.set_aside(why) {
            tracing::error!(%error, "that this data must not be used again can't be noted");
        }
        running.fatal.raise(why);
    }

    /// How the others' digests compare with this node's: as this node was told them while it led.
    pub fn compared(&self) -> BTreeMap<NodeId, Compared> {
        self.running.proofs.compared()
    }
}
