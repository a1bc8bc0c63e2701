//! What stands at the front of a backup, in clear.

use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::model::Timestamp;

/// How many there were of what matters most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Definitions.
    pub jobs: u64,
    /// Accounts.
    pub users: u64,
    /// Runs that were not closed.
    pub open_runs: u64,
    /// Runs ever closed; retention may have removed their rows.
    pub closed_runs: u64,
    /// Audit records ever.
    pub audit: u64,
}

/// How the frames are sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// `xchacha20-poly1305`.
    pub cipher: String,
    /// `argon2id`.
    pub kdf: String,
    /// Memory of the derivation, in KiB.
    pub memory_kib: u32,
    /// Passes of the derivation.
    pub passes: u32,
    /// Its salt, hexadecimal.
    pub salt: String,
    /// The first 16 bytes of every nonce, hexadecimal.
    pub nonce: String,
}

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format of the file.
    pub format: u32,
    /// The version of the program that wrote it.
    pub program: String,
    /// The cluster it is of.
    pub cluster_id: String,
    /// The node that gave it.
    pub node_id: u64,
    /// Index of the last entry that it covers.
    pub index: u64,
    /// Log time at that entry.
    pub log_time: Timestamp,
    /// When it was taken, by the node's clock.
    pub taken_at: Timestamp,
    /// See [`Counts`].
    #[serde(default)]
    pub counts: Counts,
    /// None: it is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

impl Header {
    /// A header of the present format.
    pub fn new(cluster_id: String, node_id: u64, index: u64) -> Self {
        Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            cluster_id,
            node_id,
            index,
            log_time: Timestamp::ZERO,
            taken_at: Timestamp::ZERO,
            counts: Counts::default(),
            sealed: None,
        }
    }
}
