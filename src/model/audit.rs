//! Audit records: who did what, chained by hash so that none can be changed or taken out
//! without it showing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::Kind;
use super::time::Timestamp;

/// The actions that are written down, beside those of definitions: see [`audit_actions`].
pub const AUDIT_ACTIONS: &[&str] = &[
    "access.denied",
    "access.rotate-key",
    "access.seal-key",
    "audit.dropped",
    "backfill.cancel",
    "backfill.pause",
    "backfill.resume",
    "backfill.start",
    "backfill.update",
    "backup.take",
    "channel.test",
    "cluster.restore",
    "incident.acknowledge",
    "job.create",
    "job.delete",
    "job.pause",
    "job.pause.reason",
    "job.resume",
    "job.resume.reason",
    "job.run",
    "job.update",
    "login",
    "login.failed",
    "login.refresh",
    "login.refused",
    "login.throttled",
    "monitor.pause",
    "monitor.resume",
    "monitor.rotate-key",
    "node.remove",
    "notice.retry",
    "push.subscribe",
    "push.unsubscribe",
    "queue.update",
    "run.cancel",
    "run.pause",
    "run.resume",
    "secret.delete",
    "secret.put",
    "secrets.key",
    "session.end",
    "sink.pause",
    "sink.resume",
    "sink.rewind",
    "token.create",
    "token.delete",
    "trigger.pause",
    "trigger.resume",
    "trigger.rewind",
    "user.create",
    "user.delete",
    "user.password",
    "user.revoke",
    "user.role",
];

/// All actions that are written down, those of every kind of definition too.
pub fn audit_actions() -> Vec<&'static str> {
    let mut all = [AUDIT_ACTIONS, Kind::AUDIT_ACTIONS].concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// One write, login or denial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditRecord {
    /// Place in the chain, from 1.
    pub seq: u64,
    /// Log time.
    pub at: Timestamp,
    /// User, token or `system`.
    pub actor: String,
    /// What was done, such as `job.update`.
    pub action: String,
    /// To what, such as a job's name.
    pub target: String,
    /// Address of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from: Option<String>,
    /// Id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// What changed: `{field: {before, after}}`, long values cut; or what was refused.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub change: Value,
    /// SHA-256, in hex, over the hash of the record before and this record without it.
    pub hash: String,
}
