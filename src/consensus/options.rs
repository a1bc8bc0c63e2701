//! What a node is started with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::storage::MemoryDisk;

/// Options of [`super::open`].
#[derive(Clone)]
pub struct Options {
    /// The data directory; not touched when `in_memory`.
    pub data_dir: PathBuf,
    /// `host:port` at which other nodes reach this one.
    pub advertise: String,
    /// The wall clock at the start, in milliseconds since 1970: dates a new data directory and
    /// names one that is moved aside.
    pub now_ms: u64,
    /// Keep everything in memory, for tests and simulation; opening another node on the same
    /// disk is a restart.
    pub in_memory: Option<Arc<MemoryDisk>>,
    /// Rename a damaged data directory aside and start empty, as a new node of a new cluster.
    pub move_aside_damaged: bool,
    /// Begin a new cluster when the data directory is new. A node that joins one does not.
    pub bootstrap: bool,
    /// Entries applied since the last checkpoint that make the next one due; the bytes of the
    /// log can make it due sooner.
    pub checkpoint_entries: u64,
    /// How long [`super::Handle::submit`] waits for an answer before it says that it is unknown.
    pub submit_timeout: Duration,
}

impl Options {
    /// The defaults, for a data directory at a time.
    pub fn new(data_dir: impl Into<PathBuf>, now_ms: u64) -> Self {
        Self {
            data_dir: data_dir.into(),
            advertise: "127.0.0.1:8001".to_owned(),
            now_ms,
            in_memory: None,
            move_aside_damaged: false,
            bootstrap: true,
            checkpoint_entries: 20_000,
            submit_timeout: Duration::from_secs(10),
        }
    }
}
