//! What is noted for the audit and did not go through the log by itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::Timestamp;
use crate::model::access::Actor;

/// See [`Op::Note`](super::Op::Note).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditNote {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What, such as `login.failed`.
    pub action: String,
    /// To what.
    pub target: String,
    /// More.
    pub change: Value,
}
