//! Windows: when they are open. What needs zones is worked out here.

use crate::machine::reply::Rejection;
use crate::model::kind::window::WindowSpec;
use crate::model::{Invalid, Spec, Timestamp};
use crate::schedule::{Definition, Schedule};

/// Refuses a window whose schedule is none.
pub(super) fn check(spec: &Spec, now: Timestamp) -> Result<(), Rejection> {
    let Spec::Window(window) = spec else { return Ok(()) };
    let Some(definition) = definition(window, now) else { return Ok(()) };
    let invalid = |found: Vec<crate::schedule::Fault>| {
        let faults = found.into_iter().map(|fault| Invalid::new(fault.field, fault.detail));
        Rejection::Invalid(faults.collect())
    };
    Schedule::parse(&definition).map(drop).map_err(invalid)
}

/// Whether a window is open, and when that changes, or may.
pub fn at(spec: &WindowSpec, created: Timestamp, now: Timestamp) -> (bool, Option<Timestamp>) {
    if let (Some(from), Some(to)) = (spec.from, spec.to) {
        return match now {
            _ if now < from => (false, Some(from)),
            _ if now < to => (true, Some(to)),
            _ => (false, None),
        };
    }
    let (Some(schedule), Some(duration)) = (compiled(spec, created), spec.duration) else {
        return (false, None);
    };
    // The first that began less than its duration ago, if one did.
    let since = now.minus(duration).secs();
    let Some(begin) = schedule.next_after(since).map(Timestamp::from_secs) else {
        return (false, None);
    };
    if begin <= now { (true, Some(begin.plus(duration))) } else { (false, Some(begin)) }
}

fn compiled(spec: &WindowSpec, created: Timestamp) -> Option<Schedule> {
    Schedule::parse(&definition(spec, created)?).ok()
}

/// What of a window is a schedule.
fn definition(spec: &WindowSpec, created: Timestamp) -> Option<Definition<'_>> {
    Some(Definition {
        name: spec.name.as_str(),
        expr: spec.expr.as_deref()?,
        timezone: spec.timezone.as_deref().unwrap_or_default(),
        anchor: created.secs(),
        start_at: None,
        end_at: None,
        dst_gap: Default::default(),
        dst_fold: None,
    })
}
