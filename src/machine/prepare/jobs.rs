//! Definitions: what they mean for the times to come, and for the times left undecided.

use std::sync::Arc;

use crate::machine::command::{Next, Op, PutJob, Range};
use crate::machine::reply::Rejection;
use crate::machine::state::{Job, State};
use crate::model::job::Enabled;
use crate::model::{Invalid, JobSpec, Kind, Name, Timestamp};

use super::PutMode;
use super::parameters::{check_chains, check_defaults};
use super::timing::{Timing, undecided};

pub(super) fn put(
    state: &State,
    spec: Arc<JobSpec>,
    mode: PutMode,
    expected: Option<u64>,
    now: Timestamp,
) -> Result<Op, Rejection> {
    let present = state.job(spec.name.as_str()).cloned();
    match (&present, mode) {
        (Some(_), PutMode::Create) => {
            return Err(Rejection::Exists { what: "job".into(), name: spec.name.to_string() });
        }
        (None, PutMode::Update) => return Err(Rejection::no_job(&spec.name)),
        _ => {}
    }
    expect(expected, present.as_deref())?;
    let verb = if present.is_some() { "update" } else { "create" };
    if let Some(job) = present.as_deref().filter(|job| job.spec != spec) {
        none_ahead(state, job)?;
    }
    let mut faults = Vec::new();
    check_chains(state, &spec, &mut faults);
    check_channels(state, present.as_deref(), &spec, &mut faults);
    match command(present.as_deref(), spec, expected.is_some(), verb, now) {
        Err(Rejection::Invalid(found)) => {
            faults.extend(found);
            Err(Rejection::Invalid(faults))
        }
        Ok(_) if !faults.is_empty() => Err(Rejection::Invalid(faults)),
        done => done,
    }
}

/// Whom a job tells of its troubles must be there: nobody would hear of them. What stands in the
/// definition already may stay.
fn check_channels(state: &State, present: Option<&Job>, spec: &JobSpec, faults: &mut Vec<Invalid>) {
    let Some(notify) = spec.notify.as_deref() else { return };
    if present.is_some_and(|job| job.spec.notify == spec.notify) {
        return;
    }
    for (at, name) in notify.channels.iter().enumerate() {
        if state.definitions.get(Kind::Channel, name.as_str()).is_none() {
            let detail = format!("there is no channel {name}; an admin makes it first");
            faults.push(Invalid::new(format!("notify/channels/{at}"), detail));
        }
    }
}

pub(super) fn set_enabled(
    state: &State,
    name: &Name,
    enabled: bool,
    expected: Option<u64>,
    now: Timestamp,
) -> Result<Op, Rejection> {
    let job = state.job(name.as_str()).ok_or_else(|| Rejection::no_job(name))?;
    expect(expected, Some(job))?;
    let spec = JobSpec { enabled: Enabled(enabled), ..(*job.spec).clone() };
    if *job.spec != spec {
        none_ahead(state, job)?;
    }
    let verb = if enabled { "resume" } else { "pause" };
    command(Some(job), Arc::new(spec), expected.is_some(), verb, now)
}

pub(super) fn delete(
    state: &State,
    name: &Name,
    expected: Option<u64>,
    now: Timestamp,
) -> Result<Op, Rejection> {
    let job = state.job(name.as_str()).ok_or_else(|| Rejection::no_job(name))?;
    expect(expected, Some(job))?;
    none_ahead(state, job)?;
    Ok(Op::DeleteJob {
        no: job.no,
        based_on: job.version,
        pinned: expected.is_some(),
        settled: undecided(job, now),
    })
}

fn expect(expected: Option<u64>, present: Option<&Job>) -> Result<(), Rejection> {
    let actual = present.map_or(0, |job| job.version);
    match expected {
        Some(expected) if expected != actual => {
            Err(Rejection::VersionConflict { expected, actual })
        }
        _ => Ok(()),
    }
}

/// An edit takes what is decided for decided, so none is prepared while a planned start could
/// be taken back. By log time, not by the clock: what comes later in the log is later.
pub(super) fn none_ahead(state: &State, job: &Job) -> Result<(), Rejection> {
    match state.ahead(job.no) {
        Some((run, until)) if state.last_at < until => Err(Rejection::Ahead { run, until }),
        _ => Ok(()),
    }
}

fn command(
    present: Option<&Job>,
    spec: Arc<JobSpec>,
    pinned: bool,
    verb: &str,
    now: Timestamp,
) -> Result<Op, Rejection> {
    let created_at = present.map_or(now, |job| job.created_at);
    let mut faults = Vec::new();
    let timing = check_unchanged(present, &spec, created_at, now, &mut faults);
    if !faults.is_empty() {
        return Err(Rejection::Invalid(faults));
    }
    let (next, settled) = follow_on(present, &spec, timing, now);
    let based_on = present.map(|job| (job.no, job.version));
    let verb = verb.to_string();
    Ok(Op::PutJob(Box::new(PutJob { spec, based_on, pinned, next, settled, verb })))
}

/// The next nominal time under `spec`, and what the definition before leaves undecided. An
/// edit that does not touch the schedule leaves its times alone.
fn follow_on(
    present: Option<&Job>,
    spec: &JobSpec,
    timing: Option<Timing>,
    now: Timestamp,
) -> (Option<Next>, Option<Range>) {
    let Some(timing) = timing else {
        return (None, present.and_then(|job| undecided(job, now)));
    };
    let Some(job) = present else { return (timing.next_after(now), None) };
    let same = job.spec.same_schedule(spec);
    let over = spec.max_runs.is_some_and(|most| job.live.fired >= most);
    if over {
        // No later fire will settle what a pause, or a leader that was away, left until now.
        return (None, undecided(job, now));
    }
    if same && job.spec.enabled == spec.enabled {
        let from = job.live.next.map(|next| next.nominal).or(job.live.paused_from);
        let next = match from {
            Some(from) => timing.next_from(from),
            None => timing.next_after(now.max(job.live.decided)),
        };
        return (next, None);
    }
    let next = timing.next_after(now.max(job.live.decided));
    if same && job.spec.enabled.0 {
        // Pausing: what is due and undecided is skipped with the rest of the pause.
        let from = job.live.next.map(|next| next.nominal);
        return (from.and_then(|from| timing.next_from(from)), None);
    }
    (next, undecided(job, now))
}

/// As [`check`], but an unchanged schedule that is over may stay.
fn check_unchanged(
    present: Option<&Job>,
    spec: &JobSpec,
    created_at: Timestamp,
    now: Timestamp,
    faults: &mut Vec<Invalid>,
) -> Option<Timing> {
    let same = present.is_some_and(|job| job.spec.same_schedule(spec));
    let timing = check(spec, created_at, now, faults);
    if same {
        faults.retain(|fault| fault.detail != NEVER);
    }
    timing
}

const NEVER: &str = crate::model::job::NEVER_FIRES;

/// Checks what needs the clock, zones or a JSON Schema; gives the compiled schedule.
pub(super) fn check(
    spec: &JobSpec,
    created_at: Timestamp,
    now: Timestamp,
    faults: &mut Vec<Invalid>,
) -> Option<Timing> {
    let timing = match Timing::compile(spec, created_at) {
        Ok(timing) => timing,
        Err(found) => {
            faults.extend(found);
            None
        }
    };
    if timing.as_ref().is_some_and(|timing| timing.next_after(now).is_none()) {
        faults.push(Invalid::new("expr", NEVER));
    }
    check_defaults(spec, faults);
    timing
}
