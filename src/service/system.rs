//! The cluster, and this node in it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Caller, Error, Service};
use crate::machine::state::Totals;
use crate::model::placement::Labels;
use crate::model::{NodeId, RunStatus, Timestamp};

/// What a node is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
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

/// Bytes on this node's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StorageView {
    /// The log.
    pub log_bytes: u64,
    /// The history.
    pub history_bytes: u64,
    /// Of the history, what is in memory and not yet durable; the log has it.
    pub history_waiting_bytes: u64,
}

/// A node's account of itself and of the cluster as it sees it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SystemStatus {
    /// This node.
    pub node_id: NodeId,
    /// Its cluster.
    pub cluster_id: String,
    /// What it is there.
    pub role: NodeRole,
    /// Who leads; none: nobody, as far as it knows.
    #[schema(required)]
    pub leader_id: Option<NodeId>,
    /// The current term.
    pub term: u64,
    /// Index of the last entry in its log.
    pub last_log_index: u64,
    /// Index of the last entry known to be committed.
    pub committed_index: u64,
    /// Index of the last entry applied.
    pub applied_index: u64,
    /// Index that its newest checkpoint stands for.
    pub checkpoint_index: u64,
    /// Log time.
    pub log_time: Timestamp,
    /// Jobs.
    pub jobs: u64,
    /// Those of them that are paused.
    pub jobs_paused: u64,
    /// Open runs by status.
    pub open_runs: BTreeMap<String, u64>,
    /// Since the cluster began.
    pub totals: TotalsView,
    /// Nodes that have been up.
    pub nodes: u64,
    /// Bytes on disk.
    pub storage: StorageView,
    /// Of the program.
    pub version: String,
    /// Start of the process.
    pub started_at: Timestamp,
    /// Seconds since.
    pub uptime_seconds: u64,
}

/// Totals since the cluster began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TotalsView {
    /// Nominal times that got a run.
    pub fired: u64,
    /// Nominal times skipped one by one.
    pub skipped: u64,
    /// Ranges of nominal times settled without a run.
    pub ranges: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed or timed out.
    pub failed: u64,
    /// Runs that were cancelled.
    pub cancelled: u64,
    /// Runs that were lost.
    pub lost: u64,
}

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LeaderView {
    /// The leader; none: nobody, as far as this node knows.
    #[schema(required)]
    pub leader_id: Option<NodeId>,
    /// Whether it is this node.
    pub is_leader: bool,
    /// The current term.
    pub term: u64,
}

/// A cluster member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NodeView {
    /// Identity.
    pub id: NodeId,
    /// Where other nodes reach it.
    pub address: String,
    /// What it is, as far as the node that answers knows.
    pub role: NodeRole,
    /// It is up and gets attempts.
    pub live: bool,
    /// Index of the last entry it applied; none: the node that answers does not know.
    #[schema(required)]
    pub applied_index: Option<u64>,
    /// For placement.
    #[schema(value_type = BTreeMap<String, String>)]
    pub labels: Labels,
    /// Attempts at a time.
    pub slots: u32,
    /// Open attempts.
    pub busy: u32,
    /// Its present boot.
    pub boot: uuid::Uuid,
    /// When that joined.
    pub up_since: Timestamp,
}

/// The cluster's members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NodeList {
    /// By id.
    pub items: Vec<NodeView>,
}

impl Service {
    /// What this node can tell of itself and the cluster.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn status(&self, c: &Caller) -> Result<SystemStatus, Error> {
        let _ = (c, Totals::default(), RunStatus::Lost);
        Err(Error::Internal(String::new()))
    }

    /// Who leads.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn leader(&self, c: &Caller) -> Result<LeaderView, Error> {
        let _ = c;
        Err(Error::Internal(String::new()))
    }

    /// The cluster's members.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn nodes(&self, c: &Caller) -> Result<NodeList, Error> {
        let _ = c;
        Err(Error::Internal(String::new()))
    }

    /// Whether this node can serve.
    ///
    /// # Errors
    /// Every reason why it can't.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        Err(Vec::new())
    }
}
