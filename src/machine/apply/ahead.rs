//! Starts that are planned ahead: a fire is committed shortly before it is due, its node has
//! the attempt and begins it by its own clock at `start_at`.
//!
//! Until then the plan can be withdrawn. A node that never heard of the withdrawal may begin
//! all the same, so withdrawing only asks: the nominal time is undecided again once the node
//! has said that it did not begin and never will (`Op::Unbegun`), never by the clock alone.
//! So a nominal time is decided once, or was given back by the only one who could have
//! started it.

use std::sync::Arc;

use crate::machine::command::{Next, Place};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Ahead, Job, OpenRun};
use crate::model::{Fact, Fence, JobNo, RunId, RunStatus, Timestamp, limits};

use super::Cx;

impl Cx<'_> {
    /// Whether the job's next fire may be committed now, to start at `start_at` on `place`:
    /// nothing that would be judged then can come out otherwise. If not, it fires when due.
    pub(super) fn may_plan_ahead(
        &self,
        job: &Job,
        start_at: Timestamp,
        place: Option<Place>,
    ) -> bool {
        let next = job.live.next;
        let in_time = self.at < start_at && start_at <= self.at.plus(limits::EARLY_HORIZON);
        let due = next.is_some_and(|next| next.due == start_at);
        let first = next.map(|next| next.nominal) != job.live.given_back;
        let room = place.is_some_and(|place| self.fits(&job.spec, place));
        in_time && due && first && room && job.may_start_ahead()
    }

    /// The run that a fire just made starts later.
    pub(super) fn plan_ahead(&mut self, id: RunId, start_at: Timestamp, before: Timestamp) {
        self.edit_job(id.job_no(), |job| job.live.ahead = Some(id));
        self.edit_run(id, |open| {
            // It fires then: until it is due it can be withdrawn without a trace.
            open.run.fired_at = start_at;
            open.ahead = Some(Ahead { start_at, before, withdrawn: false });
        });
    }

    /// An edit is refused while a start is planned: it has to be withdrawn before.
    pub(super) fn none_ahead(&self, no: JobNo) -> Result<(), Rejection> {
        match self.s.ahead(no) {
            Some((run, until)) if self.at < until => Err(Rejection::Ahead { run, until }),
            _ => Ok(()),
        }
    }

    /// Asks the node not to begin. Once the time has come the run counts as fired.
    pub(super) fn withdraw(&mut self, id: RunId) -> Answer {
        let ahead = self.s.runs.get(&id).and_then(|open| open.ahead).ok_or(Rejection::Stale)?;
        if self.at >= ahead.start_at {
            return Err(Rejection::Stale);
        }
        self.edit_run(id, |open| open.ahead = Some(Ahead { withdrawn: true, ..ahead }));
        Ok(Reply::Done)
    }

    /// A node did not begin an attempt and never will: it is as if it had not been given it.
    pub(super) fn unbegun(&mut self, id: RunId, attempt: u32, fence: Fence) -> Answer {
        let open = self.not_begun(id, attempt, fence)?;
        let ahead = open.ahead.filter(|ahead| self.at < ahead.start_at);
        let edited = self.job(id.job_no()).is_none_or(|job| job.version != open.run.version);
        if open.cancel {
            self.close(id, RunStatus::Cancelled, None);
        } else if let Some(ahead) = ahead {
            self.give_back(&open, ahead);
            return Ok(Reply::Done);
        } else if edited && open.ahead.is_some_and(|ahead| ahead.withdrawn) {
            // Whoever withdrew it went on when its time had come.
            let why = "withdrawn before it began".to_string();
            self.close(id, RunStatus::Cancelled, Some(why));
        } else {
            self.make_ready(id);
        }
        Ok(Reply::Run { id })
    }

    /// Takes back what a run was given, and gives it as it was before.
    pub(super) fn not_begun(
        &mut self,
        id: RunId,
        attempt: u32,
        fence: Fence,
    ) -> Result<Arc<OpenRun>, Rejection> {
        let open = self.held(id, attempt, fence)?;
        if open.run.status != RunStatus::Assigned {
            return Err(Rejection::Fenced);
        }
        self.free_place(&open);
        self.edit_run(id, |open| {
            let run = &mut open.run;
            run.attempts.pop();
            run.attempt -= 1;
            run.node = run.attempts.last().map(|attempt| attempt.node);
        });
        self.no_longer_ahead(&open);
        if let Some(planned) = open.ahead.filter(|ahead| ahead.start_at <= self.at) {
            let late = self.at.micros_since(planned.start_at);
            self.out.facts.push(Fact::Fired { late });
        }
        Ok(open)
    }

    /// The run has begun or ended: nothing of it lies ahead.
    pub(super) fn no_longer_ahead(&mut self, open: &OpenRun) {
        if open.ahead.is_some() {
            self.edit_job(open.run.id.job_no(), |job| job.live.ahead = None);
            self.edit_run(open.run.id, |open| open.ahead = None);
        }
    }

    /// A planned start goes with its node before its time: that time, until which edits still
    /// wait, and before which no other attempt may begin.
    pub(super) fn lost_ahead(&mut self, open: &OpenRun, end: RunStatus) -> Option<Timestamp> {
        let start_at = open.ahead?.start_at;
        let lost = end == RunStatus::Lost && self.at < start_at;
        if lost {
            let run = open.run.id;
            self.edit_job(run.job_no(), |job| job.live.lost_ahead = Some((run, start_at)));
        }
        lost.then_some(start_at)
    }

    /// Takes a fire back: the run never was, and its nominal time is the job's next again.
    /// Only before it is due, by the log: so the job was not edited since, nor was a later
    /// time decided, and no edit was prepared that takes it for decided.
    fn give_back(&mut self, open: &OpenRun, ahead: Ahead) {
        let (id, no) = (open.run.id, open.run.id.job_no());
        let Some(nominal) = open.run.nominal_time else { return };
        debug_assert_eq!(self.job(no).map(|job| job.live.decided), Some(nominal));
        self.s.runs.remove(&id);
        self.s.open.remove(&(no, id));
        self.s.totals.fired = self.s.totals.fired.saturating_sub(1);
        self.edit_job(no, |job| {
            job.live.open = job.live.open.saturating_sub(1);
            job.live.fired = job.live.fired.saturating_sub(1);
            job.live.decided = ahead.before;
            job.live.given_back = Some(nominal);
        });
        self.set_next(no, Some(Next { nominal, due: ahead.start_at }));
        self.event("run.withdrawn", Some(&open.run.job), Some((id, RunStatus::Assigned)));
        self.release(no);
    }
}
