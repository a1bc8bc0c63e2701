//! Formats: what the members of a cluster can read, and what may so be written.
//!
//! A format is a number that grows when an older program could not read what a newer one writes:
//! commands, states, history. Each node says which it reads. Once every member has said that it
//! reads a newer one, the leader raises the format of the cluster, by a command; only then what
//! needs it is taken. From then on an older program is refused: by the leader when it asks, by
//! its own data directory when it starts (ADR 0017).

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::handle::Handle;
use super::types::NodeId;
use crate::machine::state::FORMAT;
use crate::storage;

// One number, which both sides have to know.
const _: () = assert!(FORMAT == storage::FORMAT);

/// How often the data directory is held against the state.
const EVERY: Duration = Duration::from_secs(1);
/// Heard of within this, a node counts as being there.
const ALIVE: Duration = Duration::from_secs(3);

/// What a node is told that is too old for a cluster.
pub(super) fn too_old(node: NodeId, reads: u32, format: u32) -> String {
    format!(
        "node {node} reads formats up to {reads}, and this cluster has format {format}: start it \
         with the version of CronAPI that the other nodes run, or a newer one"
    )
}

/// What a node says that meets a cluster which is too new for it.
pub(super) fn too_new(format: u32) -> String {
    format!(
        "the cluster has format {format}, and this version of CronAPI reads up to {FORMAT}: start \
         a newer version, such as the other nodes run"
    )
}

impl Handle {
    /// The newest format that every member reads, as this node, which leads, was told by all of
    /// them; none: some member is silent.
    pub fn format_read_by_all(&self) -> Option<u32> {
        let metrics = self.running.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership().clone();
        let (heard, own) = (self.running.presence.heard(), self.running.local.node);
        let mut least = FORMAT;
        for (node, _) in membership.nodes() {
            if *node == own {
                continue;
            }
            let heard = heard.get(node).filter(|heard| heard.at.elapsed() < ALIVE)?;
            least = least.min(heard.reads);
        }
        Some(least)
    }
}

/// Notes the cluster's format in the data directory, until `stop` turns true: a program that is
/// older is refused there before it reads anything else.
pub(super) async fn note(handle: Handle, mut stop: watch::Receiver<bool>) {
    loop {
        let format = handle.state().format();
        if let Err(error) = handle.running.local.write_format(format) {
            tracing::warn!(%error, "the format is not noted in the data directory");
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
