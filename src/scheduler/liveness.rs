//! Nodes that were not heard of for their lease and the grace are given up.
//!
//! Who was heard of, and when, is known to the leader alone and stays off the log; only the
//! verdict enters it. A new leader has heard of nobody yet: everybody's time begins with its
//! term. So a verdict may come late, never early.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::consensus::Handle;
use crate::machine::{Op, State};
use crate::model::{BootId, NodeId, limits};

use super::Term;

/// The last that was heard of a node, by the clock of the one who heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The boot that was heard.
    pub boot: BootId,
    /// When.
    pub at: Instant,
}

/// A node that was not heard of for so long gets nothing new until it is heard of again.
const SILENT_AFTER: Duration = Duration::from_secs(1);
/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Runs until the term ends.
pub(super) async fn run(duties: &Term) {
    let (own, term_began) = (duties.consensus.node_id(), Instant::now());
    let mut first_seen = FirstSeen::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (state, now) = (duties.consensus.state(), Instant::now());
        let heard = first_seen.add_to(heard_by(&duties.consensus), &state, now);
        let ops = verdicts(&state, &heard, own, term_began, now);
        if ops.is_empty() {
            continue;
        }
        for op in &ops {
            tracing::warn!(?op, "a node is given up");
        }
        let batch = ops.into_iter().map(|op| duties.command(op)).collect();
        // What could not be proposed now is found again at the next look.
        if let Err(error) = duties.consensus.propose(duties.term, batch).await {
            tracing::debug!(%error, "a node is given up later");
        }
    }
}

fn heard_by(consensus: &Handle) -> BTreeMap<NodeId, Heard> {
    let all = consensus.heard().into_iter();
    all.map(|(node, heard)| (node, Heard { boot: heard.boot, at: heard.at })).collect()
}

/// What to give up: nodes but this one that take or have attempts and whose present boot was
/// not heard of for too long. This one leads, so it is there.
pub fn verdicts(
    state: &State,
    heard: &BTreeMap<NodeId, Heard>,
    own: NodeId,
    term_began: Instant,
    now: Instant,
) -> Vec<Op> {
    let patience = limits::NODE_LEASE.std() + limits::NODE_LEASE_GRACE.std();
    let silent = |node: NodeId, boot: BootId| {
        let last = heard.get(&node).filter(|heard| heard.boot == boot);
        let since = last.map_or(term_began, |heard| heard.at.max(term_began));
        now.saturating_duration_since(since) > patience
    };
    state
        .nodes
        .values()
        .filter(|node| node.id != own && counts(state, node.id) && silent(node.id, node.boot))
        .map(|node| Op::NodeLost { node: node.id, boot: node.boot })
        .collect()
}

/// Nodes that nothing should be given to: their present boot was not heard of for a moment, or
/// not at all. A new leader knows of itself only, until it has heard of others.
pub(super) fn silent(duties: &Term, state: &State) -> BTreeSet<NodeId> {
    let (own, slack) = (duties.consensus.node_id(), duties.consensus.slack());
    let now = Instant::now();
    // Over a long way a node speaks less often.
    silent_at(state, &heard_by(&duties.consensus), own, now.checked_sub(slack).unwrap_or(now))
}

fn silent_at(
    state: &State,
    heard: &BTreeMap<NodeId, Heard>,
    own: NodeId,
    now: Instant,
) -> BTreeSet<NodeId> {
    let spoke = |node: NodeId, boot: BootId| {
        heard.get(&node).is_some_and(|heard| {
            heard.boot == boot && now.saturating_duration_since(heard.at) <= SILENT_AFTER
        })
    };
    let others = state.nodes.values().filter(|node| node.id != own);
    others.filter(|node| !spoke(node.id, node.boot)).map(|node| node.id).collect()
}

/// Whether a node takes or has attempts: else there is nothing to give up.
fn counts(state: &State, node: NodeId) -> bool {
    state.nodes.get(&node).is_some_and(|node| node.accepting || node.busy > 0)
}

/// When this leader first saw each boot in the state: that it is up was told to the log, so
/// it was there then.
#[derive(Default)]
struct FirstSeen(BTreeMap<NodeId, Heard>);

impl FirstSeen {
    /// The boots in `state`, seen first or heard of later.
    fn add_to(
        &mut self,
        heard: BTreeMap<NodeId, Heard>,
        state: &State,
        now: Instant,
    ) -> BTreeMap<NodeId, Heard> {
        // One that was given up and comes back is seen first again.
        self.0.retain(|id, seen| {
            counts(state, *id) && state.nodes.get(id).is_some_and(|node| node.boot == seen.boot)
        });
        for node in state.nodes.values().filter(|node| counts(state, node.id)) {
            self.0.entry(node.id).or_insert(Heard { boot: node.boot, at: now });
        }
        let mut all = self.0.clone();
        for (id, heard) in heard {
            match all.get_mut(&id) {
                Some(seen) if seen.boot == heard.boot => seen.at = seen.at.max(heard.at),
                _ => {}
            }
        }
        all
    }
}

#[cfg(test)]
mod tests;
