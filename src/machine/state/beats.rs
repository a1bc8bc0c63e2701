//! Heartbeats of jobs: which jobs have one, and what became of the last.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::model::{JobNo, RunId, Timestamp};

/// What heartbeats of jobs need.
pub const FORMAT_OF_BEATS: u32 = 8;

/// The heartbeat of a job: the newest. One that waits is told instead of those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The run that it tells of; none: nothing waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// When that succeeded, log time.
    pub at: Timestamp,
    /// It is not sent before.
    pub not_before: Timestamp,
    /// How often it was tried in vain.
    #[serde(default)]
    pub tries: u32,
    /// When one was last taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Those of all jobs that have one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beats {
    /// By job.
    pub all: OrdMap<JobNo, Arc<Beat>>,
    /// Those that wait, by when they may be sent.
    pub waiting: OrdSet<(Timestamp, JobNo)>,
}

impl Beats {
    /// No job has one.
    pub fn is_none(&self) -> bool {
        self.all.is_empty()
    }
}
