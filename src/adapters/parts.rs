//! What sinks are written with, and triggers are read with.

use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::consensus::Handle;
use crate::executor::runner::RunnerEnv;
#[cfg(any(feature = "redis", feature = "postgres", feature = "mongodb"))]
use crate::executor::secret_value;
#[cfg(any(feature = "redis", feature = "postgres", feature = "mongodb"))]
use crate::machine::State;
use crate::metrics::Metrics;
use crate::model::BootId;
#[cfg(any(feature = "redis", feature = "postgres", feature = "mongodb"))]
use crate::model::Setting;
use crate::vault::Vault;

/// What sinks are written with, and triggers are read with.
#[derive(Clone)]
pub struct DutyParts {
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
    /// The Redis of those that name none.
    pub redis_url: Option<String>,
    /// What addresses of the page begin with.
    pub public_url: String,
    /// The same, where it was given: then all nodes have the same.
    pub same_pages: Option<String>,
}

#[cfg(any(feature = "redis", feature = "postgres", feature = "mongodb"))]
impl DutyParts {
    /// The address that a definition names, if it does.
    pub(super) fn url(
        &self,
        state: &State,
        named: Option<&Setting>,
    ) -> Result<Option<String>, String> {
        match named {
            Some(Setting::Text(url)) => Ok(Some(url.clone())),
            Some(Setting::Secret(place)) => {
                secret_value(place, state, self.vault.as_deref()).map(Some)
            }
            None => Ok(None),
        }
    }
}
