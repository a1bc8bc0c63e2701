//! What a node counts, and the page that Prometheus reads.
//!
//! Owns: the metrics library, counters and histograms, the text of a page. Does not own: what
//! the gauges of a page are read from (`service`), nor who may read it (`api`).
//!
//! ```text
//! apply ──> Facts ──┐                        counters and histograms, kept
//! api ────> Http ───┼─> Metrics ──> text
//! page ───> Gauges ─┘                        made anew for each page
//! ```
//!
//! Invariants:
//! - Counting takes no lock: every series of a fire is made at the start and held.
//! - What the log did is counted by one node: the one that led when the entry was written. So
//!   the sum over all nodes is what the cluster did (docs/metrics.md).
//! - No label has a value that users make up, but for the names of queues, channels and sinks and,
//!   when it is asked for, of jobs: all are bounded.
//!
//! To add a metric: a field here, or a line in `service/metrics.rs`; then docs/metrics.md, which
//! a test holds against a running node.

mod facts;
mod gauges;
mod http;
mod parts;
mod sends;

pub use facts::Facts;
pub use gauges::Gauges;
pub use http::{Http, Stream};
pub use parts::Parts;
pub use sends::{Beat, Sends};

use prometheus::process_collector::ProcessCollector;
use prometheus::{Encoder, Registry, TextEncoder};

/// The type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics can't be made or written down.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct Error(#[from] prometheus::Error);

/// What a node counts.
pub struct Metrics {
    registry: Registry,
    /// What the log did.
    pub facts: Facts,
    /// Requests.
    pub http: Http,
    /// What parts of the node tell of themselves.
    pub parts: Parts,
    /// Messages to channels, events to sinks.
    pub sends: Sends,
    /// Jobs with series of their own.
    pub jobs_max: usize,
}

impl Metrics {
    /// Nothing counted yet; `jobs_max` jobs at most get series of their own.
    ///
    /// # Errors
    /// A bug: two metrics of one name.
    pub fn new(jobs_max: usize) -> Result<Self, Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let (facts, http) = (Facts::new(&registry)?, Http::new(&registry)?);
        let (parts, sends) = (Parts::new(&registry)?, Sends::new(&registry)?);
        Ok(Self { registry, facts, http, parts, sends, jobs_max })
    }

    /// The page: what was counted, and `gauges`.
    ///
    /// # Errors
    /// Something that can't be written down.
    pub fn page(&self, gauges: &Gauges) -> Result<String, Error> {
        let mut text = Vec::new();
        let mut families = self.registry.gather();
        families.extend(gauges.gather());
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

#[cfg(test)]
mod tests;
