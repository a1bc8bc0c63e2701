//! A task begins: its condition, its items, its runs.

use std::sync::Arc;

use serde_json::Value;

use crate::machine::state::{Items, OpenRun, TaskState, Wait, Watched};
use crate::model::parameters::SecretParameters;
use crate::model::workflow::{TaskOf, When};
use crate::model::{
    JobNo, JobSpec, JobUid, Name, Parameters, Run, RunId, TaskEnd, Trigger, limits,
};

use super::Cx;
use super::flow_values::FlowValues;

/// How a task ended that was to begin, and why.
pub(super) type Ended = (TaskEnd, Option<String>);

/// Which job's run a task is, and what it is carried out by.
struct Doer {
    no: JobNo,
    name: Name,
    uid: JobUid,
    version: u64,
    spec: Arc<JobSpec>,
    parameters: Parameters,
    unchecked: bool,
    behind: bool,
}

impl Cx<'_> {
    /// Starts a task. An answer: it has ended already.
    pub(super) fn begin_task(&mut self, id: RunId, at: usize) -> Option<Ended> {
        let open = self.s.runs.get(&id)?.clone();
        let flow = self.s.flows.get(&id)?.clone();
        let task = open.spec.tasks.get(at)?;
        let values = FlowValues { open: &open, flow: &flow, item: None };
        if let Some(when) = task.when.as_deref() {
            match holds(when, &values) {
                Ok(true) => {}
                Ok(false) => return Some((TaskEnd::Condition, None)),
                Err(why) => return Some((TaskEnd::Failed, Some(format!("its condition: {why}")))),
            }
        }
        let Some(over) = task.over.as_deref() else {
            return match self.begin_one(id, at, None) {
                Ok(run) => {
                    self.edit_task(id, at, |task| {
                        task.begun = true;
                        task.run = Some(run);
                    });
                    None
                }
                Err(why) => Some((TaskEnd::Failed, Some(why))),
            };
        };
        let (total, list) = match values.items(over) {
            Ok(items) => items,
            Err(why) => return Some((TaskEnd::Failed, Some(why))),
        };
        let total = u32::try_from(total).unwrap_or(u32::MAX);
        let before = flow.tasks.get(at).and_then(|task| task.items.clone());
        let before = before.filter(|before| before.total == total);
        let items = match before {
            // Those that succeeded in the run before are not done again.
            Some(before) => Items {
                total,
                list: list.map(Arc::new),
                todo: Some(Arc::new(before.failed.iter().copied().collect())),
                succeeded: before.succeeded,
                results: before.results.clone(),
                ..Items::default()
            },
            None => Items { total, list: list.map(Arc::new), ..Items::default() },
        };
        self.edit_task(id, at, |task| {
            task.begun = true;
            task.items = Some(Arc::new(items));
        });
        self.begin_items(id, at)
    }

    /// Starts as many items as there is room for. An answer: the task has ended.
    pub(super) fn begin_items(&mut self, id: RunId, at: usize) -> Option<Ended> {
        let open = self.s.runs.get(&id)?.clone();
        let most = open.spec.tasks.get(at)?.max_parallel();
        let mut error = None;
        loop {
            let flow = self.s.flows.get(&id)?;
            let items = flow.tasks.get(at)?.items.clone()?;
            let stands = flow.paused || flow.stop.is_some() || items.open >= most;
            let Some(number) = items.next().filter(|_| !stands) else { break };
            let item = match &items.list {
                Some(list) => list.get(number as usize).cloned().unwrap_or(Value::Null),
                None => Value::from(number),
            };
            match self.begin_one(id, at, Some((number, item))) {
                Ok(_) => self.edit_items(id, at, |items| {
                    items.started += 1;
                    items.open += 1;
                }),
                Err(why) => {
                    // The others would not fare better.
                    error = Some(why);
                    self.cut_items(id, at);
                    break;
                }
            }
        }
        self.items_over(id, at, error)
    }

    /// How a task ended whose items have, if all have.
    pub(super) fn items_over(
        &mut self,
        id: RunId,
        at: usize,
        error: Option<String>,
    ) -> Option<Ended> {
        let flow = self.s.flows.get(&id)?;
        let task: &TaskState = flow.tasks.get(at)?;
        let items = task.items.as_ref()?;
        if items.open > 0 || items.next().is_some() {
            self.edit_task(id, at, |task| task.error = error.or(task.error.take()));
            return None;
        }
        let why = error.or_else(|| task.error.clone());
        let (total, failed) = (items.total, items.failed.len());
        self.edit_items(id, at, |items| items.list = None);
        if failed == 0 && why.is_none() {
            return Some((TaskEnd::Succeeded, None));
        }
        let told = format!("{failed} of {total} items did not succeed");
        Some((TaskEnd::Failed, Some(why.unwrap_or(told))))
    }

    /// Starts no more items: those that were not started count as not done.
    pub(super) fn cut_items(&mut self, id: RunId, at: usize) {
        self.edit_items(id, at, |items| {
            while let Some(number) = items.next() {
                items.started += 1;
                items.failed.push_back(number);
            }
        });
    }

    /// Starts the run of a task, or of one of its items.
    fn begin_one(
        &mut self,
        id: RunId,
        at: usize,
        item: Option<(u32, Value)>,
    ) -> Result<RunId, String> {
        let gone = || "its workflow is not under way".to_owned();
        let open = self.s.runs.get(&id).cloned().ok_or_else(gone)?;
        let flow = self.s.flows.get(&id).cloned().ok_or_else(gone)?;
        let task = open.spec.tasks.get(at).ok_or_else(gone)?;
        let values = FlowValues { open: &open, flow: &flow, item: item.clone() };
        let given = task.parameters.clone().unwrap_or_default();
        let look_up = |path: &str| values.look_up(path);
        let given = super::filling::Filling::new(&look_up, true)
            .parameters(&given)
            .map_err(|why| format!("its parameters {why}"))?;
        let depth = open.run.depth.saturating_add(1);
        if usize::from(depth) > 2 * limits::CHAIN_DEPTH_MAX {
            return Err("too many runs led to it, one by the other".to_owned());
        }
        let doer = match &task.job {
            Some(name) => self.doer_of_job(name, &given)?,
            None => self.doer_of_task(&open, at, &given)?,
        };
        if self.queue_overflows(&doer.spec) {
            return Err("its queue has as many runs waiting as it may".to_owned());
        }
        let (index, item) = item.map_or((None, None), |(at, item)| (Some(at), Some(item)));
        // Null is none: the one is not told from the other once it was written.
        let item = item.filter(|item| !item.is_null());
        let nominal_time =
            open.run.nominal_time.or(open.run.task.as_ref().and_then(|task| task.nominal_time));
        let of = TaskOf { flow: id, name: task.name.clone(), index, item, nominal_time };
        let past = crate::machine::state::lane(&open) == 2;
        Ok(self.begin_doer(doer, &open, (at, of), (depth, past)))
    }

    /// A task that carries out a runner of its own.
    fn doer_of_task(&self, open: &OpenRun, at: usize, given: &Parameters) -> Result<Doer, String> {
        let run = &open.run;
        let no = self.s.task_numbers.of_job.get(&run.id.job_no()).copied();
        let spec = open.spec.of_task(at);
        let (Some(no), Some(spec)) = (no, spec) else {
            return Err("its workflow has no such task".to_owned());
        };
        let parameters = run.parameters.overlaid(given);
        Ok(Doer {
            no,
            name: run.job.clone(),
            uid: run.job_uid,
            version: run.version,
            spec: Arc::new(spec),
            parameters: parameters.map_err(|why| format!("its parameters {why}"))?,
            unchecked: false,
            behind: false,
        })
    }

    /// A task that is a run of a job: it waits for its turn, whatever the job's overlap policy.
    fn doer_of_job(&self, name: &Name, given: &Parameters) -> Result<Doer, String> {
        let job = self.s.job(name.as_str()).cloned();
        let job = job.ok_or_else(|| format!("there is no job {name}"))?;
        if !job.spec.enabled.0 {
            return Err(format!("the job {name} is paused"));
        }
        if job.live.open >= limits::OPEN_RUNS_PER_JOB_MAX {
            return Err(format!("the job {name} has as many open runs as it may"));
        }
        let own = job.spec.parameters.clone().unwrap_or_default();
        let schema = job.spec.parameters_schema.as_deref();
        let parameters = own
            .overlaid(given)
            .and_then(|parameters| parameters.with_defaults(schema))
            .map_err(|why| format!("its parameters {why}"))?;
        if let Some(schema) = schema
            && let Some(first) =
                SecretParameters::of(schema).faults(&parameters.to_value(), "parameters").first()
        {
            return Err(first.to_string());
        }
        let most = job.spec.max_concurrent().unwrap_or(u32::MAX);
        Ok(Doer {
            no: job.no,
            name: job.spec.name.clone(),
            uid: job.uid,
            version: job.version,
            unchecked: schema.is_some(),
            spec: job.spec.clone(),
            parameters,
            // Those that wait go first.
            behind: job.live.behind > 0 || self.s.occupying(job.no) >= most,
        })
    }

    fn begin_doer(
        &mut self,
        doer: Doer,
        open: &OpenRun,
        (at, of): (usize, TaskOf),
        (depth, past): (u8, bool),
    ) -> RunId {
        self.s.counters.run += 1;
        let (seq, flow) = (self.s.counters.run, of.flow);
        let id = RunId::new(self.at, doer.no, seq);
        let run = Run {
            version: doer.version,
            cause: Some(flow),
            traceparent: open.run.traceparent.clone(),
            parameters: doer.parameters,
            depth,
            task: Some(Box::new(of)),
            ..Run::queued(id, (doer.name, doer.uid), Trigger::Workflow, self.at)
        };
        let begun = OpenRun {
            run,
            spec: doer.spec,
            seq,
            wait: None,
            cancel: false,
            unchecked: doer.unchecked,
            orphan: false,
            mark: None,
            ahead: None,
            queued_at: None,
            watched: Watched::default(),
            task: u16::try_from(at).ok(),
            past,
            kept: None,
        };
        self.s.runs.insert(id, Arc::new(begun));
        self.s.open.insert((doer.no, id));
        self.edit_job(doer.no, |job| job.live.open += 1);
        self.edit_flow(flow, |flow| {
            flow.open.insert(id);
        });
        if doer.behind {
            self.edit_job(doer.no, |job| job.live.behind += 1);
            self.wait(id, Wait::Behind { gate: None }, "for an earlier run of the job");
        } else {
            self.make_ready(id);
        }
        id
    }
}

/// Whether a condition holds.
fn holds(when: &When, values: &FlowValues<'_>) -> Result<bool, String> {
    let fill = |value: &Option<Value>| value.as_ref().map(|it| values.fill(it)).transpose();
    let among = when.among.as_ref().map(|all| {
        let filled: Result<Vec<Value>, String> = all.iter().map(|one| values.fill(one)).collect();
        filled
    });
    let filled = When {
        value: Value::Null,
        eq: fill(&when.eq)?,
        ne: fill(&when.ne)?,
        gt: fill(&when.gt)?,
        ge: fill(&when.ge)?,
        lt: fill(&when.lt)?,
        le: fill(&when.le)?,
        among: among.transpose()?,
        exists: when.exists,
    };
    Ok(filled.holds(&values.fill(&when.value)?))
}
