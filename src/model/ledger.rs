//! The ledger: what became of every nominal time.

use serde::{Deserialize, Serialize};

use super::ids::RunId;
use super::time::Timestamp;

/// How a nominal time ended. Each has exactly one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has a run.
    Fired,
    /// It was decided not to run: see the reason.
    Skipped,
    /// The schedule changed, or the job went, before it was decided.
    Superseded,
}

/// Why a nominal time, or a run, was skipped.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// An earlier run of the job was open, and its overlap policy says so.
    Overlap,
    /// The job was paused.
    Paused,
    /// It was missed and is older than `misfire.window`.
    WindowPassed,
    /// It was missed, and `misfire.policy` keeps only newer ones or none.
    Misfire,
    /// A calendar excludes its day.
    Calendar,
    /// `dependency_timeout` passed before every dependency had a new success.
    DependenciesUnmet,
    /// Too many runs of the job are open.
    QueueFull,
    /// `max_runs` or `misfire.max` was reached.
    Limit,
    /// The parameters do not fit the job's schema.
    ParametersRefused,
    /// The cluster was restored from a backup, and the one before may have run it.
    Restored,
    /// Of a task: what it comes after can't hold any more.
    Upstream,
    /// Of a task: its condition was false.
    Condition,
    /// The lock of its job was held by another.
    LockBusy,
}

impl SkipReason {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            SkipReason::Overlap => "overlap",
            SkipReason::Paused => "paused",
            SkipReason::WindowPassed => "window_passed",
            SkipReason::Misfire => "misfire",
            SkipReason::Calendar => "calendar",
            SkipReason::DependenciesUnmet => "dependencies_unmet",
            SkipReason::QueueFull => "queue_full",
            SkipReason::Limit => "limit",
            SkipReason::ParametersRefused => "parameters_refused",
            SkipReason::Restored => "restored",
            SkipReason::Upstream => "upstream",
            SkipReason::Condition => "condition",
            SkipReason::LockBusy => "lock_busy",
        }
    }
}

/// The outcome of one nominal time, or of all nominal times of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LedgerRow {
    /// The nominal time; of a range, its first.
    pub nominal_time: Timestamp,
    /// A range: every nominal time from `nominal_time` up to, not including, this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub until: Option<Timestamp>,
    /// Nominal times in the range, when they were counted (up to 10,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub count: Option<u32>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, when it was skipped.
    #[schema(required)]
    pub reason: Option<SkipReason>,
    /// The run, when it fired.
    #[schema(required)]
    pub run_id: Option<RunId>,
    /// When it was decided, log time.
    pub decided_at: Timestamp,
    /// The version of the definition in force.
    pub version: u64,
    /// The newest run that a backfill made for it. Never kept here: told when it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub backfilled_by: Option<RunId>,
    /// Of a range: its times that backfills made runs for. Told when it is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub backfilled: Option<u32>,
}
