//! The only reader of wall time. Everything that decides takes a [`Timestamp`] instead.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::{Span, Timestamp};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, UTC. May go backwards: what must not is kept by the log.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        now()
    }
}

/// The machine's clock, for places that take a function.
#[allow(clippy::disallowed_methods, reason = "the one place that may")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug, Default)]
pub struct Manual(AtomicI64);

impl Manual {
    /// A clock that shows `at`.
    pub fn at(at: Timestamp) -> Self {
        Manual(AtomicI64::new(at.micros()))
    }

    /// Moves it by `span`.
    pub fn advance(&self, span: Span) {
        self.0.fetch_add(span.micros(), Ordering::SeqCst);
    }

    /// Sets it, backwards too.
    pub fn set(&self, at: Timestamp) {
        self.0.store(at.micros(), Ordering::SeqCst);
    }
}

impl Clock for Manual {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
