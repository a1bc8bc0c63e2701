//! A new run meets the overlap policy and its gate. Contract 2.5 and section 4.

use std::sync::Arc;

use crate::machine::command::Place;
use crate::machine::state::{Job, OpenRun, Wait, Watched};
use crate::model::{
    BackfillId, JobNo, Overlap, Parameters, Run, RunId, RunStatus, SkipReason, Timestamp,
    TraceParent, Trigger, limits,
};

use super::Cx;

/// What a run begins as.
#[derive(Clone)]
pub(super) struct NewRun {
    pub trigger: Trigger,
    pub nominal: Option<Timestamp>,
    pub parameters: Parameters,
    pub cause: Option<RunId>,
    pub depth: u8,
    pub force: bool,
    pub unchecked: bool,
    pub place: Option<Place>,
    pub backfill: Option<BackfillId>,
    /// Who asked for it, where it is not who the command is of.
    pub by: Option<String>,
    /// The trace of what it follows from.
    pub trace: Option<TraceParent>,
}

impl NewRun {
    pub(super) fn of(trigger: Trigger, parameters: Parameters) -> Self {
        NewRun {
            trigger,
            nominal: None,
            parameters,
            cause: None,
            depth: 0,
            force: false,
            unchecked: false,
            place: None,
            backfill: None,
            by: None,
            trace: None,
        }
    }
}

