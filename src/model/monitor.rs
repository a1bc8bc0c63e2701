//! What a monitor hears: pings, and where they leave it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::time::Timestamp;

/// Where a monitor is.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MonitorStatus {
    /// No ping came yet.
    #[default]
    New,
    /// The last ping came in time.
    Up,
    /// The work said that it begins.
    Started,
    /// A ping is due, and the time of grace runs.
    Late,
    /// A ping did not come, or said that the work failed.
    Down,
    /// Nobody looks.
    Paused,
}

impl MonitorStatus {
    /// All of them.
    pub const ALL: &'static [MonitorStatus] = &[
        MonitorStatus::New,
        MonitorStatus::Up,
        MonitorStatus::Started,
        MonitorStatus::Late,
        MonitorStatus::Down,
        MonitorStatus::Paused,
    ];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            MonitorStatus::New => "new",
            MonitorStatus::Up => "up",
            MonitorStatus::Started => "started",
            MonitorStatus::Late => "late",
            MonitorStatus::Down => "down",
            MonitorStatus::Paused => "paused",
        }
    }
}

/// What a ping says.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PingKind {
    /// The work is done.
    Success,
    /// The work begins.
    Start,
    /// The work failed.
    Fail,
    /// Something to be kept; nothing follows from it.
    Log,
}

impl PingKind {
    /// All of them.
    pub const ALL: &'static [PingKind] =
        &[PingKind::Success, PingKind::Start, PingKind::Fail, PingKind::Log];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            PingKind::Success => "success",
            PingKind::Start => "start",
            PingKind::Fail => "fail",
            PingKind::Log => "log",
        }
    }
}

/// When the next ping of a monitor is due, and when it is down without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// When it is due.
    pub at: Timestamp,
    /// When it is down.
    pub deadline: Timestamp,
}

/// The hash of the key of a monitor: what is kept of it.
pub type KeyHash = [u8; 32];

/// The hash of a key. Keys have 122 random bits: nothing is gained by salting them.
pub fn hash_of(key: Uuid) -> KeyHash {
    Sha256::digest(key.as_hyphenated().to_string().as_bytes()).into()
}
