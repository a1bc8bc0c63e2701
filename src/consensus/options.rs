//! What a node is started with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::transport::Transport;
use crate::clock::{Clock, System};
use crate::metrics::Metrics;
use crate::model::{BootId, Span};
use crate::storage::MemoryDisk;

/// A node's place in the network.
#[derive(Clone)]
pub struct Reach {
    /// What carries the bytes.
    pub transport: Arc<dyn Transport>,
    /// `host:port` to listen on; port 0: any.
    pub listen: String,
    /// `host:port` that others dial; none: where it listens.
    pub advertise: Option<String>,
}

/// Who begins a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Founder {
    /// The first of the addresses to join.
    #[default]
    FirstOfList,
    /// This node.
    This,
    /// Another one; the text says which, for who waits.
    Other(String),
}

/// Options of [`super::open`].
#[derive(Clone)]
pub struct Options {
    /// The data directory; not touched when `in_memory`.
    pub data_dir: PathBuf,
    /// How other nodes reach this one and are reached; none: a cluster of one for good.
    pub reach: Option<Reach>,
    /// Addresses of members to ask at. With none, a new data directory begins a new cluster.
    pub join: Vec<String>,
    /// Who begins the cluster, when there are addresses and none of them is of one.
    pub founder: Founder,
    /// Voters wanted, when this node leads.
    pub voters: usize,
    /// This boot of the node.
    pub boot: BootId,
    /// The time that commands are stamped with when this node leads.
    pub clock: Arc<dyn Clock>,
    /// The wall clock at the start, in milliseconds since 1970: dates a new data directory and
    /// names one that is moved aside.
    pub now_ms: u64,
    /// Keep everything in memory, for tests and simulation; opening another node on the same
    /// disk is a restart.
    pub in_memory: Option<Arc<MemoryDisk>>,
    /// Rename a damaged data directory aside and start empty, as a new node of a new cluster.
    pub move_aside_damaged: bool,
    /// Entries applied since the last checkpoint that make the next one due.
    pub checkpoint_entries: u64,
    /// Bytes of log since the last checkpoint that make the next one due sooner, unless the last
    /// one itself was larger. The log on disk is what came since the older of two.
    pub checkpoint_bytes: u64,
    /// How much log time passes between two digests of the whole state. The same on all nodes, or
    /// they are seldom of the same entry.
    pub prove_every: Span,
    /// How long [`super::Handle::submit`] waits for an answer before it says that it is unknown.
    pub submit_timeout: Duration,
    /// Where to count what the log does; none: nowhere.
    pub metrics: Option<Arc<Metrics>>,
}

impl Options {
    /// The defaults, for a data directory at a time.
    pub fn new(data_dir: impl Into<PathBuf>, now_ms: u64) -> Self {
        Self {
            data_dir: data_dir.into(),
            reach: None,
            join: Vec::new(),
            founder: Founder::FirstOfList,
            voters: 3,
            boot: BootId::nil(),
            clock: Arc::new(System),
            now_ms,
            in_memory: None,
            move_aside_damaged: false,
            checkpoint_entries: 20_000,
            checkpoint_bytes: 64 * 1024 * 1024,
            prove_every: Span::from_secs(300),
            submit_timeout: Duration::from_secs(10),
            metrics: None,
        }
    }
}
