//! The durable parts of a node that is being opened, and why it can't be.

use super::log_store::LogStore;
use super::purge_guard::PurgeGuard;
use super::recovery;
use super::transfer::Transfers;
use crate::storage::{self, DirectoryError, Fatal, History, Identities, Space};

/// Why a node can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its data directory can't be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file operation failed.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// The address for other nodes can't be listened on.
    #[error(
        "can't listen on {addr} for other nodes: {source}; is another process there? see \
         --cluster-listen"
    )]
    Listen {
        /// The address.
        addr: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The consensus library refused to start.
    #[error("consensus can't start: {0}")]
    Consensus(String),
}

/// The durable parts of a node, opened and checked against each other.
pub(super) struct Opened {
    pub identities: Identities,
    pub log: LogStore,
    pub history: History,
    pub transfers: Transfers,
    pub recovered: recovery::Recovered,
    pub guard: PurgeGuard,
    pub space: Space,
    pub fatal: Fatal,
}

/// What the consensus library says against it.
pub(super) fn consensus(error: impl std::fmt::Display) -> OpenError {
    OpenError::Consensus(error.to_string())
}
