//! The oracle of schedules: which whole seconds a schedule names, by asking each second.
//!
//! It shares no code with the scheduler, and its forms are few so that it is plainly right.

use crate::moment::Moment;

/// The schedules of the workload, all in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// `@every Ns`: counted from the whole second in which the job was created.
    Every(i64),
    /// `*/N * * * * *`: the seconds of each minute that N divides.
    Seconds(i64),
    /// `*/N * * * *`: the minutes of each hour that N divides.
    Minutes(i64),
}

impl Schedule {
    /// The text for `expr`.
    pub fn expr(self) -> String {
        match self {
            Schedule::Every(n) => format!("@every {n}s"),
            Schedule::Seconds(n) => format!("*/{n} * * * * *"),
            Schedule::Minutes(n) => format!("*/{n} * * * *"),
        }
    }

    /// Whether the schedule of a job created at `created` names the second `second`.
    pub fn names(self, created: Moment, second: i64) -> bool {
        match self {
            Schedule::Every(n) => {
                let since = second - created.whole();
                since > 0 && since % n == 0
            }
            Schedule::Seconds(n) => (second % 60) % n == 0,
            Schedule::Minutes(n) => second % 60 == 0 && (second / 60 % 60) % n == 0,
        }
    }

    /// The nominal times after `after`, up to and including `until`.
    pub fn between(self, created: Moment, after: Moment, until: Moment) -> Vec<Moment> {
        (after.whole() + 1..=until.whole())
            .filter(|second| self.names(created, *second))
            .map(Moment::secs)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(schedule: Schedule, created: i64, after: i64, until: i64) -> Vec<i64> {
        let (created, after) = (Moment::secs(created), Moment::secs(after));
        schedule.between(created, after, Moment::secs(until)).iter().map(|t| t.whole()).collect()
    }

    #[test]
    fn every_hangs_on_the_creation() {
        assert_eq!(times(Schedule::Every(7), 100, 100, 125), [107, 114, 121]);
        assert_eq!(times(Schedule::Every(7), 100, 107, 114), [114]);
        let late = Moment(100_999_999);
        assert_eq!(Schedule::Every(7).between(late, late, Moment::secs(107))[0].whole(), 107);
    }

    #[test]
    fn steps_begin_anew_each_minute_and_hour() {
        assert_eq!(times(Schedule::Seconds(25), 0, 120, 181), [145, 170, 180]);
        assert_eq!(times(Schedule::Minutes(25), 0, 3_000 - 1, 3_600), [3_000, 3_600]);
    }
}
