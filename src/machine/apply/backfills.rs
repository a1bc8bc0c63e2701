//! Backfills: begun, led on step by step, ended.
//!
//! Which times are to run is read by the leader from the history (`scheduler/backfills.rs`). What
//! is decided here is that no step counts twice: it names the place that the backfill has reached,
//! and moves it on in the entry that makes the runs. The job itself is not touched: its next time,
//! its ledger, its places, its chains and gates are as they would be without.

use std::sync::Arc;

use serde_json::json;

use crate::machine::command::{BackfillEdit, StartBackfill};
use crate::machine::history::backfilled_key;
use crate::machine::past::run_at;
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Backfill, Job};
use crate::model::flow::StartRate;
use crate::model::{
    BackfillCounts, BackfillId, BackfillOrder, BackfillStatus, Backfilled, JobNo, Run, RunId, Span,
    Timestamp, Trigger, Trouble, limits,
};

use super::Cx;
use super::admit::NewRun;

/// The end of a range may be ahead of log time by as much as clocks of nodes differ: its times
/// are run once they have come.
const CLOCKS_APART: Span = Span::from_secs(5);

impl Cx<'_> {
    pub(super) fn start_backfill(&mut self, start: &StartBackfill) -> Answer {
        let job = self.job(start.no).ok_or(Rejection::Stale)?;
        let spec = match &start.spec {
            None if job.version == start.version => job.spec.clone(),
            Some(spec) if start.version < job.version && spec.name == job.spec.name => spec.clone(),
            _ => return Err(Rejection::Stale),
        };
        if spec.expr.is_none() || start.from >= start.to || start.to > self.at.plus(CLOCKS_APART) {
            return Err(Rejection::Stale);
        }
        let open = &self.s.backfills;
        if let Some(other) =
            open.open_of(start.no).find(|other| other.from < start.to && start.from < other.to)
        {
            return Err(Rejection::BackfillOpen { job: job.spec.name.clone(), id: other.id });
        }
        let full = |what: &str, most: u64| Err(Rejection::Limit { what: what.into(), most });
        if open.open.len() >= limits::BACKFILLS_OPEN_MAX {
            return full("backfills that have not ended", limits::BACKFILLS_OPEN_MAX as u64);
        }
        if open.open_of(start.no).count() >= limits::BACKFILLS_PER_JOB_MAX {
            let most = limits::BACKFILLS_PER_JOB_MAX as u64;
            return full("backfills of a job that have not ended", most);
        }
        if open.times().saturating_add(start.total) > limits::BACKFILL_TIMES_MAX {
            let most = limits::BACKFILL_TIMES_MAX;
            return full("nominal times of all backfills that have not ended", most);
        }
        let backfills = &mut self.s.backfills;
        backfills.last += 1;
        let id = backfills.last;
        let backfill = Backfill {
            id,
            no: start.no,
            job: job.spec.name.clone(),
            version: start.version,
            spec: Some(spec),
            from: start.from,
            to: start.to,
            which: start.which,
            order: start.order,
            max_concurrent: start.max_concurrent.clamp(1, limits::BACKFILL_CONCURRENT_MAX),
            rate: start.rate,
            parameters: start.parameters.clone(),
            reason: start.reason.clone(),
            total: start.total,
            by: self.who(),
            created_at: self.at,
            finished_at: None,
            status: BackfillStatus::Running,
            why: None,
            cursor: match start.order {
                BackfillOrder::Oldest => start.from,
                BackfillOrder::Newest => start.to,
            },
            open: 0,
            counts: BackfillCounts::default(),
            recent: imbl::Vector::new(),
        };
        self.s.backfills.all.insert(id, Arc::new(backfill));
        self.s.backfills.open.insert((start.no, id));
        let name = job.spec.name.clone();
        let told = format!("backfill {id}");
        self.event_because("backfill.started", Some(&name), None, Some(&told));
        let change = json!({
            "backfill": id, "from": start.from, "to": start.to, "which": start.which,
            "version": start.version, "times": start.total, "reason": start.reason,
        });
        self.audit("backfill.start", name.as_str(), change);
        Ok(Reply::Backfill { id })
    }

    pub(super) fn edit_backfill(&mut self, id: BackfillId, edit: &BackfillEdit) -> Answer {
        let none = || Rejection::NotFound { what: "backfill".into(), name: id.to_string() };
        let backfill = self.s.backfills.all.get(&id).cloned().ok_or_else(none)?;
        if !backfill.status.is_open() {
            return Err(Rejection::BackfillEnded { id, status: backfill.status });
        }
        let name = backfill.job.clone();
        let (action, change) = match edit {
            BackfillEdit::Pause { reason } => {
                self.pause_backfill(id, reason.as_deref());
                ("backfill.pause", json!({"backfill": id, "reason": reason}))
            }
            BackfillEdit::Resume => {
                if backfill.status == BackfillStatus::Paused {
                    self.change_backfill(id, |it| {
                        it.status = BackfillStatus::Running;
                        it.why = None;
                    });
                    let told = format!("backfill {id}");
                    self.event_because("backfill.resumed", Some(&name), None, Some(&told));
                    self.finish_backfill(id);
                }
                ("backfill.resume", json!({"backfill": id}))
            }
            BackfillEdit::Cancel { reason } => {
                let by = self.who();
                let why = reason.clone().unwrap_or_else(|| format!("cancelled by {by}"));
                self.cancel_backfill(id, &why);
                ("backfill.cancel", json!({"backfill": id, "reason": reason}))
            }
            BackfillEdit::Bounds { max_concurrent, rate } => {
                let before = (backfill.max_concurrent, backfill.rate);
                self.change_backfill(id, |it| {
                    it.max_concurrent = (*max_concurrent).clamp(1, limits::BACKFILL_CONCURRENT_MAX);
                    it.rate = *rate;
                });
                let change = json!({
                    "backfill": id,
                    "max_concurrent": {"before": before.0, "after": max_concurrent},
                    "rate": {"before": before.1, "after": rate},
                });
                ("backfill.update", change)
            }
        };
        self.audit(action, name.as_str(), change);
        Ok(Reply::Backfill { id })
    }

    /// One step: the runs of these times, and how far the backfill is after it. Refused when it
    /// was worked out at another place, or when it would make more than there is room for.
    pub(super) fn backfill_step(
        &mut self,
        id: BackfillId,
        cursor: Timestamp,
        times: &[Timestamp],
        next: Timestamp,
        passed: u32,
    ) -> Answer {
        let backfill = self.s.backfills.all.get(&id).cloned().ok_or(Rejection::Stale)?;
        let job = self.job(backfill.no).ok_or(Rejection::Stale)?;
        let spec = backfill.spec.clone().ok_or(Rejection::Stale)?;
        let running = backfill.status == BackfillStatus::Running;
        if !running || backfill.cursor != cursor || times.len() > backfill.room(self.at) {
            return Err(Rejection::Stale);
        }
        let undecided = job.live.next.map(|next| next.nominal);
        let free = |at: &Timestamp| {
            *at <= self.at
                && undecided.is_none_or(|next| *at < next)
                && run_at(self.s, job.no, *at).is_none()
        };
        if !moves_on(&backfill, times, next) || !times.iter().all(free) {
            return Err(Rejection::Stale);
        }
        let pinned = Job { version: backfill.version, spec, ..Job::clone(&job) };
        for at in times {
            self.backfill_run(&pinned, &backfill, *at);
        }
        let (at, made) = (self.at, times.len() as u64);
        self.change_backfill(id, |it| {
            it.cursor = next;
            it.counts.made += made;
            it.counts.passed += u64::from(passed);
            let most = it.rate.map_or(0, |rate: StartRate| rate.limit as usize);
            if most > 0 {
                it.recent.extend(times.iter().map(|_| at));
            }
            while it.recent.len() > most {
                it.recent.pop_front();
            }
        });
        self.finish_backfill(id);
        Ok(Reply::Backfill { id })
    }

    fn backfill_run(&mut self, pinned: &Job, backfill: &Backfill, at: Timestamp) {
        let new = NewRun {
            nominal: Some(at),
            backfill: Some(backfill.id),
            ..NewRun::of(Trigger::Backfill, backfill.parameters.clone())
        };
        let run = self.create_run(pinned, new);
        self.edit_job(pinned.no, |job| job.live.backfilling += 1);
        self.change_backfill(backfill.id, |it| it.open += 1);
        self.make_ready(run);
        if pinned.spec.is_no_op() && !pinned.spec.is_workflow() {
            self.close(run, crate::model::RunStatus::Succeeded, None);
        }
    }

    /// A run of a backfill has ended.
    pub(super) fn backfilled(&mut self, run: &Run) {
        let (Some(id), Some(nominal_time)) = (run.backfill, run.nominal_time) else { return };
        let (run_id, status, begun) = (run.id, run.status, run.attempt > 0);
        let begun = begun || status == crate::model::RunStatus::Succeeded;
        let row = Backfilled { nominal_time, backfill: id, run_id, status, begun, at: self.at };
        self.out.put(backfilled_key(run_id), &row);
        self.edit_live(run_id.job_no(), |live| {
            live.backfilling = live.backfilling.saturating_sub(1);
        });
        self.change_backfill(id, |it| {
            it.open = it.open.saturating_sub(1);
            it.counts.ended(status);
        });
        self.finish_backfill(id);
    }

    /// Ends a backfill that has taken all its times and whose runs have ended.
    fn finish_backfill(&mut self, id: BackfillId) {
        let Some(backfill) = self.s.backfills.all.get(&id).cloned() else { return };
        let over = backfill.is_exhausted() && backfill.open == 0;
        if backfill.status != BackfillStatus::Running || !over {
            return;
        }
        self.close_backfill(&backfill, BackfillStatus::Done, None);
        let counts = backfill.counts;
        let told = format!("backfill {id}: {} of {} succeeded", counts.succeeded, counts.made);
        self.event_because("backfill.done", Some(&backfill.job), None, Some(&told));
        self.announce(backfill.no, Trouble::BackfillDone, &told);
    }

    pub(super) fn pause_backfill(&mut self, id: BackfillId, why: Option<&str>) {
        let Some(backfill) = self.s.backfills.all.get(&id).cloned() else { return };
        if backfill.status != BackfillStatus::Running {
            return;
        }
        self.change_backfill(id, |it| {
            it.status = BackfillStatus::Paused;
            it.why = why.map(str::to_owned);
        });
        let told = format!("backfill {id}");
        self.event_because("backfill.paused", Some(&backfill.job), None, Some(&told));
    }

    /// Ends a backfill before its time: first it, so that no end of its runs ends it otherwise.
    fn cancel_backfill(&mut self, id: BackfillId, why: &str) {
        let Some(backfill) = self.s.backfills.all.get(&id).cloned() else { return };
        self.close_backfill(&backfill, BackfillStatus::Cancelled, Some(why));
        let told = format!("backfill {id}");
        self.event_because("backfill.cancelled", Some(&backfill.job), None, Some(&told));
        let of = |open: &&Arc<crate::machine::state::OpenRun>| open.run.backfill == Some(id);
        let open: Vec<RunId> =
            self.s.open_of(backfill.no).filter(of).map(|open| open.run.id).collect();
        for run in open {
            self.stop_run(run, &format!("backfill {id} was cancelled"));
        }
    }

    /// What becomes of a job's backfills when it is deleted.
    pub(super) fn cancel_backfills_of(&mut self, no: JobNo) {
        let open: Vec<BackfillId> =
            self.s.backfills.open_of(no).map(|backfill| backfill.id).collect();
        for id in open {
            self.cancel_backfill(id, "the job was deleted");
        }
    }

    fn close_backfill(&mut self, backfill: &Backfill, status: BackfillStatus, why: Option<&str>) {
        let at = self.at;
        self.change_backfill(backfill.id, |it| {
            it.status = status;
            it.why = why.map(str::to_owned);
            it.finished_at = Some(at);
            // What only its next runs would need.
            it.spec = None;
            it.recent = imbl::Vector::new();
            it.parameters = Default::default();
        });
        let backfills = &mut self.s.backfills;
        backfills.open.remove(&(backfill.no, backfill.id));
        while backfills.all.len() - backfills.open.len() > limits::BACKFILLS_ENDED_MAX {
            let ended = backfills.all.iter().find(|(_, it)| !it.status.is_open() && it.open == 0);
            let Some(oldest) = ended.map(|(id, _)| *id) else { break };
            backfills.all.remove(&oldest);
        }
    }

    fn change_backfill(&mut self, id: BackfillId, change: impl FnOnce(&mut Backfill)) {
        if let Some(backfill) = self.s.backfills.all.get_mut(&id) {
            change(Arc::make_mut(backfill));
        }
    }
}

/// Whether the times lie between the place that the backfill has reached and the next one, in its
/// order, each once.
fn moves_on(backfill: &Backfill, times: &[Timestamp], next: Timestamp) -> bool {
    let (from, to, cursor) = (backfill.from, backfill.to, backfill.cursor);
    match backfill.order {
        BackfillOrder::Oldest => {
            let within = times.iter().all(|at| cursor <= *at && *at < next);
            cursor < next && next <= to && within && times.is_sorted_by(|a, b| a < b)
        }
        BackfillOrder::Newest => {
            let within = times.iter().all(|at| next <= *at && *at < cursor);
            next < cursor && from <= next && within && times.is_sorted_by(|a, b| a > b)
        }
    }
}
