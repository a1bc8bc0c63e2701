//! Runs of workflows: what the end of a task starts, skips and ends, all in the step that ends it.
//!
//! ```text
//! assign ─> open_flow ─> advance ─> begin_task (flow_begin.rs) ─> runs, as those of any job
//!                           ^ │
//! close ─> task_ended ──────┘ └─ nothing left ─> close_flow ─> close
//! ```
//!
//! A task that ends at once (skipped, refused, without items) is taken up in the same loop, so that
//! no step calls itself. Between two steps every task has ended, is under way, or waits for one
//! that is: there is no state in which a task should have been started and was not.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::json;

use crate::machine::history::{FlowRow, flow_key};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Flow, Items, NamedTask, OpenRun, Stop, TaskState};
use crate::model::workflow::{Collect, Graph, Stand};
use crate::model::{Fact, Run, RunId, RunStatus, TaskEnd, limits};

use super::Cx;
use super::flow_begin::Ended;
use super::flow_values::FlowValues;

impl Cx<'_> {
    pub(super) fn edit_flow(&mut self, id: RunId, edit: impl FnOnce(&mut Flow)) {
        if let Some(flow) = self.s.flows.get_mut(&id) {
            edit(Arc::make_mut(flow));
        }
    }

    pub(super) fn edit_task(&mut self, id: RunId, at: usize, edit: impl FnOnce(&mut TaskState)) {
        self.edit_flow(id, |flow| {
            if let Some(task) = flow.tasks.get_mut(at) {
                edit(task);
            }
        });
    }

    pub(super) fn edit_items(&mut self, id: RunId, at: usize, edit: impl FnOnce(&mut Items)) {
        self.edit_task(id, at, |task| {
            if let Some(items) = &mut task.items {
                edit(Arc::make_mut(items));
            }
        });
    }

    /// A run of a workflow begins: its first tasks start.
    pub(super) fn open_flow(&mut self, open: &OpenRun) {
        let (id, spec) = (open.run.id, &open.spec);
        self.leave_line(open);
        // It was checked when it was written; one that can't be read has no task to start.
        let graph = Graph::of(&spec.tasks, spec.result.as_deref()).unwrap_or_default();
        let mut flow = Flow { graph: Arc::new(graph), ..Flow::default() };
        for task in &spec.tasks {
            let kept = open.kept.as_deref().and_then(|kept| {
                let named = kept.tasks.iter().find(|named| named.name == task.name)?;
                let done = named.state.end.is_some();
                let made_by = done.then(|| named.state.made_by.unwrap_or(kept.from));
                // The definition may have changed since: what has no items now runs as one.
                let items = named.state.items.clone().filter(|_| task.over.is_some() || done);
                Some(TaskState { made_by, items, ..named.state.clone() })
            });
            let state = kept.unwrap_or_default();
            flow.kept += bytes_of(&state);
            flow.left += u32::from(state.end.is_none());
            flow.tasks.push_back(state);
        }
        self.s.flows.insert(id, Arc::new(flow));
        let at = self.at;
        self.edit_run(id, |open| {
            open.kept = None;
            open.unchecked = false;
            open.run.status = RunStatus::Running;
            open.run.started_at = Some(at);
        });
        self.watch_begun(id, at);
        self.event("run.running", Some(&open.run.job), Some((id, RunStatus::Running)));
        self.advance(id, (0..spec.tasks.len()).collect());
    }

    /// Looks at tasks whose turn may have come, and at what follows from them.
    fn advance(&mut self, id: RunId, mut turn: VecDeque<usize>) {
        while let Some(at) = turn.pop_front() {
            let Some(flow) = self.s.flows.get(&id) else { return };
            let Some(task) = flow.tasks.get(at) else { continue };
            if task.begun || task.end.is_some() {
                continue;
            }
            let ended = match flow.stand(at) {
                Stand::Waits => None,
                Stand::Never => Some((TaskEnd::Upstream, None)),
                Stand::Ready if flow.paused => None,
                Stand::Ready => self.begin_task(id, at),
            };
            if let Some(ended) = ended {
                turn.extend(self.end_task(id, at, ended));
            }
        }
        if self.s.flows.get(&id).is_some_and(|flow| flow.left == 0) {
            self.close_flow(id);
        }
    }

    /// Notes how a task ended; gives those that come after it.
    fn end_task(&mut self, id: RunId, at: usize, (end, error): Ended) -> Vec<usize> {
        self.edit_flow(id, |flow| {
            if let Some(task) = flow.tasks.get_mut(at)
                && task.end.is_none()
            {
                task.end = Some(end);
                task.error = error;
                flow.left = flow.left.saturating_sub(1);
            }
        });
        let Some(flow) = self.s.flows.get(&id).cloned() else { return Vec::new() };
        let fast = self.s.runs.get(&id).is_some_and(|open| open.spec.fail_fast);
        let failed = end.is_failure() || end == TaskEnd::Cancelled;
        if fast && failed && flow.stop.is_none() && !flow.graph.is_left(at, end) {
            self.start_no_more(id, Stop::Failed);
        }
        let next = flow.graph.next.get(at).cloned().unwrap_or_default();
        next.into_iter().map(usize::from).collect()
    }

    /// From here on nothing is started: what waits has ended with that.
    fn start_no_more(&mut self, id: RunId, stop: Stop) {
        let end = match stop {
            Stop::Failed => TaskEnd::Upstream,
            Stop::Cancelled => TaskEnd::Cancelled,
        };
        let mut begun = Vec::new();
        self.edit_flow(id, |flow| {
            flow.stop = Some(stop);
            for (at, task) in flow.tasks.iter_mut().enumerate() {
                if task.end.is_some() {
                    continue;
                }
                if task.begun {
                    begun.push(at);
                    continue;
                }
                task.end = Some(end);
                flow.left = flow.left.saturating_sub(1);
            }
        });
        for at in begun {
            self.cut_items(id, at);
            // A pause may have left it with nothing under way.
            if let Some(ended) = self.items_over(id, at, None) {
                self.end_task(id, at, ended);
            }
        }
    }

    /// The run of a task has ended: what follows is decided now.
    pub(super) fn task_ended(&mut self, open: &OpenRun, run: &Run) {
        let (Some(of), Some(at)) = (run.task.as_deref(), open.task) else { return };
        let (id, at) = (of.flow, usize::from(at));
        let Some(flow) = self.s.flows.get(&id).cloned() else { return };
        if !flow.open.contains(&run.id) {
            return;
        }
        let end = TaskEnd::of(run.status);
        let result = run.result.clone().filter(|_| end == TaskEnd::Succeeded);
        // Null is none: the one is not told from the other once it was written.
        let result = result.filter(|it| !it.is_null() && flow.graph.named.get(at) == Some(&true));
        let bytes = result.as_ref().map_or(0, |result| result.to_string().len() as u64);
        self.edit_flow(id, |flow| {
            flow.open.remove(&run.id);
            flow.kept += bytes;
        });
        let why = run.error.clone().or_else(|| run.reason.clone());
        let ended = match of.index {
            None => {
                self.edit_task(id, at, |task| task.result = result);
                let why = why.filter(|_| end != TaskEnd::Succeeded);
                Some((end, why))
            }
            Some(number) => self.item_ended(id, at, number, end, result),
        };
        let turn = ended.map(|ended| self.end_task(id, at, ended)).unwrap_or_default();
        self.advance(id, turn.into());
    }

    /// An item has ended: the next one starts, or the task has ended.
    fn item_ended(
        &mut self,
        id: RunId,
        at: usize,
        number: u32,
        end: TaskEnd,
        result: Option<serde_json::Value>,
    ) -> Option<Ended> {
        self.edit_items(id, at, |items| {
            items.open = items.open.saturating_sub(1);
            if end == TaskEnd::Succeeded {
                items.succeeded += 1;
                if let Some(result) = result {
                    items.results.insert(number, result);
                }
            } else {
                items.failed.push_back(number);
            }
        });
        let flow = self.s.flows.get(&id)?;
        let fast = self.s.runs.get(&id).is_some_and(|open| open.spec.fail_fast);
        if fast && end != TaskEnd::Succeeded && !flow.graph.is_left(at, TaskEnd::Failed) {
            self.cut_items(id, at);
        }
        let stopped = self.s.flows.get(&id)?.stop == Some(Stop::Cancelled);
        match self.begin_items(id, at) {
            Some((TaskEnd::Failed, why)) if stopped => Some((TaskEnd::Cancelled, why)),
            ended => ended,
        }
    }

    /// Why a success does not count: what it gave back does not fit beside the rest.
    pub(super) fn result_too_much(&self, open: &OpenRun, status: RunStatus) -> Option<String> {
        let (of, at) = (open.run.task.as_deref()?, usize::from(open.task?));
        let flow = self.s.flows.get(&of.flow)?;
        let named = flow.graph.named.get(at) == Some(&true);
        let result =
            open.run.result.as_ref().filter(|_| named && status == RunStatus::Succeeded)?;
        let bytes = flow.kept + result.to_string().len() as u64;
        let most = limits::FLOW_RESULTS_BYTES_MAX as u64;
        (bytes > most).then(|| {
            format!(
                "it succeeded, but its result does not fit: other tasks name results of {bytes} \
                 bytes in all, of which at most {most} are kept; give back a reference"
            )
        })
    }

    /// Nothing is left to do: the run of the workflow ends.
    fn close_flow(&mut self, id: RunId) {
        let (Some(flow), Some(open)) = (self.s.flows.get(&id).cloned(), self.s.runs.get(&id))
        else {
            return;
        };
        let open = open.clone();
        let counts = |at: usize, end: TaskEnd| {
            (end.is_failure() || end == TaskEnd::Cancelled) && !flow.graph.is_left(at, end)
        };
        let mut ended = flow.tasks.iter().enumerate();
        let failed = ended.find(|(at, task)| task.end.is_some_and(|end| counts(*at, end)));
        let (mut status, mut error) = match (flow.stop, failed) {
            (Some(Stop::Cancelled), _) => (RunStatus::Cancelled, None),
            (_, Some((at, task))) => {
                let name = open.spec.tasks.get(at).map(|task| task.name.as_str());
                let end = task.end.map_or("failed", |end| end.status().as_str());
                let why = task.error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                let told = format!("the task {} {end}{why}", name.unwrap_or_default());
                let told = told.chars().take(limits::TEXT_LEN_MAX).collect();
                (RunStatus::Failed, Some(told))
            }
            _ => (RunStatus::Succeeded, None),
        };
        let result = open.spec.result.as_deref().filter(|_| status != RunStatus::Cancelled);
        let values = FlowValues { open: &open, flow: &flow, item: None };
        let result = match result.map(|result| values.fill(result)).transpose() {
            Ok(result) => result,
            Err(why) => {
                status = RunStatus::Failed;
                error.get_or_insert(format!("its result: what it is made of {why}"));
                None
            }
        };
        self.put_flow_row(&open, &flow);
        self.edit_run(id, |open| {
            open.run.result = result;
            open.run.error = error;
            open.run.tasks = Some(flow.counts());
        });
        self.s.flows.remove(&id);
        self.out.facts.push(Fact::Workflow { status });
        self.close(id, status, None);
    }

    fn put_flow_row(&mut self, open: &OpenRun, flow: &Flow) {
        let named = open.spec.tasks.iter().zip(&flow.tasks).map(|(task, state)| {
            let mut state = state.clone();
            if task.collect() == Collect::Count
                && let Some(items) = &mut state.items
            {
                let items = Arc::make_mut(items);
                // Without the list of those to run, those that were taken over count as started.
                items.started += items.total - items.todo();
                items.todo = None;
            }
            NamedTask { name: task.name.clone(), state }
        });
        let row = FlowRow { run: open.run.id, tasks: named.collect() };
        self.out.put(flow_key(open.run.id), &row);
    }

    /// Someone stops a run of a workflow: nothing more starts, and what is under way is stopped.
    pub(super) fn stop_flow(&mut self, id: RunId, why: &str) {
        let Some(open) = self.s.runs.get(&id).cloned() else { return };
        self.edit_run(id, |open| {
            open.cancel = true;
            open.run.cancelled_by.get_or_insert(why.to_string());
        });
        let status = Some((id, RunStatus::Running));
        self.event_because("run.cancelling", Some(&open.run.job), status, Some(why));
        self.start_no_more(id, Stop::Cancelled);
        let under_way: Vec<RunId> = self
            .s
            .flows
            .get(&id)
            .map(|flow| flow.open.iter().copied().collect())
            .unwrap_or_default();
        for run in under_way {
            self.stop_run(run, why);
        }
        self.advance(id, VecDeque::new());
    }

    /// A cluster is restored: what became of runs under way is not known here.
    pub(super) fn lose_flows(&mut self) {
        let ids: Vec<RunId> = self.s.flows.keys().copied().collect();
        for id in ids {
            self.edit_flow(id, |flow| {
                for task in flow.tasks.iter_mut().filter(|task| task.end.is_none()) {
                    task.end = Some(if task.begun { TaskEnd::Lost } else { TaskEnd::Cancelled });
                }
            });
            let (Some(flow), Some(open)) = (self.s.flows.remove(&id), self.s.runs.get(&id)) else {
                continue;
            };
            let open = open.clone();
            self.put_flow_row(&open, &flow);
            self.edit_run(id, |open| open.run.tasks = Some(flow.counts()));
            self.out.facts.push(Fact::Workflow { status: RunStatus::Lost });
        }
    }

    /// A pause, or its end.
    pub(super) fn pause_flow(&mut self, id: RunId, paused: bool) -> Answer {
        let open = self.s.runs.get(&id).cloned().ok_or_else(|| Rejection::no_run(id))?;
        let what = "run of a workflow under way".to_owned();
        let flow = self.s.flows.get(&id);
        let flow = flow.ok_or(Rejection::NotFound { what, name: id.to_string() })?;
        if flow.paused == paused {
            return Ok(Reply::Run { id });
        }
        self.edit_flow(id, |flow| flow.paused = paused);
        let (job, by) = (open.run.job.clone(), self.who());
        let status = Some((id, RunStatus::Running));
        if paused {
            self.edit_run(id, |open| open.run.reason = Some(format!("paused by {by}")));
            self.event_because("run.paused", Some(&job), status, Some(&by));
            self.audit("run.pause", job.as_str(), json!({"run_id": id}));
            return Ok(Reply::Run { id });
        }
        self.edit_run(id, |open| open.run.reason = None);
        self.event_because("run.resumed", Some(&job), status, Some(&by));
        self.audit("run.resume", job.as_str(), json!({"run_id": id}));
        let mut turn: VecDeque<usize> = (0..open.spec.tasks.len()).collect();
        for at in 0..open.spec.tasks.len() {
            let state = self.s.flows.get(&id).and_then(|flow| flow.tasks.get(at));
            let goes_on = state.is_some_and(|task| {
                task.end.is_none() && task.items.as_ref().is_some_and(|_| task.begun)
            });
            if goes_on && let Some(ended) = self.begin_items(id, at) {
                turn.extend(self.end_task(id, at, ended));
            }
        }
        self.advance(id, turn);
        Ok(Reply::Run { id })
    }
}

/// Bytes of the results that a task keeps.
fn bytes_of(task: &TaskState) -> u64 {
    let own = task.result.iter().map(|result| result.to_string().len());
    let items = task.items.iter().flat_map(|items| items.results.values());
    own.chain(items.map(|result| result.to_string().len())).sum::<usize>() as u64
}
