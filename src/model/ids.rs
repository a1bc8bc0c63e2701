//! Identifiers. All of them are decided in the log, from counters in the state, so that
//! every node derives the same ones.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::time::Timestamp;

/// A cluster member.
pub type NodeId = u64;
/// Fencing token: larger for every later attempt in the cluster.
pub type Fence = u64;
/// A job's number: new at each creation, never reused. The short form of its `uid`.
pub type JobNo = u32;
/// One start of a node's process; random.
pub type BootId = Uuid;

/// A job's identity: new when a job is deleted and created again (UUID version 7).
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid)]
pub struct JobUid(pub Uuid);

impl JobUid {
    /// The identity of job number `no`, created at `at`.
    pub fn new(at: Timestamp, no: JobNo) -> Self {
        JobUid(build(at.millis(), 0, no))
    }

    /// The number of the job.
    pub fn job_no(self) -> JobNo {
        RunId(self.0).job_no()
    }
}

/// A run's identity: a UUID version 7 whose time is the nominal time of a scheduled run
/// and the time of creation of any other, and whose last bits name the job. So a job's
/// runs sort by time, and a run is found without an index.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid)]
pub struct RunId(pub Uuid);

impl RunId {
    /// Bits of the run counter that an id can hold.
    const SEQ_BITS: u32 = 42;

    /// The id of the `seq`-th run of the cluster, one of job `no`, at `time`.
    pub fn new(time: Timestamp, no: JobNo, seq: u64) -> Self {
        RunId(build(time.millis(), seq & ((1 << Self::SEQ_BITS) - 1), no))
    }

    /// The number of the job this is a run of.
    pub fn job_no(self) -> JobNo {
        (self.0.as_u128() & u128::from(u32::MAX)) as u32
    }

    /// The time in the id, milliseconds since 1970.
    pub fn millis(self) -> u64 {
        (self.0.as_u128() >> 80) as u64
    }

    /// The least id of any run at or after `time`.
    pub fn floor(time: Timestamp) -> Self {
        RunId(Uuid::from_u128(u128::from(time.millis()) << 80))
    }
}

/// 48 bits of milliseconds, version 7, 12 bits of `seq` (high), variant, 30 bits of `seq`
/// (low), 32 bits of the job number (RFC 9562 section 5.7 with counters for the rest).
fn build(millis: u64, seq: u64, no: JobNo) -> Uuid {
    let high = (u128::from(millis) & ((1 << 48) - 1)) << 80;
    let rand_a = u128::from((seq >> 30) & 0xfff) << 64;
    let rand_b = (u128::from(seq & ((1 << 30) - 1)) << 32) | u128::from(no);
    Uuid::from_u128(high | (7 << 76) | rand_a | (2 << 62) | rand_b)
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for JobUid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_a_uuid_v7_that_names_its_job_and_sorts_by_time() {
        let t = Timestamp::from_secs(1_800_000_000);
        let id = RunId::new(t, 7, 123_456_789_012);
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        assert_eq!((id.job_no(), id.millis()), (7, t.millis()));
        assert!(RunId::new(t, 7, 1) < RunId::new(t, 7, 2));
        assert!(RunId::new(t, 9, 2) < RunId::new(Timestamp::from_secs(1_800_000_001), 1, 1));
        assert!(RunId::floor(t) < RunId::new(t, 0, 0));
    }
}
