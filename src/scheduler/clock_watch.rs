//! Says when the clock can't be right: it jumped, or the log was written by one that was ahead.
//!
//! Neither breaks a promise: log time never runs backwards (ADR 3), and times that a jump
//! passed over are misfires. But someone should know.

use std::time::Duration;

use tokio::time::Instant;

use super::Term;
use crate::model::Timestamp;

/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What a clock that is corrected step by step stays below, and a jump does not.
const JUMP_MICROS: i64 = 1_000_000;
/// A log that is ahead of the clock by more was not written by a clock like this one.
const AHEAD_MICROS: i64 = 5_000_000;

/// Runs until the term ends.
pub(super) async fn run(duties: &Term) {
    let mut watch = Watch::new(duties.clock.now(), Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let log_time = duties.consensus.state().last_at;
        for told in watch.look(duties.clock.now(), Instant::now(), log_time) {
            match told {
                Told::Jumped { micros } => tracing::warn!(
                    seconds = micros as f64 / 1e6,
                    "the clock of this node jumped; times it passed over are misfires"
                ),
                Told::LogAhead { micros } => tracing::warn!(
                    seconds = micros as f64 / 1e6,
                    "the log is ahead of this node's clock: one of the nodes had a wrong clock. \
                     Fires go on by this clock; delays of retries and gates wait until it has \
                     caught up"
                ),
                Told::CaughtUp => tracing::info!("the clock has caught up with the log"),
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Jumped { micros: i64 },
    LogAhead { micros: i64 },
    CaughtUp,
}

/// The last look.
struct Watch {
    wall: Timestamp,
    steady: Instant,
    ahead: bool,
}

impl Watch {
    fn new(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady, ahead: false }
    }

    /// What is to be told, once for each jump and each time that the log is ahead.
    fn look(&mut self, wall: Timestamp, steady: Instant, log_time: Timestamp) -> Vec<Told> {
        let mut told = Vec::new();
        let passed = steady.saturating_duration_since(self.steady).as_micros();
        let jumped = wall.micros() - self.wall.micros() - i64::try_from(passed).unwrap_or(i64::MAX);
        if jumped.abs() > JUMP_MICROS {
            told.push(Told::Jumped { micros: jumped });
        }
        (self.wall, self.steady) = (wall, steady);
        let micros = log_time.micros() - wall.micros();
        let ahead = micros > if self.ahead { 0 } else { AHEAD_MICROS };
        if ahead != self.ahead {
            told.push(if ahead { Told::LogAhead { micros } } else { Told::CaughtUp });
        }
        self.ahead = ahead;
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn a_jump_is_told_once_and_a_slow_correction_never() {
        let start = Instant::now();
        let mut watch = Watch::new(at(9_000), start);
        let later = |secs| start + Duration::from_secs(secs);
        assert_eq!(watch.look(at(9_001), later(1), at(9_000)), []);
        let hour = 3_600 * 1_000_000;
        let back = watch.look(at(9_002 - 3_600), later(2), at(0));
        assert_eq!(back, [Told::Jumped { micros: -hour }]);
        assert_eq!(watch.look(at(9_003 - 3_600), later(3), at(0)), []);
        let forth = watch.look(at(9_004), later(4), at(0));
        assert_eq!(forth, [Told::Jumped { micros: hour }]);
        // Half a second in each second, as a clock that is slewed may be.
        let slewed = Timestamp::from_micros(at(9_005).micros() + 500_000);
        assert_eq!(watch.look(slewed, later(5), at(0)), []);
    }

    #[test]
    fn a_log_that_is_ahead_is_told_until_the_clock_has_caught_up() {
        let start = Instant::now();
        let mut watch = Watch::new(at(9_000), start);
        let later = |secs| start + Duration::from_secs(secs);
        assert_eq!(watch.look(at(9_001), later(1), at(9_004)), []);
        let ahead = Told::LogAhead { micros: 8_000_000 };
        assert_eq!(watch.look(at(9_002), later(2), at(9_010)), [ahead]);
        assert_eq!(watch.look(at(9_003), later(3), at(9_010)), []);
        assert_eq!(watch.look(at(9_010), later(10), at(9_010)), [Told::CaughtUp]);
    }
}
