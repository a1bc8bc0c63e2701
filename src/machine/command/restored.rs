//! What the command says that begins a cluster from a backup.

use serde::{Deserialize, Serialize};

use super::{Next, Range, SigningKey};
use crate::model::{JobNo, Timestamp};

/// See [`Op::Restored`](super::Op::Restored).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// The cluster that the backup is of.
    pub cluster: String,
    /// The last entry of its log that the backup covers.
    pub index: u64,
    /// That cluster may have fired up to here.
    pub as_of: Timestamp,
    /// That cluster did nothing after the backup: what waited goes on, what ran is lost.
    pub stopped: bool,
    /// What it may have decided after the backup.
    pub settled: Vec<Settled>,
    /// Signs from here on; no access token of before is good.
    pub signing_key: SigningKey,
    /// The format of the new cluster, at the least.
    pub format: u32,
}

/// Nominal times of a job that are settled, and its next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The job.
    pub no: JobNo,
    /// Its version.
    pub version: u64,
    /// The times.
    pub range: Range,
    /// The next one.
    pub next: Option<Next>,
}
