//! What the commands say that put a definition.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Next, Range};
use crate::model::{JobNo, JobSpec, Spec};

/// See [`Op::PutJob`](super::Op::PutJob).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutJob {
    /// The definition.
    pub spec: Arc<JobSpec>,
    /// The number and version it was prepared on; none: there was no such job.
    pub based_on: Option<(JobNo, u64)>,
    /// The caller insists on that version (`If-Match`): do not prepare again.
    pub pinned: bool,
    /// Its next nominal time; none: it has no schedule, or it is over. Of a paused job, the
    /// first that is skipped.
    pub next: Option<Next>,
    /// What the definition before left undecided.
    pub settled: Option<Range>,
    /// What was asked, for the audit: `create`, `update`, `pause`, `resume`.
    pub verb: String,
}

/// See [`Op::Put`](super::Op::Put).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutDefinition {
    /// The definition.
    pub spec: Spec,
    /// The version it was prepared on; none: there was none of that name.
    pub based_on: Option<u64>,
    /// The caller insists on that version (`If-Match`): do not prepare again.
    pub pinned: bool,
}
