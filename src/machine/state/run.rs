//! A run that is not closed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Kept, Watched};
use crate::model::{BootId, Fence, JobSpec, Run, Timestamp};

/// What a waiting run waits for.
#[allow(missing_docs, reason = "the text of a variant covers its fields")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// For every dependency to succeed after success `after`, until then at most.
    Gate { after: u64, until: Option<Timestamp> },
    /// For a place among the job's concurrent runs; then for its gate, if it has one.
    Behind { gate: Option<u64> },
    /// For the delay of a retry.
    Retry { until: Timestamp },
}

/// An open run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenRun {
    /// What will be its history.
    pub run: Run,
    /// The definition that it was fired with.
    pub spec: Arc<JobSpec>,
    /// Order of creation in the cluster.
    pub seq: u64,
    /// What it waits for, while it is `waiting`.
    pub wait: Option<Wait>,
    /// Someone wants it stopped.
    pub cancel: bool,
    /// Its parameters were passed on and not yet held against the schema.
    pub unchecked: bool,
    /// Nothing follows from its end: its job was deleted, or a newer run took its place
    /// before it started.
    pub orphan: bool,
    /// The success counter when it was fired, if it is gated.
    #[serde(default)]
    pub mark: Option<u64>,
    /// Its attempt has a node and is to begin later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Ahead>,
    /// Since when it could start, but for a slot and its queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    /// When it is looked at, for what it has not done.
    #[serde(default, skip_serializing_if = "Watched::is_none")]
    pub watched: Watched,
    /// Of a task: its place in the workflow's definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u16>,
    /// Of a task: it goes behind live work, as the workflow's run does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub past: bool,
    /// Of a workflow's run that has not begun: what it takes over from another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Arc<Kept>>,
}

/// A start that is planned ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ahead {
    /// When it begins, by its node's clock.
    pub start_at: Timestamp,
    /// The newest nominal time of the job that was decided before.
    pub before: Timestamp,
    /// Its node is to leave it.
    pub withdrawn: bool,
}

impl OpenRun {
    /// Fence and boot of the attempt that a node has.
    pub fn held(&self) -> Option<(Fence, BootId)> {
        self.run.attempts.last().filter(|a| a.finished_at.is_none()).map(|a| (a.fence, a.boot))
    }
}
