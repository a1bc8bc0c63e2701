//! Schedules that were compiled, by what they say: jobs that fire alike share one, and a write
//! compiles its own once. What is kept is no state: it changes no answer, only how soon it comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::schedule::{Definition, DstFold, DstGap, Fault, Schedule};

/// Schedules that are kept, of some 2 KiB each: those that were asked for since the last time that
/// half as many had come anew, and those from before that.
const SCHEDULES_MAX: usize = 2_048;

/// All that a schedule is made from. Its job's name counts only where it seeds an `H`, its anchor
/// only where `@every` counts from it.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    expr: Box<str>,
    timezone: Box<str>,
    name: Option<Box<str>>,
    anchor: Option<i64>,
    start_at: Option<i64>,
    end_at: Option<i64>,
    dst_gap: DstGap,
    dst_fold: Option<DstFold>,
}

impl Key {
    fn of(d: &Definition<'_>) -> Key {
        let named = d.expr.trim_start().starts_with('@');
        let seeded = !named && d.expr.contains(['H', 'h']);
        Key {
            expr: d.expr.into(),
            timezone: d.timezone.into(),
            name: seeded.then(|| d.name.into()),
            anchor: named.then_some(d.anchor),
            start_at: d.start_at,
            end_at: d.end_at,
            dst_gap: d.dst_gap,
            dst_fold: d.dst_fold,
        }
    }
}

#[derive(Default)]
struct Known {
    new: HashMap<Key, Arc<Schedule>>,
    old: HashMap<Key, Arc<Schedule>>,
}

impl Known {
    fn get(&mut self, key: &Key) -> Option<Arc<Schedule>> {
        if let Some(found) = self.new.get(key) {
            return Some(Arc::clone(found));
        }
        let (key, found) = self.old.remove_entry(key)?;
        self.put(key, &found);
        Some(found)
    }

    fn put(&mut self, key: Key, schedule: &Arc<Schedule>) {
        if self.new.len() >= SCHEDULES_MAX / 2 {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(key, Arc::clone(schedule));
    }
}

/// The compiled form of a definition.
///
/// # Errors
/// As [`Schedule::parse`]; faults are not kept.
pub(super) fn compiled(d: &Definition<'_>) -> Result<Arc<Schedule>, Vec<Fault>> {
    static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let key = Key::of(d);
    if let Some(found) = known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(found);
    }
    // Not under the lock: it takes a while.
    let made = Arc::new(Schedule::parse(d)?);
    known.lock().unwrap_or_else(PoisonError::into_inner).put(key, &made);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition<'a>(name: &'a str, expr: &'a str, anchor: i64) -> Definition<'a> {
        let (dst_gap, dst_fold) = (DstGap::default(), None);
        let (start_at, end_at) = (None, None);
        Definition { name, expr, timezone: "", anchor, start_at, end_at, dst_gap, dst_fold }
    }

    #[test]
    fn jobs_that_fire_alike_share_a_schedule_and_no_others() {
        let of = |name, expr, anchor| compiled(&definition(name, expr, anchor)).unwrap();
        let same = |a: &Arc<Schedule>, b: &Arc<Schedule>| Arc::ptr_eq(a, b);
        assert!(same(&of("a", "1 2 * * *", 5), &of("b", "1 2 * * *", 6)));
        // The name seeds these, in either case; the second counts from the anchor.
        for expr in ["H 2 * * *", "h 2 * * *"] {
            if compiled(&definition("a", expr, 5)).is_ok() {
                assert!(!same(&of("a", expr, 5), &of("b", expr, 5)));
                assert!(same(&of("a", expr, 5), &of("a", expr, 6)));
            }
        }
        for expr in ["@every 5m", " @Every 5m"] {
            assert!(!same(&of("a", expr, 5), &of("a", expr, 6)));
            assert!(same(&of("a", expr, 5), &of("b", expr, 5)));
        }
        assert!(compiled(&definition("a", "61 * * * *", 0)).is_err());
    }

    #[test]
    fn what_is_shared_is_what_would_be_compiled() {
        for expr in ["*/5 * * * *", "H H(1-5) * * MON-THU", "@every 90s", "@daily", "0 0 L * *"] {
            for (name, anchor) in [("one", 1_800_000_000), ("two", 1_800_000_007)] {
                let d = definition(name, expr, anchor);
                let (shared, own) = (compiled(&d).unwrap(), Schedule::parse(&d).unwrap());
                let times = |schedule: &Schedule| schedule.upcoming(anchor).take(9).collect();
                let (shared_times, own_times): (Vec<i64>, Vec<i64>) = (times(&shared), times(&own));
                assert_eq!((shared_times, shared.describe()), (own_times, own.describe()));
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_asked_for_stays() {
        let mut known = Known::default();
        let schedule = compiled(&definition("a", "1 2 * * *", 0)).unwrap();
        let key = |n: i64| Key { anchor: Some(n), ..Key::of(&definition("a", "@hourly", 0)) };
        for n in 0..3 * SCHEDULES_MAX as i64 {
            known.put(key(n), &schedule);
            assert!(known.get(&key(0)).is_some(), "{n}");
            assert!(known.new.len() + known.old.len() <= SCHEDULES_MAX);
        }
        assert!(known.get(&key(1)).is_none());
    }
}
