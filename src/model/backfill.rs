//! Backfills: past nominal times of a job, run on purpose.

use serde::{Deserialize, Serialize};

use super::ids::RunId;
use super::run::RunStatus;
use super::time::Timestamp;

/// Identity of a backfill: a number, from 1 on, that is never used again.
pub type BackfillId = u64;

/// Which times of its range a backfill runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackfillWhich {
    /// Those that never had a run: skipped, superseded, or before there was the job.
    #[default]
    Missing,
    /// Those, and the ones whose runs did not succeed.
    Failed,
    /// All of them.
    All,
}

impl BackfillWhich {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            BackfillWhich::Missing => "missing",
            BackfillWhich::Failed => "failed",
            BackfillWhich::All => "all",
        }
    }

    /// Whether a time of which this became is run.
    pub fn takes(self, became: Became) -> bool {
        match became {
            Became::Open => false,
            Became::Nothing => true,
            Became::Failed => self != BackfillWhich::Missing,
            Became::Succeeded | Became::Forgotten => self == BackfillWhich::All,
        }
    }
}

/// In which order a backfill takes its times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackfillOrder {
    /// The oldest first.
    #[default]
    Oldest,
    /// The newest first.
    Newest,
}

/// How far a backfill is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BackfillStatus {
    /// It makes runs, or waits for those that it made.
    Running,
    /// It makes no more runs until it is resumed.
    Paused,
    /// All its times were taken, and all its runs have ended.
    Done,
    /// It was stopped, and its open runs with it.
    Cancelled,
}

impl BackfillStatus {
    /// Whether it may still make runs, or wait for some.
    pub fn is_open(self) -> bool {
        matches!(self, BackfillStatus::Running | BackfillStatus::Paused)
    }

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            BackfillStatus::Running => "running",
            BackfillStatus::Paused => "paused",
            BackfillStatus::Done => "done",
            BackfillStatus::Cancelled => "cancelled",
        }
    }
}

/// What became of a nominal time, as far as a backfill asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// It never had a run that began.
    Nothing,
    /// A run of it is open, or it is still to be decided.
    Open,
    /// A run of it succeeded.
    Succeeded,
    /// It had runs, and none succeeded.
    Failed,
    /// It is older than what is kept of the job.
    Forgotten,
}

/// What became of the times of a backfill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BackfillCounts {
    /// Runs made.
    pub made: u64,
    /// Times that it passed over, since they need no run.
    pub passed: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed or timed out.
    pub failed: u64,
    /// Runs that were cancelled.
    pub cancelled: u64,
    /// Runs that were lost.
    pub lost: u64,
    /// Runs that could not start, since their parameters do not fit.
    pub skipped: u64,
}

impl BackfillCounts {
    /// Counts a run that ended.
    pub fn ended(&mut self, status: RunStatus) {
        match status {
            RunStatus::Succeeded => self.succeeded += 1,
            RunStatus::Failed | RunStatus::TimedOut => self.failed += 1,
            RunStatus::Cancelled => self.cancelled += 1,
            RunStatus::Lost => self.lost += 1,
            _ => self.skipped += 1,
        }
    }

    /// Runs that ended.
    pub fn closed(&self) -> u64 {
        self.succeeded + self.failed + self.cancelled + self.lost + self.skipped
    }
}

/// A run that a backfill made for a nominal time, as it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backfilled {
    /// The time.
    pub nominal_time: Timestamp,
    /// The backfill.
    pub backfill: BackfillId,
    /// The run.
    pub run_id: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// Whether an attempt of it was made.
    pub begun: bool,
    /// When it ended, log time.
    pub at: Timestamp,
}
