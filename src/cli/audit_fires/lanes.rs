//! Lanes, judged from the attempts that history keeps: no backfill goes before a live run that
//! could have had its place.
//!
//! Judged are runs that nothing of their own definition holds back: no queue, no placement, no
//! lock, no dependencies, no bound and no queue of their overlap policy. One that waits less than
//! a second is not told: a step of the leader may have been under way.

use super::answers::Definition;
use super::gathered::Wait;
use super::report::{Findings, Report, rule};
use crate::model::{Overlap, Run, RunId, Span, Timestamp, Trigger, limits};

/// Attempts of backfills, and waits, that are kept for this; what is beyond is told as not checked.
const KEPT_MAX: usize = 1_000_000;
/// What waits no longer than this is not told.
const WAIT_MIN: Span = Span::from_secs(1);
/// Steps of the leader that may pass a run: the one that was under way, and one that placed the
/// run at a node which was gone by then.
const PASSES: usize = 2;

/// Whether a run of this definition may start as soon as it is there and a slot is free.
pub(super) fn stands_alone(definition: &Definition) -> bool {
    let overlap = definition.overlap.unwrap_or_default();
    definition.queue.is_none()
        && definition.placement.is_none()
        && definition.lock.is_none()
        && definition.max_concurrent.is_none()
        && definition.dependencies.is_empty()
        && definition.tasks.is_empty()
        && matches!(overlap, Overlap::Allow | Overlap::Skip)
}

/// How long a live run waited for its first attempt, where it is worth a look.
pub(super) fn wait(run: &Run) -> Option<Wait> {
    let on_time = match (run.trigger, run.nominal_time) {
        (Trigger::Manual, _) => true,
        (Trigger::Schedule, Some(at)) => run.fired_at <= at.plus(limits::MISFIRE_GRACE),
        _ => false,
    };
    let until = run.attempts.first()?.assigned_at;
    let alone = on_time && run.task.is_none() && run.fired_at.plus(WAIT_MIN) <= until;
    alone.then_some(Wait { from: run.fired_at, until, run: run.id })
}

/// What waited, and what started for the past.
#[derive(Default)]
pub(super) struct Lanes {
    waits: Vec<Wait>,
    past: Vec<(Timestamp, RunId)>,
}

impl Lanes {
    /// Takes what was found of a job.
    pub(super) fn take(&mut self, found: &mut Findings) {
        self.waits.append(&mut found.waits);
        self.past.append(&mut found.past);
        self.waits.truncate(KEPT_MAX);
        self.past.truncate(KEPT_MAX);
    }

    /// Judges all of them.
    pub(super) fn check(mut self, report: &mut Report) {
        if self.waits.len() == KEPT_MAX || self.past.len() == KEPT_MAX {
            report.unchecked(format!("lanes beyond {KEPT_MAX} attempts"));
        }
        self.past.sort_unstable();
        // What one entry starts is one step.
        self.past.dedup_by_key(|(at, _)| *at);
        let mut found = Findings::default();
        for Wait { from, until, run } in self.waits {
            let first = self.past.partition_point(|(at, _)| *at <= from);
            let last = self.past.partition_point(|(at, _)| *at < until);
            if last.saturating_sub(first) > PASSES {
                let (at, passed) = self.past[first];
                let text = format!(
                    "run {run} waited from {from} to {until}, and {} starts of backfills went \
                     before it (run {passed} at {at})",
                    last - first
                );
                found.add(rule::LANES, text);
            }
        }
        report.add(found);
    }
}
