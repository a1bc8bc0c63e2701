//! A node's own account of itself.

use super::types::NodeId;

/// What a node is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It decides.
    Leader,
    /// It votes and follows.
    Follower,
    /// It asks for votes.
    Candidate,
    /// It follows without a vote.
    Learner,
    /// It stopped.
    Stopped,
}

/// A node at a moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// This node.
    pub node_id: NodeId,
    /// Its cluster.
    pub cluster_id: String,
    /// What it is there.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Index of the last entry in its log; 0 before the first, here and below.
    pub last_log: u64,
    /// Index of the last entry known to be committed.
    pub committed: u64,
    /// Index of the last applied entry.
    pub applied: u64,
    /// Index the newest checkpoint stands for.
    pub checkpoint: u64,
    /// Index of the last purged entry.
    pub purged: u64,
    /// Index the durable history is complete up to.
    pub history: u64,
    /// Bytes the log takes on disk.
    pub log_bytes: u64,
    /// Bytes of the records that were appended to it since the start.
    pub log_appended: u64,
    /// Times that it was made durable since the start.
    pub log_flushes: u64,
    /// Bytes the history takes on disk.
    pub history_bytes: u64,
    /// Bytes of history not yet durable.
    pub history_waiting_bytes: u64,
}
