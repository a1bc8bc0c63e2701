//! What sinks are written with.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::consensus::Handle;
use crate::executor::runner::RunnerEnv;
use crate::metrics::Metrics;
use crate::model::BootId;
use crate::vault::Vault;

/// What sinks are written with.
#[derive(Clone)]
pub struct SinkParts {
    /// The log.
    pub consensus: Handle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Which addresses may be reached.
    pub env: Arc<RunnerEnv>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What secrets are opened with.
    pub vault: Option<Arc<Vault>>,
    /// This boot of the node.
    pub boot: BootId,
    /// Where files of sinks are.
    pub directory: Option<PathBuf>,
    /// The Redis of sinks that name none.
    pub redis_url: Option<String>,
    /// What addresses of the page begin with.
    pub public_url: String,
}
