//! What the commands say that are about monitors.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::PutDefinition;
use crate::model::monitor::{Expected, KeyHash, PingKind};
use crate::model::{JobNo, Timestamp};

/// See [`Op::PutMonitor`](super::Op::PutMonitor).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutMonitor {
    /// The definition, as of every kind.
    pub put: PutDefinition,
    /// The hash of its key, when it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyHash>,
    /// The ping that it was prepared on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// When its next ping is due by this definition, when one is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// See [`Op::Ping`](super::Op::Ping).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SendPing {
    /// The monitor.
    pub no: JobNo,
    /// The version of the definition that `expected` was worked out by.
    pub version: u64,
    /// When the next one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// What came.
    pub ping: Ping,
}

/// A ping, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ping {
    /// What it says.
    pub kind: PingKind,
    /// The exit status that it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Which run of the work it is of, as the work says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rid: Option<Uuid>,
    /// The method of HTTP.
    pub method: String,
    /// Where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What sent it, as that says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The beginning of what it brought along.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "crate::machine::packed_bytes")]
    pub body: Vec<u8>,
}

/// What somebody wants of a monitor, beside its definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MonitorEdit {
    /// Nobody looks at it.
    Pause,
    /// It waits for its first ping.
    Resume,
    /// It has another key from here on.
    Key(KeyHash),
}
