//! What parts of a node tell of themselves as it happens.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use prometheus::{CounterVec, Histogram, IntCounter, Opts, Registry};

use super::Error;
use super::facts::{kept, options};

const APPLY: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// Counters of the node itself.
pub struct Parts {
    leader_changes: IntCounter,
    apply: Histogram,
    queue_blocked: CounterVec,
    /// Seconds since 1970; 0: there is no certificate.
    certificate_until: AtomicI64,
}

impl Parts {
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let leader_changes = IntCounter::new(
            "cronapi_raft_leader_changes_total",
            "Times that this node learned of another leader.",
        )?;
        let apply = Histogram::with_opts(options(
            "cronapi_raft_apply_duration_seconds",
            "Time to apply what was committed, a batch of entries at a time.",
            APPLY,
        ))?;
        let queue_blocked = CounterVec::new(
            Opts::new(
                "cronapi_queue_blocked_seconds_total",
                "Time that a queue held back what waited in it, and by what.",
            ),
            &["queue", "by"],
        )?;
        kept(registry, &queue_blocked)?;
        kept(registry, &leader_changes)?;
        kept(registry, &apply)?;
        Ok(Self { leader_changes, apply, queue_blocked, certificate_until: AtomicI64::new(0) })
    }

    /// Another leader is known.
    pub fn leader_changed(&self) {
        self.leader_changes.inc();
    }

    /// A queue held back what waited in it, for so long.
    pub fn queue_blocked(&self, queue: &str, by: &str, span: Duration) {
        self.queue_blocked.with_label_values(&[queue, by]).inc_by(span.as_secs_f64());
    }

    /// The certificate that REST shows is good until then, in seconds since 1970.
    pub fn certificate(&self, until: i64) {
        self.certificate_until.store(until, Ordering::Relaxed);
    }

    /// The end of the certificate that REST shows; none: it shows none.
    pub fn certificate_until(&self) -> Option<i64> {
        Some(self.certificate_until.load(Ordering::Relaxed)).filter(|until| *until != 0)
    }

    /// Entries were applied.
    pub fn applied(&self, took: Duration) {
        self.apply.observe(took.as_secs_f64());
    }
}
