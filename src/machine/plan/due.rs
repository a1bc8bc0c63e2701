//! Nominal times that have come. Contract 2.3, 2.4.
//!
//! A job whose oldest undecided time is due for no more than the grace of 5 s fires each of
//! them, late or not: so an election or a stall skips nothing. Past it, they were missed,
//! and the job's misfire policy decides about all of them together.

use crate::machine::command::{Next, Op, Range};
use crate::machine::prepare::timing::{Compiled, Timing};
use crate::machine::state::{Job, State};
use crate::model::{MisfirePolicy, Outcome, SkipReason, Timestamp, limits};

use super::place::Slots;
use super::{OPS_MAX, Plan};

/// Fires of one job in one step; the rest come in the next.
const FIRES_PER_JOB: usize = 64;

pub(super) fn fires(
    state: &State,
    now: Timestamp,
    compiled: &Compiled,
    slots: &mut Slots,
    plan: &mut Plan,
) {
    for (due, no) in state.due.iter().take_while(|(due, _)| *due <= now) {
        if plan.ops.len() >= OPS_MAX {
            return;
        }
        let Some(job) = state.jobs.get(no) else { continue };
        let (Some(next), Some(timing)) = (job.live.next, compiled.of(job)) else { continue };
        let mut step = Step { state, job, timing: &timing, now, slots, plan, fired: 0 };
        if now.since(*due) <= limits::MISFIRE_GRACE {
            step.each(next, FIRES_PER_JOB);
        } else {
            step.missed(next);
        }
    }
}

struct Step<'a> {
    state: &'a State,
    job: &'a Job,
    timing: &'a Timing,
    now: Timestamp,
    slots: &'a mut Slots,
    plan: &'a mut Plan,
    fired: u64,
}

impl Step<'_> {
    /// Decides each due time from `at` on, `most` of them at most; gives the first that is
    /// left.
    fn each(&mut self, at: Next, most: usize) -> Option<Next> {
        let mut at = Some(at);
        for _ in 0..most {
            let Some(due) = at.filter(|next| next.due <= self.now) else { return at };
            at = self.timing.next_after(due.nominal);
            self.decide(due, at);
        }
        at
    }

    fn decide(&mut self, due: Next, next: Option<Next>) {
        let job = self.job;
        if self.timing.is_off(due.nominal) {
            let until = Timestamp::from_micros(due.nominal.micros() + 1_000_000);
            self.skip(due.nominal, until, Some(1), SkipReason::Calendar, next);
            return;
        }
        self.fired += 1;
        let missed = self.now.since(due.due) > limits::MISFIRE_GRACE;
        let place = match self.may_start_at_once() {
            true => self.slots.take_in_lane(self.state, &job.spec, u8::from(missed)),
            false => None,
        };
        self.plan.ops.push(Op::Fire {
            no: job.no,
            version: job.version,
            scheduled_for: due.nominal,
            next,
            place,
            start_at: None,
        });
    }

    /// A hint only: `apply` decides.
    fn may_start_at_once(&self) -> bool {
        let spec = &self.job.spec;
        let places = spec.max_concurrent().unwrap_or(u32::MAX);
        let occupied = u64::from(self.state.occupying(self.job.no)) + self.fired - 1;
        let alone = !self.state.queue_waits(spec);
        alone && !spec.is_no_op() && spec.dependencies.is_empty() && occupied < u64::from(places)
    }

    fn skip(
        &mut self,
        from: Timestamp,
        until: Timestamp,
        count: Option<u32>,
        reason: SkipReason,
        next: Option<Next>,
    ) {
        let range = Range { from, until, count, outcome: Outcome::Skipped, reason: Some(reason) };
        let (no, version) = (self.job.no, self.job.version);
        self.plan.ops.push(Op::Skip { no, version, range, next });
    }

    /// Skips the due times from `at` up to, not including, `until`; gives the first after.
    fn skip_until(&mut self, at: Next, until: Timestamp, reason: SkipReason) -> Option<Next> {
        let next = self.timing.next_from(until);
        let counted = self.timing.range(at.nominal, until, Outcome::Skipped, Some(reason));
        self.skip(at.nominal, until, counted.and_then(|range| range.count), reason, next);
        next
    }

    fn missed(&mut self, oldest: Next) {
        let misfire = self.job.spec.misfire();
        let mut at = oldest;
        // Ages count from when a time was due, and one within the grace is not missed at all.
        let share = oldest.due.since(oldest.nominal);
        let due_by = self.now.minus(share);
        let window = due_by.minus(misfire.window.max(limits::MISFIRE_GRACE));
        if at.nominal < window {
            let window = whole(window);
            match self.skip_until(at, window, SkipReason::WindowPassed) {
                Some(next) if next.due <= self.now => at = next,
                _ => return,
            }
        }
        let newest = self.timing.newest_due(at.nominal, self.now);
        match misfire.policy {
            MisfirePolicy::Latest => {
                if at.nominal < newest {
                    match self.skip_until(at, newest, SkipReason::Misfire) {
                        Some(next) => at = next,
                        None => return,
                    }
                }
                self.each(at, 1);
            }
            MisfirePolicy::All => {
                let rest = self.each(at, misfire.max as usize);
                if let Some(rest) = rest.filter(|next| next.due <= self.now) {
                    self.skip_until(rest, after(newest), SkipReason::Limit);
                }
            }
            MisfirePolicy::Skip => {
                let until = whole(due_by.minus(limits::MISFIRE_GRACE)).min(after(newest));
                let rest = if at.nominal < until {
                    self.skip_until(at, until, SkipReason::Misfire)
                } else {
                    Some(at)
                };
                if let Some(rest) = rest {
                    self.each(rest, FIRES_PER_JOB);
                }
            }
        }
    }
}

/// The first whole second at or after `t`: ranges end on one, as nominal times do.
fn whole(t: Timestamp) -> Timestamp {
    Timestamp::from_secs((t.micros() + 999_999) / 1_000_000)
}

fn after(nominal: Timestamp) -> Timestamp {
    Timestamp::from_micros(nominal.micros() + 1_000_000)
}
