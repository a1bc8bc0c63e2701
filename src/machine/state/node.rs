//! Nodes as the log knows them.

use serde::{Deserialize, Serialize};

use crate::model::placement::Labels;
use crate::model::{BootId, NodeId, Timestamp};

/// A cluster member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Identity.
    pub id: NodeId,
    /// Its present boot.
    pub boot: BootId,
    /// Where other nodes reach it.
    pub address: String,
    /// Where its REST interface is reached; empty: not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api: String,
    /// Attempts at a time.
    pub slots: u32,
    /// Open attempts.
    pub busy: u32,
    /// For placement.
    pub labels: Labels,
    /// What it can do, and was started with.
    #[serde(default, skip_serializing_if = "Offers::is_none")]
    pub offers: Offers,
    /// Boots before it, oldest first, the last few.
    #[serde(default)]
    pub former: Vec<BootId>,
    /// When this boot joined, log time.
    pub up_since: Timestamp,
    /// It gets attempts: it is up and not leaving.
    pub accepting: bool,
    /// This boot was given up: it was not heard of in time. Never together with `accepting`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// What a boot of a node says of itself beside its place: what it can do for the cluster, and what
/// whoever started it wants of all. What is added later is left out where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offers {
    /// Events are to be kept in the history.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_events: bool,
    /// It has a directory for files of sinks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sink_files: bool,
    /// It knows the address of a Redis; from format 6 on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redis: bool,
}

impl Offers {
    /// Nothing.
    pub fn is_none(&self) -> bool {
        *self == Offers::default()
    }
}
