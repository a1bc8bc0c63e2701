//! Which nominal times a job must have outcomes for: its versions, one after the other.

use crate::model::{Span, Timestamp};
use crate::schedule::{Definition, Schedule};

use super::answers::{Job, Kept, Version};

/// A time this long before an edit may belong to either definition, where the log dated the edit
/// and not the leader's look at the clock: before format 5.
const EDGE: Span = Span::from_secs(2);
/// Rows and runs this close to the end of their retention may go while they are read.
const TRIMMED_MEANWHILE: Span = Span::from_secs(120);

/// The versions of a job as far as they are known, oldest first.
#[derive(Default)]
pub(super) struct Timeline {
    reigns: Vec<Reign>,
    /// Schedules that can't be read here.
    pub(super) faults: Vec<String>,
}

/// A version, and when it was in force: after `from`, up to and including `until`.
struct Reign {
    version: u64,
    from: Timestamp,
    until: Timestamp,
    /// `from` is where its schedule begins, to the instant.
    exact: bool,
    enabled: bool,
    schedule: Option<Schedule>,
    max_runs: bool,
    kept: Kept,
}

impl Reign {
    /// Whether it was, or may have been, in force at `at`, or later.
    fn may_decide(&self, at: Timestamp) -> bool {
        let edge = if self.exact { Span::ZERO } else { EDGE };
        self.from.minus(edge) < at
    }

    fn names(&self, at: Timestamp) -> bool {
        let next = self.schedule.as_ref().and_then(|s| s.next_after(at.secs() - 1));
        next.map(Timestamp::from_secs) == Some(at)
    }
}

impl Timeline {
    /// From the versions of `job`, in any order.
    pub(super) fn of(job: &Job, mut versions: Vec<Version>) -> Self {
        versions.sort_by_key(|version| version.version);
        // After a clock that ran ahead a later version may have an earlier date: then it counts.
        let mut ends = vec![Timestamp::MAX; versions.len()];
        for place in (1..versions.len()).rev() {
            ends[place - 1] = versions[place].at.min(ends[place]);
        }
        let (mut reigns, mut faults) = (Vec::new(), Vec::new());
        for (version, until) in versions.into_iter().zip(ends) {
            let schedule = match compiled(job, &version) {
                Ok(schedule) => schedule,
                Err(why) => {
                    faults.push(format!("version {}: {why}", version.version));
                    None
                }
            };
            reigns.push(Reign {
                // What the log dates its creation may be later than what `@every` counts from.
                from: if version.version == 1 { job.created_at } else { version.at },
                until,
                exact: version.exact,
                enabled: version.definition.enabled != Some(false),
                schedule,
                max_runs: version.definition.max_runs.is_some(),
                kept: version.definition.retention,
                version: version.version,
            });
        }
        Self { reigns, faults }
    }

    /// From when on every outcome must still be there.
    pub(super) fn complete_from(&self, now: Timestamp) -> Timestamp {
        let trimmed = self.reigns.iter().map(|reign| {
            let horizon = reign.until.min(now).minus(reign.kept.age);
            if horizon <= self.begins() { horizon } else { horizon.plus(TRIMMED_MEANWHILE) }
        });
        trimmed.chain([self.begins()]).max().unwrap_or_default()
    }

    fn begins(&self) -> Timestamp {
        self.reigns.first().map_or(Timestamp::MAX, |reign| reign.from)
    }

    /// The least that retention ever kept, by count, and whether that is all that bounded it.
    pub(super) fn least_kept(&self) -> Option<u64> {
        let bytes = self.reigns.iter().any(|reign| reign.kept.bytes.is_some());
        let least = self.reigns.iter().map(|reign| u64::from(reign.kept.count)).min();
        least.filter(|_| !bytes)
    }

    /// Whether a version names `at`; none: that version is not known.
    pub(super) fn names(&self, version: u64, at: Timestamp) -> Option<bool> {
        let reign = self.reign(version).filter(|reign| reign.schedule.is_some())?;
        Some(reign.names(at))
    }

    /// How many times a version names from `from` up to, not including, `until`; `most` at most.
    pub(super) fn count(
        &self,
        version: u64,
        from: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Option<usize> {
        let schedule = self.reign(version)?.schedule.as_ref()?;
        let times = schedule.upcoming(from.secs() - 1);
        Some(times.take_while(|at| Timestamp::from_secs(*at) < until).take(most).count())
    }

    /// Whether the schedule may have been over while a version was in force.
    pub(super) fn may_be_over(&self, version: u64) -> bool {
        self.reign(version).is_some_and(|reign| reign.max_runs)
    }

    /// The first time after `after` that must have an outcome, and the version that names it.
    pub(super) fn next_certain(&self, after: Timestamp) -> Option<(Timestamp, u64)> {
        for (place, reign) in self.reigns.iter().enumerate() {
            let Some(schedule) = &reign.schedule else { continue };
            let from = after.max(reign.from);
            if from > reign.until {
                continue;
            }
            let times = schedule.upcoming(from.secs()).map(Timestamp::from_secs);
            let times = times.take_while(|at| *at <= reign.until);
            let certain = times.filter(|at| *at > from).find(|at| self.is_certain(place, *at));
            if let Some(at) = certain {
                return Some((at, reign.version));
            }
        }
        None
    }

    /// Whether every version that may have had to decide `at` names it.
    fn is_certain(&self, place: usize, at: Timestamp) -> bool {
        let later = self.reigns[place + 1..].iter();
        later.take_while(|next| next.may_decide(at)).all(|next| next.names(at))
    }

    /// The version that had to decide `at` in place of `version`, which fired it, and when that
    /// one came in force. An edit that leaves the schedule alone leaves its times alone too.
    pub(super) fn before_its_version(
        &self,
        version: u64,
        at: Timestamp,
    ) -> Option<(u64, Timestamp)> {
        let mut place = self.reigns.iter().position(|reign| reign.version == version)?;
        let from = self.reigns[place].from;
        while place > 0 && !self.reigns[place].may_decide(at) {
            place -= 1;
            let before = &self.reigns[place];
            if !before.enabled || !before.names(at) {
                return Some((before.version, from));
            }
        }
        None
    }

    fn reign(&self, version: u64) -> Option<&Reign> {
        let place = self.reigns.binary_search_by_key(&version, |reign| reign.version).ok()?;
        self.reigns.get(place)
    }
}

fn compiled(job: &Job, version: &Version) -> Result<Option<Schedule>, String> {
    let of = &version.definition;
    let Some(expr) = of.expr.as_deref() else { return Ok(None) };
    let definition = Definition {
        name: &job.name,
        expr,
        timezone: of.timezone.as_deref().unwrap_or_default(),
        anchor: job.created_at.secs(),
        start_at: of.start_at.map(Timestamp::secs),
        end_at: of.end_at.map(Timestamp::secs),
        dst_gap: of.dst_gap.unwrap_or_default(),
        dst_fold: of.dst_fold,
    };
    Schedule::parse(&definition).map(Some).map_err(|faults| {
        faults.into_iter().map(|fault| fault.detail).collect::<Vec<_>>().join("; ")
    })
}
