//! What is asked of backfills.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::flow::StartRate;
use crate::model::{BackfillOrder, BackfillWhich, JobNo, JobSpec, Parameters, Timestamp};

/// See [`Op::StartBackfill`](super::Op::StartBackfill).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartBackfill {
    /// The job.
    pub no: JobNo,
    /// The version that the runs have.
    pub version: u64,
    /// Its definition, if it is not the one in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Arc<JobSpec>>,
    /// Nominal times from here on.
    pub from: Timestamp,
    /// Those before this instant.
    pub to: Timestamp,
    /// Which of them.
    pub which: BackfillWhich,
    /// In which order.
    pub order: BackfillOrder,
    /// Open runs at a time.
    pub max_concurrent: u32,
    /// Runs made in a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<StartRate>,
    /// All parameters of each run.
    pub parameters: Parameters,
    /// Nominal times of the range.
    pub total: u64,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// See [`Op::EditBackfill`](super::Op::EditBackfill).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BackfillEdit {
    /// It makes no more runs; those that it made go on.
    Pause {
        /// For the audit and whoever looks at it.
        reason: Option<String>,
    },
    /// It makes runs again.
    Resume,
    /// It ends, and its open runs are stopped.
    Cancel {
        /// For the audit and whoever looks at it.
        reason: Option<String>,
    },
    /// Its bounds are others from here on.
    Bounds {
        /// Open runs at a time.
        max_concurrent: u32,
        /// Runs made in a time.
        rate: Option<StartRate>,
    },
}
