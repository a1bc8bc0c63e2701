//! Counts what the log did, each entry on one node of the cluster: the one that led when it was
//! written. Every node applies every entry, so counting all of them would count all that happens
//! as often as there are nodes.

use std::sync::Arc;

use tokio::time::Instant;

use super::types::{LogId, NodeId};
use crate::metrics::Metrics;
use crate::model::Fact;

/// What a node counts of the log.
pub(super) struct Count {
    metrics: Option<Arc<Metrics>>,
    node: NodeId,
    /// The end of the log at the start: what is applied again up to there was counted before.
    replayed: u64,
}

impl Count {
    /// Of `node`, whose log ends with `last` at its start.
    pub fn new(metrics: Option<Arc<Metrics>>, node: NodeId, last: Option<LogId>) -> Self {
        Self { metrics, node, replayed: last.map_or(0, |id| id.index) }
    }

    /// An entry was applied.
    pub fn entry(&self, id: LogId, facts: &[Fact]) {
        if id.leader_id.node_id == self.node
            && id.index > self.replayed
            && let Some(metrics) = &self.metrics
        {
            metrics.facts.count(facts);
        }
    }

    /// Several were, since `began`.
    pub fn applied(&self, began: Instant) {
        if let Some(metrics) = &self.metrics {
            metrics.parts.applied(began.elapsed());
        }
    }
}
