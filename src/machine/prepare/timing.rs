//! Nominal times of a job: the bridge from definitions to `schedule`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::machine::command::{Next, Range};
use crate::machine::state::Job;
use crate::model::{Invalid, JobSpec, Outcome, SkipReason, Span, Timestamp, limits};
use crate::schedule::{Calendar, Definition, Schedule, spread};

use super::schedules;

/// The compiled schedule of a job, with its share of the jitter.
pub struct Timing {
    schedule: Arc<Schedule>,
    share: Span,
    excluded: Vec<Calendar>,
    included: Vec<Calendar>,
}

impl Timing {
    /// Compiles the schedule of `spec`; none: it has none.
    pub fn compile(spec: &JobSpec, created_at: Timestamp) -> Result<Option<Timing>, Vec<Invalid>> {
        let Some(expr) = spec.expr.as_deref() else { return Ok(None) };
        let definition = Definition {
            name: spec.name.as_str(),
            expr,
            timezone: spec.timezone.as_deref().unwrap_or_default(),
            anchor: created_at.secs(),
            start_at: spec.start_at.map(Timestamp::secs),
            end_at: spec.end_at.map(Timestamp::secs),
            dst_gap: spec.dst_gap.unwrap_or_default(),
            dst_fold: spec.dst_fold,
        };
        let mut faults = Vec::new();
        let (excluded, included) = calendars(spec, &mut faults);
        match schedules::compiled(&definition) {
            Ok(schedule) if faults.is_empty() => {
                let share = share(spec);
                Ok(Some(Timing { schedule, share, excluded, included }))
            }
            Ok(_) => Err(faults),
            Err(found) => {
                let found = found.into_iter().map(|fault| Invalid::new(fault.field, fault.detail));
                faults.splice(0..0, found);
                Err(faults)
            }
        }
    }

    /// The first nominal time after `t`.
    pub fn next_after(&self, t: Timestamp) -> Option<Next> {
        let nominal = Timestamp::from_secs(self.schedule.next_after(t.secs())?);
        Some(Next { nominal, due: nominal.plus(self.share) })
    }

    /// The first nominal time at or after `t`.
    pub fn next_from(&self, t: Timestamp) -> Option<Next> {
        self.next_after(Timestamp::from_micros(t.micros() - 1_000_000)).and_then(|next| {
            if next.nominal >= t { Some(next) } else { self.next_after(next.nominal) }
        })
    }

    /// The newest nominal time that is due at `now`, given that `least` is.
    pub fn newest_due(&self, least: Timestamp, now: Timestamp) -> Timestamp {
        let end = now.minus(self.share).secs();
        let (mut low, mut high) = (least.secs(), end + 1);
        // There is a nominal time in (low - 1, end] and none in (high - 1, end].
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match self.schedule.next_after(middle - 1) {
                Some(found) if found <= end => low = found,
                _ => high = middle,
            }
        }
        Timestamp::from_secs(low)
    }

    /// The last nominal time from `from` on that is before `before`.
    pub fn last_between(&self, from: Timestamp, before: Timestamp) -> Option<Timestamp> {
        let whole = |at: Timestamp| (at.micros() + 999_999) / 1_000_000;
        let end = whole(before);
        let within = |at: i64| self.schedule.next_after(at - 1).filter(|found| *found < end);
        let (mut low, mut high) = (within(whole(from))?, end);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match within(middle) {
                Some(found) => low = found,
                None => high = middle,
            }
        }
        Some(Timestamp::from_secs(low))
    }

    /// Whether the day of a nominal time is one that the calendars leave out.
    pub fn is_off(&self, nominal: Timestamp) -> bool {
        if self.excluded.is_empty() && self.included.is_empty() {
            return false;
        }
        let (_, date) = self.schedule.local(nominal.secs());
        let out = self.excluded.iter().any(|calendar| calendar.contains(date));
        let missing = !self.included.is_empty()
            && !self.included.iter().any(|calendar| calendar.contains(date));
        out || missing
    }

    /// The job's share of its jitter: from a nominal time to when it is due.
    pub fn share(&self) -> Span {
        self.share
    }

    /// The schedule itself, for previews.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// A range of the nominal times from `from` up to, not including, `until`; none when
    /// there is none. Counted up to 10,000.
    pub fn range(
        &self,
        from: Timestamp,
        until: Timestamp,
        outcome: Outcome,
        reason: Option<SkipReason>,
    ) -> Option<Range> {
        let mut count = 0;
        let mut at = self.next_from(from);
        let first = at.filter(|next| next.nominal < until)?.nominal;
        while let Some(next) = at.filter(|next| next.nominal < until) {
            count += 1;
            if count > limits::COUNTED_MAX {
                break;
            }
            at = self.next_after(next.nominal);
        }
        let count = (count <= limits::COUNTED_MAX).then_some(count);
        Some(Range { from: first, until, count, outcome, reason })
    }
}

/// A job's share of its jitter: a function of its name, never of chance.
fn share(spec: &JobSpec) -> Span {
    let bound = spec.jitter.map_or(0, Span::millis);
    Span::from_millis(if bound == 0 { 0 } else { spread(spec.name.as_str(), bound + 1) })
}

fn calendars(spec: &JobSpec, faults: &mut Vec<Invalid>) -> (Vec<Calendar>, Vec<Calendar>) {
    let (mut excluded, mut included) = (Vec::new(), Vec::new());
    for (at, calendar) in spec.calendars.iter().enumerate() {
        let lists = [
            ("exclude", &calendar.exclude, &mut excluded),
            ("include", &calendar.include, &mut included),
        ];
        for (field, items, into) in lists {
            match Calendar::parse(items) {
                _ if items.is_empty() => {}
                Ok(parsed) => into.push(parsed),
                Err(fault) => {
                    let pointer = format!("calendars/{at}/{field}/{}", fault.index);
                    faults.push(Invalid::new(pointer, fault.detail));
                }
            }
        }
    }
    (excluded, included)
}

/// What the schedule of a job leaves undecided at `now`, to be settled by an edit: as
/// skipped when it was paused, else as superseded.
pub fn undecided(job: &Job, now: Timestamp) -> Option<Range> {
    let timing = Timing::compile(&job.spec, job.created_at).ok()??;
    let until = Timestamp::from_secs(now.secs() + 1);
    let (from, outcome, reason) = match (job.live.next, job.live.paused_from) {
        (Some(next), _) => (next.nominal, Outcome::Superseded, None),
        (None, Some(from)) => (from, Outcome::Skipped, Some(SkipReason::Paused)),
        (None, None) => return None,
    };
    timing.range(from, until, outcome, reason)
}

/// Compiled schedules of the jobs that fire, kept between steps of `plan`. Bounded: when it
/// is full it starts over.
#[derive(Default)]
pub struct Compiled(Mutex<HashMap<(u32, u64), Known>>);

/// None: the definition has no schedule, or none that compiles.
type Known = Option<Arc<Timing>>;

impl Compiled {
    const MOST: usize = 20_000;

    /// The schedule of that version of a job. A stored definition that no longer compiles
    /// (older data, newer rules) has none: its fires stop, and `explain` says why.
    pub fn of(&self, job: &Job) -> Known {
        let key = (job.no, job.version);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(timing) = known {
            return timing;
        }
        let timing = Timing::compile(&job.spec, job.created_at).ok().flatten().map(Arc::new);
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= Self::MOST {
            map.clear();
        }
        map.insert(key, timing.clone());
        timing
    }
}
