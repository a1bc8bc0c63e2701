//! Nominal times by arithmetic: the schedules that `operators` writes, told second by second
//! and apart from the program's own evaluation.

use cronapi::model::{JobSpec, Timestamp};

/// A schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Seconds of the minute that are multiples.
    Seconds(i64),
    /// Multiples since the job was made.
    Every(i64),
}

impl Rule {
    /// The schedule of a definition, if it has one.
    pub fn of(spec: &JobSpec) -> Option<Self> {
        let expr = spec.expr.as_ref()?.to_string();
        let span = |text: &str| text.parse().ok().filter(|span| *span > 0);
        if let Some(rest) = expr.strip_prefix("@every ") {
            return span(rest.strip_suffix('s')?).map(Rule::Every);
        }
        span(expr.strip_prefix("*/")?.split(' ').next()?).map(Rule::Seconds)
    }

    /// Whether it names that second.
    pub fn names(self, second: i64, created: Timestamp) -> bool {
        match self {
            Rule::Seconds(span) => second.rem_euclid(60) % span == 0,
            Rule::Every(span) => {
                let since = second - created.secs();
                since > 0 && since % span == 0
            }
        }
    }

    /// The first second after one that it names.
    pub fn after(self, second: i64, created: Timestamp) -> i64 {
        (second + 1..).find(|at| self.names(*at, created)).unwrap_or(i64::MAX)
    }

    /// All it names from one up to, not including, another.
    pub fn between(self, from: i64, to: i64, created: Timestamp) -> Vec<i64> {
        (from..to).filter(|at| self.names(*at, created)).collect()
    }
}
