//! Runs of workflows that are under way: where each of their tasks is.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::workflow::{Graph, ItemCounts, Stand};
use crate::model::{JobNo, Name, RunId, TaskCounts, TaskEnd};

/// What workflows need.
pub const FORMAT_OF_WORKFLOWS: u32 = 6;

/// A run of a workflow that is under way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// The edges between its tasks.
    pub graph: Arc<Graph>,
    /// Its tasks, in the order of the definition.
    pub tasks: Vector<TaskState>,
    /// Tasks that have not ended.
    pub left: u32,
    /// The open runs of its tasks.
    pub open: OrdSet<RunId>,
    /// Nothing more is started until it goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Why nothing more is started at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Bytes of the results that are kept.
    #[serde(default)]
    pub kept: u64,
}

/// Why a workflow starts nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    /// A task failed, and it is `fail_fast`.
    Failed,
    /// Someone stopped it.
    Cancelled,
}

/// Where a task is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskState {
    /// It was started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// How it ended; none: it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<TaskEnd>,
    /// Its run; of one that was kept, the run that made what is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The workflow's run that it was carried out in, when that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<RunId>,
    /// What it gave back, if something names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it did not succeed, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its items, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Arc<Items>>,
}

/// The items of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Items {
    /// All of them.
    pub total: u32,
    /// The items; none: their numbers, or the task has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Arc<Vec<Value>>>,
    /// The numbers of those that are to run; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub todo: Option<Arc<Vec<u32>>>,
    /// How many of those were started.
    pub started: u32,
    /// Runs under way.
    pub open: u32,
    /// Items that succeeded.
    pub succeeded: u32,
    /// The numbers of those that did not.
    pub failed: Vector<u32>,
    /// What they gave back, if something names it.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    pub results: OrdMap<u32, Value>,
}

impl Items {
    /// How many are to run.
    pub fn todo(&self) -> u32 {
        self.todo.as_ref().map_or(self.total, |todo| todo.len() as u32)
    }

    /// The number of the next one to start.
    pub fn next(&self) -> Option<u32> {
        match &self.todo {
            Some(todo) => todo.get(self.started as usize).copied(),
            None => (self.started < self.total).then_some(self.started),
        }
    }

    /// How many ended how.
    pub fn counts(&self) -> ItemCounts {
        ItemCounts {
            total: self.total,
            running: self.open,
            succeeded: self.succeeded,
            failed: self.failed.len() as u32,
        }
    }
}

impl Flow {
    /// How a task ended.
    pub fn ended(&self, at: usize) -> Option<TaskEnd> {
        self.tasks.get(at).and_then(|task| task.end)
    }

    /// Where a task stands with what it comes after.
    pub fn stand(&self, at: usize) -> Stand {
        self.graph.stand(at, |from| self.ended(from))
    }

    /// How many tasks are where.
    pub fn counts(&self) -> TaskCounts {
        counts(self.tasks.iter())
    }
}

/// How many of `tasks` are where.
pub fn counts<'a>(tasks: impl Iterator<Item = &'a TaskState>) -> TaskCounts {
    let mut counts = TaskCounts::default();
    for task in tasks {
        counts.total += 1;
        match task.end {
            None if task.begun => counts.running += 1,
            None => counts.waiting += 1,
            Some(TaskEnd::Succeeded) => counts.succeeded += 1,
            Some(TaskEnd::Cancelled) => counts.cancelled += 1,
            Some(end) if end.is_failure() => counts.failed += 1,
            Some(_) => counts.skipped += 1,
        }
    }
    counts
}

/// A task and where it is, or was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedTask {
    /// Its name.
    pub name: Name,
    /// Where it is.
    pub state: TaskState,
}

/// What a run takes over that goes on from another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// That run.
    pub from: RunId,
    /// What of it is not done again.
    pub tasks: Vec<NamedTask>,
}

/// The numbers that runs of tasks stand under, as those of a job stand under the job's: so they
/// have an order and a history of their own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskNumbers {
    /// By the job.
    pub of_job: OrdMap<JobNo, JobNo>,
    /// The jobs, by the number of their tasks.
    pub jobs: OrdMap<JobNo, JobNo>,
}

impl TaskNumbers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.of_job.is_empty()
    }

    /// The job that a number belongs to: its own, or that of its tasks.
    pub fn owner(&self, no: JobNo) -> JobNo {
        self.jobs.get(&no).copied().unwrap_or(no)
    }
}
