//! The whole of a world, as the checks see it: what was recorded, and the fullest account
//! that a node gave at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::MutexGuard;

use cronapi::machine::State;
use cronapi::model::{JobNo, JobSpec, LedgerRow, Run, RunId, Timestamp};

use crate::operators::flows::PREFIX;
use crate::plan::Plan;
use crate::record::{Final, Inner, Record};

/// What the checks look at.
pub struct History<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What was recorded.
    pub inner: MutexGuard<'a, Inner>,
    /// The end.
    pub end: Option<Final>,
    /// All runs that the end knows, closed and open.
    pub runs: BTreeMap<RunId, Run>,
    /// The entry that a run first appears in.
    pub created: BTreeMap<RunId, u64>,
    /// Jobs that were ever made: name, and the entry.
    pub jobs: BTreeMap<JobNo, (String, u64)>,
}

impl<'a> History<'a> {
    /// Gathers it.
    pub fn of(plan: &'a Plan, record: &'a Record) -> Self {
        let inner = record.locked();
        let end = inner.finals.iter().max_by_key(|read| read.index).cloned();
        let mut runs = BTreeMap::new();
        if let Some(end) = &end {
            runs.extend(end.runs.iter().map(|run| (run.id, run.clone())));
            runs.extend(end.state.runs.values().map(|open| (open.run.id, open.run.clone())));
        }
        let (mut created, mut jobs, mut no) = (BTreeMap::new(), BTreeMap::new(), 0);
        for event in inner.events.values() {
            if let Some(run) = event.run_id {
                created.entry(run).or_insert(event.index);
            }
            if let Some(name) = event.job.as_ref().filter(|_| event.kind == "job.created") {
                no += 1;
                jobs.insert(no, (name.to_string(), event.index));
                // The runs of its tasks stand under a number of their own.
                no += u32::from(name.as_str().starts_with(PREFIX));
            }
        }
        Self { plan, inner, end, runs, created, jobs }
    }

    /// The state at the end.
    pub fn state(&self) -> Option<&State> {
        self.end.as_ref().map(|end| &*end.state)
    }

    /// Jobs that are there at the end: only of those is the history whole.
    pub fn kept(&self) -> BTreeSet<JobNo> {
        self.state().map(|state| state.jobs.keys().copied().collect()).unwrap_or_default()
    }

    /// The ledger rows of a job that have no run.
    pub fn ledger(&self, no: JobNo) -> &[LedgerRow] {
        let end = self.end.as_ref();
        end.and_then(|end| end.ledger.get(&no)).map_or(&[], Vec::as_slice)
    }

    /// The versions of a job: when each took effect, and its definition.
    pub fn versions(&self, no: JobNo) -> BTreeMap<u64, (Timestamp, &JobSpec)> {
        let Some(end) = &self.end else { return BTreeMap::new() };
        let rows = end.versions.range((no, 0)..=(no, u64::MAX));
        rows.map(|((_, version), (at, spec))| (*version, (*at, &**spec))).collect()
    }

    /// The definition that a run was carried out by: of a task, its own.
    pub fn spec_of(&self, run: &Run) -> Option<JobSpec> {
        let end = self.end.as_ref()?;
        let no = run.id.job_no();
        let owner = end.state.task_numbers.owner(no);
        let (_, spec) = end.versions.get(&(owner, run.version))?;
        match &run.task {
            Some(of) if owner != no => {
                let at = spec.tasks.iter().position(|task| task.name == of.name)?;
                spec.of_task(at)
            }
            _ => Some(JobSpec::clone(spec)),
        }
    }

    /// The scheduled runs of a job.
    pub fn scheduled(&self, no: JobNo) -> impl Iterator<Item = &Run> {
        let of = move |run: &&Run| run.id.job_no() == no && run.backfill.is_none();
        self.runs.values().filter(of).filter(|run| run.nominal_time.is_some())
    }
}
