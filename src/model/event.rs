//! Events: what watchers of the cluster see, in log order.

use serde::{Deserialize, Serialize};

use super::ids::RunId;
use super::name::Name;
use super::run::RunStatus;
use super::time::Timestamp;

/// One change. `index` and `sub` give its place: equal on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Log index of the entry that made it.
    pub index: u64,
    /// Its place within that entry.
    pub sub: u32,
    /// Log time.
    pub at: Timestamp,
    /// What happened, such as `run.succeeded` or `job.updated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The job concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub job: Option<Name>,
    /// The run concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run_id: Option<RunId>,
    /// The run's status after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<RunStatus>,
    /// More, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}
