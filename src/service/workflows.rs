//! Runs of workflows: where their tasks are, a pause, and a run that goes on from another one.

use serde::{Deserialize, Serialize};

use super::lookup::may_run;
use super::paging::Question;
use super::{Action, Caller, Error, Page, Paging, Service, Target, WriteOptions, Written};
use crate::machine::command::Op;
use crate::machine::history::{FlowRow, flow_key, unpack};
use crate::machine::prepare::Intent;
use crate::machine::state::{Flow, Items, Kept, NamedTask, TaskState};
use crate::machine::{Rejection, State};
use crate::model::limits::FLOW_KEPT_BYTES_MAX;
use crate::model::workflow::{AfterWith, Graph, ItemCounts, Join, On, Stand};
use crate::model::{JobSpec, Name, Run, RunId, RunStatus, SkipReason, Task, TaskEnd};

/// A task of a workflow's run, and where it is.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TaskView {
    /// Its name.
    #[schema(value_type = Name)]
    pub name: Name,
    /// Where it is, as the status of a run says it.
    pub status: RunStatus,
    /// Why it was skipped, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub skip: Option<SkipReason>,
    /// What it waits for, or why it did not succeed, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Its run; of one with items, see `GET /runs?flow=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run_id: Option<RunId>,
    /// The run of the workflow that it was carried out in, when that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub made_by: Option<RunId>,
    /// How many of its items are where.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub items: Option<ItemCounts>,
    /// The job that it is a run of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = Name)]
    pub job: Option<Name>,
    /// What it comes after.
    pub after: Vec<AfterWith>,
    /// Whether all of that must hold, or any.
    pub join: Join,
}

/// Which tasks of a run are done again; all that comes after them is too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum RetryFrom {
    /// Those that did not succeed, and were to.
    Failed(FromFailed),
    /// These.
    Tasks(Vec<Name>),
}

/// See [`RetryFrom`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FromFailed {
    /// Those that did not succeed, and were to.
    Failed,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Place(usize);

impl Service {
    /// The tasks of a workflow's run, in the order of the definition; of any other run none.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn tasks(&self, c: &Caller, id: RunId, p: Paging) -> Result<Page<TaskView>, Error> {
        let run = self.run_for(c, Action::ReadJobs, id).await?;
        let limit = p.limit()?;
        let question = Question::new(&("tasks", id));
        let first = question.after::<Place>(&p)?.map_or(0, |Place(last)| last.saturating_add(1));
        let all = self.all_tasks(&run).await?;
        let more = all.len() > first.saturating_add(limit);
        let items: Vec<TaskView> = all.into_iter().skip(first).take(limit).collect();
        let last = first.saturating_add(items.len()).saturating_sub(1);
        let next_cursor = more.then(|| question.cursor(&Place(last))).flatten();
        Ok(Page { items, next_cursor })
    }

    async fn all_tasks(&self, run: &Run) -> Result<Vec<TaskView>, Error> {
        let state = self.consensus().state();
        if let (Some(flow), Some(open)) = (state.flows.get(&run.id), state.runs.get(&run.id)) {
            let named = open.spec.tasks.iter().map(|task| &task.name).zip(&flow.tasks);
            let named = named.enumerate();
            let view = |(at, named)| of_open(&state, flow, &open.spec, at, named);
            return Ok(named.map(view).collect());
        }
        let Some(row) = self.flow_row(run.id).await? else { return Ok(Vec::new()) };
        let version = self.version_row(run.id.job_no(), run.version).await?;
        let spec = version.map(|row| row.spec);
        let tasks = spec.as_deref().map_or(&[][..], |spec| &spec.tasks);
        let named = row.tasks.iter().enumerate();
        // A definition that retention took, or another one, says nothing of what came after what.
        let same = tasks.iter().map(|task| &task.name).eq(row.tasks.iter().map(|it| &it.name));
        let tasks = if same { tasks } else { &[] };
        let graph = Graph::of(tasks, None).unwrap_or_default();
        Ok(named.map(|(at, named)| of_closed(&row, &graph, tasks, at, named)).collect())
    }

    /// The tasks of a closed run of a workflow, as they ended.
    pub(super) async fn flow_row(&self, id: RunId) -> Result<Option<FlowRow>, Error> {
        match self.consensus().history().get(&flow_key(id)).await? {
            Some(value) => Ok(Some(unpack(&value)?)),
            None => Ok(None),
        }
    }

    /// Has a run of a workflow start nothing for a while, or go on.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, `Conflict` (`run-ended`, `not-a-workflow`), `KeyReused`,
    /// `Unavailable`.
    pub async fn pause_run(
        &self,
        c: &Caller,
        id: RunId,
        paused: bool,
        o: WriteOptions,
    ) -> Result<Written<Run>, Error> {
        c.permit(Action::ManageJobs, Target::Cluster)?;
        let intend = |state: &State| {
            let open = state.runs.get(&id).ok_or_else(|| Error::no_run(id))?;
            let permit = may_run(c, Action::ManageJobs, state, &open.run)?;
            if !state.flows.contains_key(&id) {
                let detail = "it is no run of a workflow that has begun: only such a run can be \
                              paused; pause the job or its queue"
                    .to_owned();
                return Err(Error::Conflict { code: "not-a-workflow", detail });
            }
            Ok(permit.grants(Intent::Plain(Box::new(Op::PauseFlow { run: id, paused }))))
        };
        let meta = match self.write(c, o, intend).await {
            Ok(meta) => meta,
            Err(Error::NotFound { .. }) => {
                let run = self.run_for(c, Action::ManageJobs, id).await?;
                return Err(Rejection::Ended { status: run.status }.into());
            }
            Err(error) => return Err(error),
        };
        let value = self.run(c, id).await?;
        Ok(Written { value, created: false, changed: true, warnings: Vec::new(), meta })
    }

    /// What a run takes over that does the tasks `from` of `run` again.
    pub(super) async fn kept(&self, run: &Run, from: &RetryFrom) -> Result<Kept, Error> {
        let row = self.flow_row(run.id).await?.ok_or_else(|| {
            let detail = "belongs to a run of a workflow, which this is not; leave it out";
            Error::fault("from", detail)
        })?;
        let state = self.consensus().state();
        let job = state.jobs.get(&run.id.job_no()).ok_or_else(|| Error::no_job(&run.job))?;
        kept(&row, &job.spec, from)
    }
}

