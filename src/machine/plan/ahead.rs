//! Fires that are decided shortly before they are due, so that no election and no round of
//! the log lies between the time and the start (contract 2.7, docs/architecture.md).
//!
//! A start that is planned holds a slot, and is lost when its node dies. So it goes to a node
//! with at least half of its slots free, never to the leader's own (whose end is what it is
//! to outlast), only while nothing waits for a slot, and only where deciding early decides
//! nothing else: `Job::may_start_ahead`, and no chain or dependency may start the job.

use crate::machine::command::Op;
use crate::machine::prepare::timing::Compiled;
use crate::machine::state::{Job, State};
use crate::model::{JobNo, NodeId, Timestamp, limits};

use super::place::Slots;
use super::{OPS_MAX, Plan};

/// Jobs that are looked at in one step.
const LOOKED_AT_MAX: usize = 1_024;

pub(super) fn starts(
    state: &State,
    now: Timestamp,
    compiled: &Compiled,
    own: Option<NodeId>,
    slots: &mut Slots,
    plan: &mut Plan,
) {
    // While log time is ahead of the clock, it may be past what is not due yet.
    if !state.ready.is_empty() || state.last_at > now {
        return;
    }
    for (due, no) in range(state, now).take(LOOKED_AT_MAX) {
        if plan.ops.len() >= OPS_MAX || !slots.half_free(own) {
            return;
        }
        let Some(job) = state.jobs.get(&no) else { continue };
        let (Some(next), Some(timing)) = (job.live.next, compiled.of(job)) else { continue };
        let first = job.live.given_back != Some(next.nominal);
        if !first || !job.may_start_ahead() || is_started_by_others(state, job) {
            continue;
        }
        if timing.is_off(next.nominal) {
            continue;
        }
        let Some(place) = slots.take_ahead(job, own) else { continue };
        plan.ops.push(Op::Fire {
            no,
            version: job.version,
            scheduled_for: next.nominal,
            next: timing.next_after(next.nominal),
            place: Some(place),
            start_at: Some(due),
        });
    }
}

/// When the next fire comes near enough.
pub(super) fn wake_at(state: &State, now: Timestamp) -> Option<Timestamp> {
    let beyond = Timestamp::from_micros(now.plus(limits::EARLY_HORIZON).micros() + 1);
    let (due, _) = state.due.range((beyond, 0)..).next()?;
    Some(due.minus(limits::EARLY_HORIZON))
}

/// What is due within the horizon, and not yet.
fn range(state: &State, now: Timestamp) -> impl Iterator<Item = (Timestamp, JobNo)> {
    let later = Timestamp::from_micros(now.micros() + 1);
    state.due.range((later, 0)..=(now.plus(limits::EARLY_HORIZON), JobNo::MAX)).copied()
}

/// Whether the end of another job's run may start a run of this one, which would then meet
/// the planned one.
fn is_started_by_others(state: &State, job: &Job) -> bool {
    job.spec.max_concurrent().is_some() && state.naming_as(&job.spec.name, false).next().is_some()
}
