//! Monitors: where each is, and by which instant it has to hear something.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::model::monitor::{Expected, KeyHash, MonitorStatus};
use crate::model::{JobNo, Name, Span, Timestamp};

/// Work that said that it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// When.
    pub at: Timestamp,
    /// Which run of it, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rid: Option<Uuid>,
    /// It is down unless it ends by then.
    pub deadline: Timestamp,
}

/// What is live of a monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    /// Its number. Jobs have theirs from the same counter: what is told of either has one order.
    pub no: JobNo,
    /// Its name.
    pub name: Name,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The hash of its key; none: it can't be pinged until it gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyHash>,
    /// `new`, `up`, `down` or `paused`. What hangs on the clock besides is told when it is asked.
    pub status: MonitorStatus,
    /// Since when.
    pub since: Timestamp,
    /// The last ping that said how the work ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at: Option<Timestamp>,
    /// How long the work took by that ping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Span>,
    /// The work is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Begun>,
    /// When its next ping is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// When it is looked at: it is down by then. Stands in `State::watch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Pings so far.
    #[serde(default)]
    pub pings: u64,
    /// Its last deadline was moved: the cluster was away from then until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excused: Option<(Timestamp, Timestamp)>,
    /// Why it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Monitor {
    /// Where it is at `now`.
    pub fn status_at(&self, now: Timestamp) -> MonitorStatus {
        match self.status {
            MonitorStatus::Down | MonitorStatus::Paused => self.status,
            _ if self.begun.is_some() => MonitorStatus::Started,
            MonitorStatus::Up if self.expected.is_some_and(|e| e.at <= now) => MonitorStatus::Late,
            status => status,
        }
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitors {
    /// By number.
    pub all: OrdMap<JobNo, Arc<Monitor>>,
    /// By name.
    pub by_name: OrdMap<Name, JobNo>,
    /// By the hash of the key.
    pub by_key: OrdMap<KeyHash, JobNo>,
}

impl Monitors {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The one of that name.
    pub fn named(&self, name: &Name) -> Option<&Arc<Monitor>> {
        self.all.get(self.by_name.get(name)?)
    }

    /// The one with that key.
    pub fn keyed(&self, key: &KeyHash) -> Option<&Arc<Monitor>> {
        self.all.get(self.by_key.get(key)?)
    }
}