fn of_open(
    state: &State,
    flow: &Flow,
    spec: &JobSpec,
    at: usize,
    (name, task): (&Name, &TaskState),
) -> TaskView {
    let open = task.run.filter(|_| task.end.is_none()).and_then(|run| state.runs.get(&run));
    let status = match (task.end, open) {
        (Some(end), _) => end.status(),
        (None, Some(open)) => open.run.status,
        (None, None) if task.begun => RunStatus::Running,
        (None, None) => RunStatus::Waiting,
    };
    let reason = match (task.end, open) {
        (Some(end), _) => ended(&flow.graph, &spec.tasks, at, task, end, |at| flow.ended(at)),
        (None, Some(open)) => super::waiting::shown(state, open).reason,
        (None, None) if flow.paused => Some("the run is paused".to_owned()),
        (None, None) if task.begun => task.error.clone(),
        (None, None) => Some(waits(flow, spec, at)),
    };
    view(&spec.tasks, at, (name, task), (status, reason))
}

/// What a task waits for.
fn waits(flow: &Flow, spec: &JobSpec, at: usize) -> String {
    let edges = flow.graph.after.get(at).map_or(&[][..], Vec::as_slice);
    let missing = edges.iter().filter(|edge| flow.ended(usize::from(edge.0)).is_none());
    let told: Vec<String> = missing
        .take(8)
        .filter_map(|edge| {
            let name = &spec.tasks.get(usize::from(edge.0))?.name;
            Some(match edge.1 {
                On::Success => format!("{name} to succeed"),
                On::Failure => format!("{name} to fail"),
                On::Always => format!("{name} to end"),
            })
        })
        .collect();
    let any = flow.graph.any.get(at) == Some(&true);
    format!("for {}", told.join(if any { " or " } else { " and " }))
}

fn of_closed(
    row: &FlowRow,
    graph: &Graph,
    tasks: &[Task],
    at: usize,
    named: &NamedTask,
) -> TaskView {
    let end = named.state.end.unwrap_or(TaskEnd::Cancelled);
    let of = |at: usize| row.tasks.get(at).and_then(|named| named.state.end);
    let reason = ended(graph, tasks, at, &named.state, end, of);
    view(tasks, at, (&named.name, &named.state), (end.status(), reason))
}