impl Cx<'_> {
    /// Creates a run of job `no`, or says why the job's policies have none of it.
    pub(super) fn admit(&mut self, no: JobNo, new: NewRun) -> Result<RunId, SkipReason> {
        let job = self.job(no).ok_or(SkipReason::Limit)?;
        if job.live.present() >= limits::OPEN_RUNS_PER_JOB_MAX {
            return Err(SkipReason::QueueFull);
        }
        if self.queue_overflows(&job.spec) {
            return Err(SkipReason::QueueFull);
        }
        let behind = !new.force && self.overlap(&job)?;
        let gated =
            !new.force && new.trigger != Trigger::Dependency && !job.spec.dependencies.is_empty();
        let gate = gated.then_some(job.live.gate_mark);
        let (place, immediate) = (new.place, new.depth == 0);
        let id = self.create_run(&job, new);
        if gated {
            let mark = self.s.counters.success;
            self.edit_job(no, |job| job.live.gate_mark = mark);
            self.edit_run(id, |open| open.mark = Some(mark));
        }
        if behind {
            self.edit_job(no, |job| job.live.behind += 1);
            self.wait(id, Wait::Behind { gate }, "for an earlier run of the job");
        } else if !self.wait_at_gate(id, gate) {
            self.make_ready(id);
            if immediate && job.spec.is_no_op() && !job.spec.is_workflow() {
                self.close(id, RunStatus::Succeeded, None);
            } else if let Some(place) = place.filter(|_| self.is_next(id)) {
                self.assign_ready(id, place);
            }
        }
        Ok(id)
    }

    /// Whether the run has to wait behind others; an error says that it must not be.
    fn overlap(&mut self, job: &Job) -> Result<bool, SkipReason> {
        let Some(most) = job.spec.max_concurrent() else { return Ok(false) };
        if self.s.occupying(job.no) < most {
            return Ok(false);
        }
        match job.spec.overlap() {
            Overlap::Allow | Overlap::Skip => Err(SkipReason::Overlap),
            Overlap::QueueOne if job.live.behind > 0 => Err(SkipReason::Overlap),
            Overlap::QueueOne | Overlap::QueueAll => Ok(true),
            Overlap::CancelRunning => {
                self.make_room(job.no, most);
                Ok(self.s.occupying(job.no) >= most)
            }
        }
    }

    /// Stops as many runs of the job, the oldest first, as leave a place for a new one, and
    /// all that wait behind them. Nothing follows from one that had not started: the newer
    /// run ends in its place. (Else an end could set off chains that replace runs that set
    /// off chains: work without a bound.)
    fn make_room(&mut self, no: JobNo, most: u32) {
        let behind = |open: &OpenRun| matches!(open.wait, Some(Wait::Behind { .. }));
        let (waiting, mut staying): (Vec<_>, Vec<_>) = self
            .s
            .open_of(no)
            .filter(|open| !open.cancel && open.run.backfill.is_none())
            .map(|open| (open.seq, open.run.id, behind(open)))
            .partition(|(_, _, behind)| *behind);
        staying.sort_unstable();
        let surplus = (staying.len() + 1).saturating_sub(most as usize);
        for (_, id, _) in waiting.into_iter().chain(staying.into_iter().take(surplus)) {
            self.edit_run(id, |open| open.orphan = open.run.attempt == 0);
            self.stop_run(id, "a newer run of the job took its place");
        }
    }

    /// A run as it begins, numbered and in no order yet.
    pub(super) fn begin_run(&mut self, job: &Job, new: NewRun) -> Run {
        self.s.counters.run += 1;
        let seq = self.s.counters.run;
        let manual = new.trigger == Trigger::Manual;
        Run {
            version: job.version,
            cause: new.cause,
            traceparent: new.trace,
            requested_by: new.by.or_else(|| manual.then(|| self.who())),
            nominal_time: new.nominal,
            parameters: new.parameters,
            depth: new.depth,
            backfill: new.backfill,
            ..Run::queued(
                RunId::new(new.nominal.unwrap_or(self.at), job.no, seq),
                (job.spec.name.clone(), job.uid),
                new.trigger,
                self.at,
            )
        }
    }

    pub(super) fn create_run(&mut self, job: &Job, new: NewRun) -> RunId {
        let unchecked = new.unchecked;
        let run = self.begin_run(job, new);
        let (id, seq) = (run.id, self.s.counters.run);
        let spec = job.spec.clone();
        let open = OpenRun {
            run,
            spec,
            seq,
            wait: None,
            cancel: false,
            unchecked,
            orphan: false,
            mark: None,
            ahead: None,
            queued_at: None,
            watched: Watched::default(),
            task: None,
            past: false,
            kept: None,
        };
        self.s.runs.insert(id, Arc::new(open));
        self.watch_begin(id);
        self.s.open.insert((job.no, id));
        self.edit_job(job.no, |job| job.live.open += 1);
        id
    }

    /// Puts the run into the order of those that may start.
    pub(super) fn make_ready(&mut self, id: RunId) {
        let Some(open) = self.s.runs.get(&id).cloned() else { return };
        self.unindex_wait(&open);
        let at = self.at;
        self.line_up(&open, at);
        self.edit_run(id, |open| {
            open.wait = None;
            open.queued_at = Some(at);
            open.run.status = RunStatus::Queued;
            open.run.reason = None;
        });
        self.event("run.queued", Some(&open.run.job), Some((id, RunStatus::Queued)));
    }

    pub(super) fn wait(&mut self, id: RunId, wait: Wait, why: &str) {
        let Some(open) = self.s.runs.get(&id).cloned() else { return };
        if let Some(until) = until_of(&wait) {
            self.s.timers.insert((until, id));
        }
        if let Wait::Gate { .. } = wait {
            for name in &open.spec.dependencies {
                self.s.gated.insert((name.clone(), id));
            }
        }
        self.edit_run(id, |open| {
            open.wait = Some(wait);
            open.run.status = RunStatus::Waiting;
            open.run.reason = Some(why.to_string());
        });
        let status = Some((id, RunStatus::Waiting));
        self.event_because("run.waiting", Some(&open.run.job), status, Some(why));
    }

    /// Takes a run out of what its wait stands in.
    pub(super) fn unindex_wait(&mut self, open: &OpenRun) {
        let Some(wait) = &open.wait else { return };
        if let Some(until) = until_of(wait) {
            self.s.timers.remove(&(until, open.run.id));
        }
        if let Wait::Gate { .. } = wait {
            for name in &open.spec.dependencies {
                self.s.gated.remove(&(name.clone(), open.run.id));
            }
        }
    }

    /// Whether the run has to wait for its dependencies, and does.
    pub(super) fn wait_at_gate(&mut self, id: RunId, gate: Option<u64>) -> bool {
        let (Some(after), Some(open)) = (gate, self.s.runs.get(&id).cloned()) else {
            return false;
        };
        if self.gate_open(&open, after) {
            return false;
        }
        let until = match open.spec.dependency_timeout {
            Some(span) => Some(self.at.plus(span)),
            None => self.job(id.job_no()).and_then(|job| job.live.next).map(|next| next.due),
        };
        self.wait(id, Wait::Gate { after, until }, "for its dependencies to succeed");
        true
    }

    /// Whether every dependency has a success later than `after`.
    pub(super) fn gate_open(&self, open: &OpenRun, after: u64) -> bool {
        open.spec
            .dependencies
            .iter()
            .all(|name| self.s.job(name.as_str()).is_some_and(|job| job.live.success > after))
    }

    /// Concludes runs of the job whose patience ends now: the next nominal time has come.
    pub(super) fn expire_gates(&mut self, no: JobNo) {
        let expired: Vec<RunId> = self
            .s
            .open_of(no)
            .filter(|open| {
                matches!(open.wait, Some(Wait::Gate { until: Some(until), .. }) if until <= self.at)
            })
            .map(|open| open.run.id)
            .collect();
        for id in expired {
            self.close_skipped(id, SkipReason::DependenciesUnmet);
        }
    }

    /// Lets runs that waited behind others move up, as far as there are places.
    pub(super) fn release(&mut self, no: JobNo) {
        let Some(job) = self.job(no) else { return };
        let most = job.spec.max_concurrent().unwrap_or(u32::MAX);
        let places = most.saturating_sub(self.s.occupying(no)).min(job.live.behind);
        if places == 0 {
            return;
        }
        let mut waiting: Vec<_> = self
            .s
            .open_of(no)
            .filter_map(|open| match open.wait {
                Some(Wait::Behind { gate }) => Some((open.seq, open.run.id, gate)),
                _ => None,
            })
            .collect();
        waiting.sort_unstable();
        for (_, id, gate) in waiting.into_iter().take(places as usize) {
            self.edit_job(no, |job| job.live.behind -= 1);
            self.edit_run(id, |open| open.wait = None);
            if !self.wait_at_gate(id, gate) {
                self.make_ready(id);
            }
        }
    }
}

/// When a waiting run has to be looked at again.
pub(super) fn until_of(wait: &Wait) -> Option<Timestamp> {
    match wait {
        Wait::Gate { until, .. } => *until,
        Wait::Behind { .. } => None,
        Wait::Retry { until } => Some(*until),
    }
}
