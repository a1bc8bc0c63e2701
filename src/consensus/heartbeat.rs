//! When the leader was heard last: what elections, leases and a stop judge its silence by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// When a leader was last heard at this node, or when this node began to lead; a candidate that
/// this node voted for counts as one.
pub(super) struct Heartbeat {
    since: Instant,
    micros: AtomicU64,
    term: AtomicU64,
    /// The latest term for which a vote was asked for.
    asked: AtomicU64,
}

impl Heartbeat {
    pub fn new() -> Self {
        let (micros, term, asked) = Default::default();
        Self { since: Instant::now(), micros, term, asked }
    }

    /// Whoever leads in `term`, or stands for it, was heard now; one of an earlier term than was
    /// heard before does not count.
    pub fn heard(&self, term: u64) {
        if self.term.fetch_max(term, Ordering::Relaxed) <= term {
            self.waits();
        }
    }

    /// This node's vote for `term` is asked for: whatever comes of it takes its time.
    pub fn vote_asked(&self, term: u64) {
        if self.asked.fetch_max(term, Ordering::Relaxed) < term {
            self.waits();
        }
    }

    /// The latest term in which anyone leads or stands, as far as it has come to this node.
    pub fn latest(&self) -> u64 {
        self.term().max(self.asked.load(Ordering::Relaxed))
    }

    /// From now on it is waited as if a leader had been heard.
    pub fn waits(&self) {
        self.micros.store(self.since.elapsed().as_micros() as u64, Ordering::Relaxed);
    }

    /// The latest term in which anyone was heard.
    pub fn term(&self) -> u64 {
        self.term.load(Ordering::Relaxed)
    }

    /// For how long it was not heard.
    pub fn silent_for(&self) -> Duration {
        let heard = Duration::from_micros(self.micros.load(Ordering::Relaxed));
        self.since.elapsed().saturating_sub(heard)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_word() {
        let heartbeat = Heartbeat::new();
        sleep(Duration::from_millis(40)).await;
        assert_eq!(heartbeat.silent_for(), Duration::from_millis(40));
        heartbeat.heard(3);
        sleep(Duration::from_millis(7)).await;
        assert_eq!(heartbeat.silent_for(), Duration::from_millis(7));
        heartbeat.heard(2);
        assert_eq!(heartbeat.silent_for(), Duration::from_millis(7), "one of an earlier term");
        heartbeat.heard(3);
        assert_eq!((heartbeat.silent_for(), heartbeat.term()), (Duration::ZERO, 3));
    }
}
