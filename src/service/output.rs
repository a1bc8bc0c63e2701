//! Captured output of runs.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Caller, Error, Service};
use crate::model::{RunId, RunStatus, Timestamp};

/// A place in the output of a run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct LogPosition {
    /// The attempt, from 1.
    pub attempt: u32,
    /// Order within the attempt, from 0.
    pub seq: u32,
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A note of the scheduler.
    System,
}

/// A piece of output. It may hold several lines, or end within one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LogLine {
    /// The attempt.
    pub attempt: u32,
    /// Order within the attempt.
    pub seq: u32,
    /// When it was read, by the node's clock.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: LogStream,
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// A part of the output of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LogPage {
    /// In order.
    pub lines: Vec<LogLine>,
    /// The run is closed and this is the end of its output.
    pub closed: bool,
    /// For what follows; none: nothing was ever written. While the run is open, more may
    /// follow even when nothing does now.
    #[schema(required)]
    pub next: Option<LogPosition>,
}

/// The output of one of a job's runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RunLog {
    /// The run.
    pub run_id: RunId,
    /// Where it is.
    pub status: RunStatus,
    /// Start of its last attempt.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it was closed.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
    /// Its output.
    pub lines: Vec<LogLine>,
}

impl Service {
    /// Up to `limit` pieces of a run's output after `after`.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn output(
        &self,
        c: &Caller,
        id: RunId,
        after: Option<LogPosition>,
        limit: usize,
    ) -> Result<LogPage, Error> {
        let _ = (c, id, after, limit);
        Err(Error::Internal(String::new()))
    }

    /// The output of a job's latest runs, newest first, up to `limit` pieces in all.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn job_logs(
        &self,
        c: &Caller,
        name: &str,
        limit: usize,
    ) -> Result<Vec<RunLog>, Error> {
        let _ = (c, name, limit);
        Err(Error::Internal(String::new()))
    }

    /// Follows the index of the last applied entry: what was read before may have changed.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.consensus().applied()
    }
}