/// Why a task did not succeed.
fn ended(
    graph: &Graph,
    tasks: &[Task],
    at: usize,
    task: &TaskState,
    end: TaskEnd,
    of: impl Fn(usize) -> Option<TaskEnd>,
) -> Option<String> {
    let told = task.error.clone();
    Some(match end {
        TaskEnd::Succeeded => return None,
        TaskEnd::Condition => "its condition was false".to_owned(),
        TaskEnd::Upstream => {
            let edges = graph.after.get(at).map_or(&[][..], Vec::as_slice);
            let broken = edges.iter().find_map(|edge| {
                let from = usize::from(edge.0);
                let end = of(from).filter(|end| !end.fits(edge.1))?;
                let on = match edge.1 {
                    On::Success => "its success",
                    On::Failure => "its failure",
                    On::Always => "its end",
                };
                let (name, end) = (&tasks.get(from)?.name, end.status().as_str());
                Some(format!("{name} is {end}, and this task comes after {on}"))
            });
            let stopped = "a task before had failed, and the workflow is fail_fast".to_owned();
            told.or(broken).unwrap_or(stopped)
        }
        TaskEnd::Cancelled if !task.begun => {
            told.unwrap_or_else(|| "the workflow was stopped before its turn came".to_owned())
        }
        _ => return told,
    })
}

fn view(
    tasks: &[Task],
    at: usize,
    named: (&Name, &TaskState),
    (status, reason): (RunStatus, Option<String>),
) -> TaskView {
    let (name, state) = named;
    let task = tasks.get(at);
    let edges = task.map_or(&[][..], |task| &task.after);
    let after = edges.iter().map(|after| {
        let (task, on) = after.edge();
        AfterWith { task: task.clone(), on }
    });
    TaskView {
        name: name.clone(),
        status,
        skip: match state.end {
            Some(TaskEnd::Upstream) => Some(SkipReason::Upstream),
            Some(TaskEnd::Condition) => Some(SkipReason::Condition),
            _ => None,
        },
        reason,
        run_id: state.run,
        made_by: state.made_by,
        items: state.items.as_ref().map(|items| items.counts()),
        job: task.and_then(|task| task.job.clone()),
        after: after.collect(),
        join: task.map(Task::join).unwrap_or_default(),
    }
}

fn kept(row: &FlowRow, spec: &JobSpec, from: &RetryFrom) -> Result<Kept, Error> {
    let graph = Graph::of(&spec.tasks, spec.result.as_deref()).map_err(Error::Invalid)?;
    let state = |at: usize| {
        let name = &spec.tasks.get(at)?.name;
        row.tasks.iter().find(|named| named.name == *name).map(|named| &named.state)
    };
    let end = |at: usize| state(at).and_then(|task| task.end);
    let again = |at: &usize| match (end(*at), from) {
        (None, _) => true,
        (Some(_), RetryFrom::Tasks(names)) => names.contains(&spec.tasks[*at].name),
        (Some(TaskEnd::Succeeded | TaskEnd::Condition), RetryFrom::Failed(_)) => false,
        // Unless it was skipped for what stands: then it would be again.
        (Some(TaskEnd::Upstream), _) => graph.stand(*at, end) != Stand::Never,
        (Some(_), RetryFrom::Failed(_)) => true,
    };
    if let RetryFrom::Tasks(names) = from {
        for (at, name) in names.iter().enumerate() {
            if !spec.tasks.iter().any(|task| task.name == *name) {
                let detail = format!("there is no task {name} in the workflow");
                return Err(Error::fault(&format!("from/{at}"), detail));
            }
        }
    }
    let seeds: Vec<usize> = (0..spec.tasks.len()).filter(again).collect();
    if seeds.is_empty() {
        return Err(Error::fault("from", "names nothing to do again: no task failed"));
    }
    let below = graph.below(seeds.iter().copied());
    let after = seeds.iter().flat_map(|at| graph.next[*at].iter().map(|next| usize::from(*next)));
    let after = graph.below(after);
    let mut tasks = Vec::new();
    for at in 0..spec.tasks.len() {
        let Some(before) = state(at) else { continue };
        let name = spec.tasks[at].name.clone();
        if !below[at] {
            tasks.push(NamedTask { name, state: before.clone() });
        } else if matches!(from, RetryFrom::Failed(_))
            && !after[at]
            && let Some(items) = &before.items
        {
            // What it comes after is as it was, so its items are: those that succeeded stay.
            let items = Items { list: None, todo: None, started: 0, open: 0, ..(**items).clone() };
            let state = TaskState { items: Some(items.into()), ..TaskState::default() };
            tasks.push(NamedTask { name, state });
        }
    }
    let kept = Kept { from: row.run, tasks };
    let bytes = serde_json::to_vec(&kept).map_or(usize::MAX, |json| json.len());
    if bytes > FLOW_KEPT_BYTES_MAX {
        let what = "what the run would take over from the one before".to_owned();
        return Err(Error::TooLarge { what, most: FLOW_KEPT_BYTES_MAX });
    }
    Ok(kept)
}
