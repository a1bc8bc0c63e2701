//! What of the answers is looked at. Fields that are not known are passed over.

use serde::Deserialize;

use crate::model::{DstFold, DstGap, JobUid, Overlap, Span, Timestamp, limits};

/// `/system/status`.
#[derive(Deserialize)]
pub(super) struct Status {
    pub(super) cluster_id: String,
    pub(super) applied_index: u64,
    /// As the cluster found itself, by digests.
    #[serde(default)]
    pub(super) replicas_differ: Vec<u64>,
    started_at: Timestamp,
    uptime_seconds: u64,
}

impl Status {
    /// The node's clock.
    pub(super) fn now(&self) -> Timestamp {
        self.started_at.plus(Span::from_secs(self.uptime_seconds))
    }
}

/// A job of a list.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) uid: JobUid,
}

/// `/jobs/{name}`.
#[derive(Deserialize)]
pub(super) struct Job {
    pub(super) name: String,
    pub(super) uid: JobUid,
    pub(super) version: u64,
    pub(super) created_at: Timestamp,
    pub(super) next_fire_at: Option<Timestamp>,
    pub(super) deleted_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) jitter: Span,
}

/// A version of a definition.
#[derive(Clone, Deserialize)]
pub(super) struct Version {
    pub(super) version: u64,
    pub(super) at: Timestamp,
    #[serde(default)]
    pub(super) exact: bool,
    pub(super) definition: Definition,
}

/// What of a definition decides its nominal times, and how long they are remembered.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Definition {
    pub(super) enabled: Option<bool>,
    pub(super) expr: Option<String>,
    pub(super) queue: Option<String>,
    pub(super) overlap: Option<Overlap>,
    pub(super) max_concurrent: Option<u32>,
    pub(super) dependencies: Vec<String>,
    pub(super) placement: Option<serde::de::IgnoredAny>,
    pub(super) lock: Option<serde::de::IgnoredAny>,
    pub(super) tasks: Vec<TaskOfDefinition>,
    pub(super) timezone: Option<String>,
    pub(super) start_at: Option<Timestamp>,
    pub(super) end_at: Option<Timestamp>,
    pub(super) dst_gap: Option<DstGap>,
    pub(super) dst_fold: Option<DstFold>,
    pub(super) max_runs: Option<u64>,
    pub(super) retention: Kept,
}

/// A task of a workflow.
#[derive(Clone, Deserialize)]
pub(super) struct TaskOfDefinition {
    pub(super) name: String,
    #[serde(default)]
    pub(super) queue: Option<String>,
}

/// Retention in force.
#[derive(Clone, Deserialize)]
#[serde(default)]
pub(super) struct Kept {
    pub(super) count: u32,
    pub(super) age: Span,
    pub(super) bytes: Option<u64>,
}

impl Default for Kept {
    fn default() -> Self {
        Kept {
            count: limits::RETENTION_COUNT_DEFAULT,
            age: limits::RETENTION_AGE_DEFAULT,
            bytes: None,
        }
    }
}
