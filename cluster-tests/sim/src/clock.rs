//! Virtual time, and the clocks of nodes that do not quite agree about it.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cronapi::clock::Clock;
use cronapi::model::Timestamp;

thread_local! {
    static BETWEEN_STEPS: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// When every world begins: a second past midnight, a minute before it would be too tidy.
pub const EPOCH: Timestamp = Timestamp::from_secs(1_798_761_661);

/// Virtual time since the world began.
pub fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_else(|| BETWEEN_STEPS.get())
}

/// Tells what time it is while no node runs.
pub fn stepped_to(now: Duration) {
    BETWEEN_STEPS.set(now);
}

/// The clock of a node: virtual time and an error.
#[derive(Debug, Default)]
pub struct Skewed {
    error_micros: AtomicI64,
}

impl Skewed {
    /// A clock that is off by `micros`.
    pub fn by(micros: i64) -> Self {
        Self { error_micros: AtomicI64::new(micros) }
    }

    /// By how much it is off.
    pub fn error(&self) -> i64 {
        self.error_micros.load(Ordering::Relaxed)
    }

    /// Sets by how much it is off.
    pub fn set_error(&self, micros: i64) {
        self.error_micros.store(micros, Ordering::Relaxed);
    }
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        let since = i64::try_from(elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(EPOCH.micros() + since + self.error())
    }
}
