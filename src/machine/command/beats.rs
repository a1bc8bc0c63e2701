//! What became of the heartbeats of jobs.

use serde::{Deserialize, Serialize};

use crate::model::{Delivery, JobNo, RunId};

/// What became of the heartbeat of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beaten {
    /// The job.
    pub no: JobNo,
    /// The run that it told of.
    pub run: RunId,
    /// What became of it.
    pub outcome: Delivery,
}
