//! Fires: the decision for one nominal time. Contract section 2.
//!
//! The one check that keeps the promise stands here: a nominal time is decided only while
//! it is the job's next one, and deciding moves the job on in the same step. So no second
//! decision for it can succeed, whoever proposes it and however often.

use crate::machine::command::{Next, Place, Range};
use crate::machine::history::ledger_key;
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::Job;
use crate::model::{Fact, JobNo, LedgerRow, Name, Outcome, SkipReason, Timestamp, Trigger, limits};

use super::Cx;
use super::admit::NewRun;

/// What nominal times in events need.
const FORMAT_OF_NOMINAL_EVENTS: u32 = 6;

impl Cx<'_> {
    pub(super) fn fire(
        &mut self,
        no: JobNo,
        version: u64,
        scheduled_for: Timestamp,
        next: Option<Next>,
        place: Option<Place>,
        start_at: Option<Timestamp>,
    ) -> Answer {
        let job = self.undecided(no, version, scheduled_for)?;
        if start_at.is_some_and(|start_at| !self.may_plan_ahead(&job, start_at, place)) {
            return Err(Rejection::Stale);
        }
        self.decide(no, scheduled_for, next);
        self.expire_gates(no);
        let parameters = self.own_parameters(&job.spec);
        let new = NewRun { place, ..NewRun::of(Trigger::Schedule, parameters) };
        match self.admit(no, NewRun { nominal: Some(scheduled_for), ..new }) {
            Ok(id) => {
                self.s.totals.fired += 1;
                // One that is planned ahead can still be taken back: it counts when it begins.
                if start_at.is_none() {
                    let due = job.live.next.map_or(scheduled_for, |next| next.due);
                    self.out.facts.push(Fact::Fired { late: self.at.micros_since(due) });
                }
                self.edit_job(no, |job| job.live.fired += 1);
                if let Some(start_at) = start_at {
                    self.plan_ahead(id, start_at, job.live.decided);
                }
                // Only a run counts for `max_runs`: a skipped fire leaves the schedule on.
                if job.spec.max_runs.is_some_and(|most| job.live.fired + 1 >= most) {
                    self.set_next(no, None);
                }
                Ok(Reply::Run { id })
            }
            Err(reason) => {
                self.s.totals.skipped += 1;
                self.out.facts.push(Fact::Skipped { reason, times: 1 });
                let row = LedgerRow {
                    nominal_time: scheduled_for,
                    until: None,
                    count: None,
                    outcome: Outcome::Skipped,
                    reason: Some(reason),
                    run_id: None,
                    decided_at: self.at,
                    version,
                    backfilled_by: None,
                    backfilled: None,
                };
                self.out.put(ledger_key(no, scheduled_for), &row);
                let name = &job.spec.name;
                self.fire_skipped(name, scheduled_for, reason.as_str());
                self.trouble_skipped(no, reason, 1, None);
                Ok(Reply::Skipped(reason))
            }
        }
    }

    pub(super) fn skip(
        &mut self,
        no: JobNo,
        version: u64,
        range: Range,
        next: Option<Next>,
    ) -> Answer {
        let job = self.undecided(no, version, range.from)?;
        let last = Timestamp::from_micros(range.until.micros() - 1).max(range.from);
        self.decide(no, last, next);
        self.record_range(no, &job.spec.name, version, range);
        Ok(range.reason.map_or(Reply::Done, Reply::Skipped))
    }

    /// The job, when `scheduled_for` is its next undecided nominal time.
    fn undecided(
        &self,
        no: JobNo,
        version: u64,
        scheduled_for: Timestamp,
    ) -> Result<std::sync::Arc<Job>, Rejection> {
        let job = self.job(no).ok_or(Rejection::Stale)?;
        let expected = job.live.next.map(|next| next.nominal);
        let current = job.version == version && job.spec.enabled.0;
        if !current || expected != Some(scheduled_for) || scheduled_for <= job.live.decided {
            return Err(Rejection::Stale);
        }
        Ok(job)
    }

    /// Moves the job past `decided`.
    fn decide(&mut self, no: JobNo, decided: Timestamp, next: Option<Next>) {
        self.edit_job(no, |job| job.live.decided = decided);
        self.set_next(no, next);
    }

    /// Tells of a row of the ledger that has no run.
    fn fire_skipped(&mut self, name: &Name, nominal: Timestamp, reason: &str) {
        self.event_because("fire.skipped", Some(name), None, Some(reason));
        // Rows of events are the same on every member, also of one that does not know the field.
        if self.s.format() >= FORMAT_OF_NOMINAL_EVENTS
            && let Some(event) = self.out.events.last_mut()
        {
            event.nominal_time = Some(nominal);
        }
    }

    /// One ledger row for a range of nominal times; a range of one is an ordinary row.
    pub(super) fn record_range(&mut self, no: JobNo, name: &Name, version: u64, range: Range) {
        let single = range.count == Some(1);
        if single {
            self.s.totals.skipped += 1;
        } else {
            self.s.totals.ranges += 1;
        }
        let row = LedgerRow {
            nominal_time: range.from,
            until: (!single).then_some(range.until),
            count: range.count.filter(|_| !single),
            outcome: range.outcome,
            reason: range.reason,
            run_id: None,
            decided_at: self.at,
            version,
            backfilled_by: None,
            backfilled: None,
        };
        self.out.put(ledger_key(no, range.from), &row);
        self.out.facts.extend(fact_of(&range));
        let reason = range.reason.map_or("superseded", SkipReason::as_str);
        self.fire_skipped(name, range.from, reason);
        if let Some(reason) = range.reason {
            let times = range.count.unwrap_or(limits::COUNTED_MAX);
            self.trouble_skipped(no, reason, times, None);
        }
    }
}

/// What counts of a range; nothing of one that the schedule's change decided.
fn fact_of(range: &Range) -> Option<Fact> {
    let reason = range.reason?;
    let times = range.count.unwrap_or(limits::COUNTED_MAX);
    Some(match reason {
        SkipReason::WindowPassed | SkipReason::Misfire | SkipReason::Limit => {
            Fact::Missed { reason, times }
        }
        _ => Fact::Skipped { reason, times },
    })
}
