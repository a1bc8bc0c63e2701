//! A job: its definition, and what is live about it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::machine::command::Next;
use crate::model::{JobNo, JobSpec, JobUid, RunId, RunStatus, Span, Timestamp, limits};

/// A definition with what is live about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its number; the short form of `uid`.
    pub no: JobNo,
    /// Its identity.
    pub uid: JobUid,
    /// From 1; one more at each change.
    pub version: u64,
    /// The definition in force.
    pub spec: Arc<JobSpec>,
    /// Creation, log time.
    pub created_at: Timestamp,
    /// Last change, log time.
    pub updated_at: Timestamp,
    /// What runs and fires have made of it.
    pub live: Live,
}

/// What changes without the definition changing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The next nominal time; none: no schedule, over, or paused.
    pub next: Option<Next>,
    /// The newest nominal time that is decided. A fire at or before it is refused. It goes back
    /// only when a start that was planned ahead is given back by its node, unbegun.
    pub decided: Timestamp,
    /// While paused: the first nominal time that is skipped for it, if there is one.
    pub paused_from: Option<Timestamp>,
    /// Scheduled runs so far, for `max_runs`.
    pub fired: u64,
    /// Open runs.
    pub open: u32,
    /// Those of them that wait behind others.
    pub behind: u32,
    /// Those of them that backfills made: they take no place of the others.
    #[serde(default, skip_serializing_if = "none")]
    pub backfilling: u32,
    /// The success counter at the job's last gated run: later successes open the next gate.
    pub gate_mark: u64,
    /// The success counter at the job's last join.
    pub join_mark: u64,
    /// The success counter at the job's own last success; 0: none yet.
    pub success: u64,
    /// Closed runs that history keeps.
    #[serde(default)]
    pub kept: u64,
    /// Its last closed run.
    pub last_run: Option<LastRun>,
    /// Its run whose start is planned ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<RunId>,
    /// A run whose planned start was lost with its node before its time came: where nobody
    /// hears of it, it may begin all the same. Edits wait for that time as for a planned start.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "adrift")]
    pub lost_ahead: Option<(RunId, Timestamp)>,
    /// The nominal time whose planned start was withdrawn last. It fires when it is due, not
    /// ahead, so that whoever withdrew it gets a turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_back: Option<Timestamp>,
    /// What its last runs that succeeded took, in milliseconds, the newest last; only where
    /// `long_after` is worked out from it. From format 7 on.
    #[serde(default, skip_serializing_if = "Took::is_empty")]
    pub took: Took,
}

/// Spans in milliseconds; clones share them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Took(Arc<Vec<u64>>);

impl Took {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds one; the oldest goes past `limits::AUTO_RUNS_MAX`.
    pub fn add(&mut self, millis: u64) {
        let all = Arc::make_mut(&mut self.0);
        all.push(millis);
        let surplus = all.len().saturating_sub(limits::AUTO_RUNS_MAX);
        all.drain(..surplus);
    }

    /// After how long a run is told that is under way: three times what 95 % of these took, at
    /// least a minute; none: there are too few of them.
    pub fn long_after(&self) -> Option<Span> {
        if self.0.len() < limits::AUTO_RUNS_MIN {
            return None;
        }
        let mut sorted = (*self.0).clone();
        sorted.sort_unstable();
        // The nearest rank: the smallest that as many are not above.
        let rank = (sorted.len() * 95).div_ceil(100);
        let most = sorted.get(rank.saturating_sub(1))?;
        Some(Span::from_millis(most.saturating_mul(3)).max(limits::AUTO_MIN))
    }
}

fn none(count: &u32) -> bool {
    *count == 0
}

impl Live {
    /// Open runs but those of backfills.
    pub fn present(&self) -> u32 {
        self.open.saturating_sub(self.backfilling)
    }
}

impl Job {
    /// Whether a fire decided ahead would come out as one decided when due, as far as the
    /// state tells: it would start at once.
    pub fn may_start_ahead(&self) -> bool {
        let (spec, live) = (&self.spec, &self.live);
        let alone = spec.max_concurrent().is_none() || live.present() == 0;
        let room = live.present() < limits::OPEN_RUNS_PER_JOB_MAX;
        let plain = spec.dependencies.is_empty() && spec.queue.is_none() && !spec.is_no_op();
        plain && alone && room && live.ahead.is_none()
    }
}

/// The last closed run of a job, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LastRun {
    /// Its id.
    pub id: RunId,
    /// How it ended.
    pub status: RunStatus,
    /// When.
    pub finished_at: Timestamp,
}
