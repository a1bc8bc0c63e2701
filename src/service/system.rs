//! The cluster, and this node in it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Action, Caller, Error, Service, Target};
use crate::consensus;
use crate::executor::runner::cgroups::Bounded;
use crate::executor::runner::isolation::InForce;
use crate::machine::state::Totals;
use crate::model::{NodeId, Timestamp};

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
    /// How far its clock is ahead of most voters' clocks, in milliseconds; missing: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub clock_ahead_ms: Option<i64>,
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
    /// Members whose digests differ from the leader's at the same entry, as the leader told last:
    /// what one of the two says is wrong.
    pub replicas_differ: Vec<NodeId>,
    /// Bytes on disk.
    pub storage: StorageView,
    /// What keeps jobs on this node from it and from each other.
    pub isolation: IsolationView,
    /// What bounds the processes of an attempt as a whole.
    pub bounds: BoundsView,
    /// Of the program.
    pub version: String,
    /// Start of the process.
    pub started_at: Timestamp,
    /// Seconds since.
    pub uptime_seconds: u64,
}

/// What keeps jobs from the node that runs them, and from each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct IsolationView {
    /// What was asked for: `require`, `best-effort` or `off`.
    pub mode: String,
    /// The account of jobs that name none.
    pub account: String,
    /// Whether it is another than the node's.
    pub own_account: bool,
    /// What keeps the data directory and key files from jobs: `hidden` (a mount namespace),
    /// `account`, `landlock`, or `open` (nothing does).
    pub files: String,
    /// Version of Landlock in use; 0: none.
    pub landlock: u32,
    /// Whether memory and environment of the node and of other jobs are out of reach.
    pub memory: bool,
    /// Whether the node and other jobs are safe from signals.
    pub signals: bool,
    /// Whether command lines of other processes are out of sight.
    pub processes: bool,
    /// What is missing, a sentence each.
    pub missing: Vec<String>,
}

impl From<&InForce> for IsolationView {
    fn from(found: &InForce) -> Self {
        IsolationView {
            mode: found.mode.as_str().into(),
            account: found.account.clone(),
            own_account: found.own_account,
            files: found.files.as_str().into(),
            landlock: found.landlock,
            memory: found.memory,
            signals: found.signals,
            processes: found.processes,
            missing: found.missing.clone(),
        }
    }
}

/// What bounds the processes of an attempt as a whole: their memory, their number, their share of
/// the processors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BoundsView {
    /// `cgroups`: one for each attempt; or `rlimits`: bounds of each process, and a look at all of
    /// them now and then.
    pub by: String,
    /// The controllers of cgroup v2 that are used.
    pub controllers: Vec<String>,
    /// Why there are no cgroups.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub missing: Option<String>,
}

impl From<&Bounded> for BoundsView {
    fn from(found: &Bounded) -> Self {
        BoundsView {
            by: if found.cgroups { "cgroups" } else { "rlimits" }.into(),
            controllers: found.controllers.clone(),
            missing: found.missing.clone(),
        }
    }
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

impl Service {
    /// What this node can tell of itself and the cluster.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn status(&self, c: &Caller) -> Result<SystemStatus, Error> {
        c.permit(Action::ReadCluster, Target::Cluster)?;
        let (status, state) = (self.consensus().status(), self.consensus().state());
        let local = &self.0.deps.local;
        let open_runs = state.open_by_status().into_iter();
        Ok(SystemStatus {
            node_id: status.node_id,
            cluster_id: status.cluster_id,
            role: status.role.into(),
            leader_id: status.leader,
            term: status.term,
            last_log_index: status.last_log,
            committed_index: status.committed,
            applied_index: status.applied,
            checkpoint_index: status.checkpoint,
            log_time: state.last_at,
            clock_ahead_ms: self.consensus().clock_ahead().map(|micros| micros / 1_000),
            jobs: state.jobs.len() as u64,
            jobs_paused: state.jobs.values().filter(|job| !job.spec.enabled.0).count() as u64,
            open_runs: open_runs.map(|(s, n)| (s.as_str().to_string(), n)).collect(),
            totals: state.totals.into(),
            nodes: state.nodes.len() as u64,
            replicas_differ: self.replicas_differ(),
            storage: StorageView {
                log_bytes: status.log_bytes,
                history_bytes: status.history_bytes,
                history_waiting_bytes: status.history_waiting_bytes,
            },
            isolation: self.0.deps.runners.isolation().in_force().into(),
            bounds: self.0.deps.runners.cgroups().bounded().into(),
            version: local.version.clone(),
            started_at: local.started_at,
            uptime_seconds: self.now().since(local.started_at).secs(),
        })
    }

    fn replicas_differ(&self) -> Vec<NodeId> {
        let members = self.consensus().members_told().into_iter();
        members.filter(|member| member.differs.is_some()).map(|member| member.node).collect()
    }

    /// Who leads.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn leader(&self, c: &Caller) -> Result<LeaderView, Error> {
        c.permit(Action::ReadCluster, Target::Cluster)?;
        let now = *self.consensus().leadership().borrow();
        Ok(LeaderView { leader_id: now.leader, is_leader: now.is_leader, term: now.term })
    }
}

impl From<consensus::Role> for NodeRole {
    fn from(role: consensus::Role) -> Self {
        match role {
            consensus::Role::Leader => NodeRole::Leader,
            consensus::Role::Follower => NodeRole::Follower,
            consensus::Role::Candidate => NodeRole::Candidate,
            consensus::Role::Learner => NodeRole::Learner,
            consensus::Role::Stopped => NodeRole::Stopped,
        }
    }
}

impl From<Totals> for TotalsView {
    fn from(totals: Totals) -> Self {
        let Totals { fired, skipped, ranges, succeeded, failed, cancelled, lost } = totals;
        TotalsView { fired, skipped, ranges, succeeded, failed, cancelled, lost }
    }
}
