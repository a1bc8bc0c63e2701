//! The end of a run, and what follows from it: history, places for others, gates and joins
//! of dependent jobs, chains.

use crate::machine::history::run_key;
use crate::machine::state::{LastRun, OpenRun, Wait};
use crate::model::{Fact, JobNo, Name, RunId, RunStatus, SkipReason, SpanOrAuto, Trigger};

use super::Cx;
use super::admit::NewRun;

impl Cx<'_> {
    /// Closes a run that never started.
    pub(super) fn close_skipped(&mut self, id: RunId, reason: SkipReason) {
        self.edit_run(id, |open| open.run.skip = Some(reason));
        if let Some(open) = self.s.runs.get(&id)
            && let (Some(Wait::Gate { after, .. }), Some(mark)) = (open.wait, open.mark)
        {
            // What it was skipped for stays good for the next fire, unless one came since.
            self.edit_job(id.job_no(), |job| {
                if job.live.gate_mark == mark {
                    job.live.gate_mark = after;
                }
            });
        }
        self.close(id, RunStatus::Skipped, Some(reason.as_str().to_string()));
    }

    /// Closes a run. Terminal states never change: a closed run is not in the state.
    pub(super) fn close(&mut self, id: RunId, status: RunStatus, reason: Option<String>) {
        let Some(open) = self.s.runs.remove(&id) else { return };
        let no = id.job_no();
        self.unindex(&open);
        let mut run = open.run.clone();
        let too_much = self.result_too_much(&open, status);
        let status = if too_much.is_some() { RunStatus::Failed } else { status };
        run.error = too_much.or(run.error);
        run.status = status;
        run.reason = reason.or(run.reason.filter(|_| status == RunStatus::Skipped));
        run.finished_at = Some(self.at);
        self.s.counters.closed += 1;
        self.out.closed.push((self.s.counters.closed, id));
        self.out.put(run_key(id), &run);
        self.count(status);
        let took = run.started_at.map(|started| self.at.micros_since(started));
        self.out.facts.push(Fact::Closed { status, trigger: run.trigger, took });
        if let (Some(reason), Some(_), None) = (run.skip, run.nominal_time, run.backfill) {
            self.out.facts.push(Fact::Skipped { reason, times: 1 });
        }
        let learns = status == RunStatus::Succeeded && run.backfill.is_none();
        if let Some(took) =
            took.filter(|_| learns && open.spec.long_after == Some(SpanOrAuto::Auto))
        {
            self.edit_live(no, |live| live.took.add(took / 1_000));
        }
        let last_run = LastRun { id, status, finished_at: self.at };
        self.edit_live(no, |live| {
            live.open = live.open.saturating_sub(1);
            // What a backfill runs is the past: the job is not said to have failed by it.
            if run.backfill.is_none() {
                live.last_run = Some(last_run);
            }
            live.kept += 1;
        });
        let kind = format!("run.{}", status.as_str());
        let (name, why) = (run.job.clone(), run.reason.clone().or(run.error.clone()));
        self.event_because(&kind, Some(&name), Some((id, status)), why.as_deref());
        if run.backfill.is_some() {
            self.backfilled(&run);
        } else if !open.orphan {
            self.judge_end(&run);
            self.follow(&open, &run);
        }
        self.task_ended(&open, &run);
        self.release(no);
    }

    fn count(&mut self, status: RunStatus) {
        let totals = &mut self.s.totals;
        match status {
            RunStatus::Succeeded => totals.succeeded += 1,
            RunStatus::Failed | RunStatus::TimedOut => totals.failed += 1,
            RunStatus::Cancelled => totals.cancelled += 1,
            RunStatus::Lost => totals.lost += 1,
            _ => {}
        }
    }

    /// Takes a run out of every order it stands in.
    fn unindex(&mut self, open: &OpenRun) {
        let id = open.run.id;
        self.s.open.remove(&(id.job_no(), id));
        self.leave_line(open);
        self.unwatch(open);
        self.unindex_wait(open);
        if matches!(open.wait, Some(Wait::Behind { .. })) {
            self.edit_job(id.job_no(), |job| job.live.behind = job.live.behind.saturating_sub(1));
        }
        if open.held().is_some() {
            self.free_place(open);
        }
    }

    /// What the end of a run starts: its chains, and the gates and joins that waited for it.
    fn follow(&mut self, open: &OpenRun, run: &crate::model::Run) {
        let spec = open.spec.clone();
        if open.task.is_some() {
            // Its chains do not hold: what follows is up to the workflow. It is a success of its
            // job all the same, if it is one of a job.
            if run.status == RunStatus::Succeeded && self.s.jobs.contains_key(&run.id.job_no()) {
                self.succeeded(run);
            }
            return;
        }
        match run.status {
            RunStatus::Succeeded => {
                self.chain(run, &spec.on_success, Trigger::OnSuccess);
                self.succeeded(run);
            }
            RunStatus::Failed | RunStatus::TimedOut | RunStatus::Lost => {
                self.chain(run, &spec.on_failure, Trigger::OnFailure);
            }
            _ => {}
        }
        if run.status != RunStatus::Skipped {
            self.chain(run, &spec.on_finish, Trigger::OnFinish);
        }
    }

    /// A success opens gates and completes joins of the jobs that depend on it.
    fn succeeded(&mut self, run: &crate::model::Run) {
        self.s.counters.success += 1;
        let success = self.s.counters.success;
        self.edit_job(run.id.job_no(), |job| job.live.success = success);
        let dependents: Vec<JobNo> = self.s.naming_as(&run.job, true).collect();
        self.open_gates(&run.job);
        for no in dependents {
            self.join(no, run);
        }
    }

    /// Lets runs start that waited for this success last. By their own dependencies, not
    /// by those that their job has by now: a run keeps the version it was fired with.
    fn open_gates(&mut self, of: &Name) {
        let least = (of.clone(), RunId(uuid::Uuid::nil()));
        let most = (of.clone(), RunId(uuid::Uuid::max()));
        let opened: Vec<RunId> = self
            .s
            .gated
            .range(least..=most)
            .filter_map(|(_, id)| self.s.runs.get(id))
            .filter(|open| match open.wait {
                Some(Wait::Gate { after, .. }) => self.gate_open(open, after),
                _ => false,
            })
            .map(|open| open.run.id)
            .collect();
        for id in opened {
            self.make_ready(id);
        }
    }

    /// A job without a schedule runs once each time all its dependencies newly succeeded.
    fn join(&mut self, no: JobNo, cause: &crate::model::Run) {
        let Some(job) = self.job(no) else { return };
        if job.spec.expr.is_some() {
            return;
        }
        let complete = job.spec.dependencies.iter().all(|name| {
            self.s
                .job(name.as_str())
                .is_some_and(|dependency| dependency.live.success > job.live.join_mark)
        });
        if complete {
            let mark = self.s.counters.success;
            self.edit_job(no, |job| {
                job.live.join_mark = mark;
                job.live.gate_mark = mark;
            });
            let parameters = self.own_parameters(&job.spec);
            let new = NewRun {
                cause: Some(cause.id),
                trace: cause.traceparent.clone(),
                depth: cause.depth.saturating_add(1),
                unchecked: job.spec.parameters_schema.is_some(),
                ..NewRun::of(Trigger::Dependency, parameters)
            };
            self.start_following(no, new);
        }
    }
}
