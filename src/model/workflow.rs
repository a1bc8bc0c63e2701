//! Workflows: a job with `tasks`, which one run of it carries out in an order that they say.
//!
//! Owns: what a task is, the conditions that it may have, the graph that its edges make
//! (`graph.rs`), what it may refer to (`references.rs`), and the checks of all of it (`check.rs`).
//! What becomes of tasks while they run is decided in `machine/apply/flow`.

mod check;
mod condition;
mod graph;
mod references;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ids::RunId;
use super::job::JobSpec;
use super::limits::{FLOW_ITEMS_MAX, FLOW_PARALLEL_DEFAULT};
use super::name::Name;
use super::parameters::Parameters;
use super::placement::Placement;
use super::policy::Retry;
use super::run::RunStatus;
use super::runner::Runner;
use super::span::Span;
use super::time::Timestamp;

pub use condition::When;
pub use graph::{Edge, Graph, Stand};
pub use references::{Reference, references};

/// How a task must have ended for one that comes after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// It succeeded.
    #[default]
    Success,
    /// It failed, timed out or was lost.
    Failure,
    /// It ended, however it did; skipped too.
    Always,
}

/// A task that another comes after: its name, or its name with how it must have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum After {
    /// The name alone: it succeeded.
    Name(Name),
    /// The name, and how it ended.
    With(AfterWith),
}

/// A task that another comes after, with how it must have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterWith {
    /// The task.
    pub task: Name,
    /// How it must have ended; default: `success`.
    #[serde(default)]
    pub on: On,
}

impl After {
    /// The task, and how it must have ended.
    pub fn edge(&self) -> (&Name, On) {
        match self {
            After::Name(task) => (task, On::Success),
            After::With(with) => (&with.task, with.on),
        }
    }
}

/// Whether all of `after` must hold, or any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// All of them.
    #[default]
    All,
    /// The first that holds.
    Any,
}

/// What is kept of the results of a task with `over`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Collect {
    /// How many items ended how.
    #[default]
    Count,
    /// The results themselves, in the order of the items.
    List,
}

/// The items that a task runs for, each once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Over {
    /// These.
    List(Vec<Value>),
    /// A list that a task before gave back, or a parameter: `${tasks.list.result.files}`.
    From(String),
    /// The numbers from 0 on, so many.
    Count(OverCount),
}

/// So many items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverCount {
    /// How many.
    #[schema(maximum = 10000)]
    pub count: u32,
}

/// One task of a workflow: what it does, and what it comes after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// 1 to 128 characters of `[A-Za-z0-9_-]`; unique in the workflow.
    pub name: Name,
    /// What carries it out. Give this or `job`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub runner: Option<Box<Runner>>,
    /// The job that it is a run of. Give this or `runner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub job: Option<Name>,
    /// The tasks it comes after; none: it starts with the workflow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 1000)]
    pub after: Vec<After>,
    /// Whether all of `after` must hold, or any; default: `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub join: Option<Join>,
    /// A condition; where it is false the task is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub when: Option<Box<When>>,
    /// Items that it runs for, each once: 10,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub over: Option<Box<Over>>,
    /// Items at a time; default: 16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    pub max_parallel: Option<u32>,
    /// What is kept of the results of its items; default: `count`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub collect: Option<Collect>,
    /// Laid over those of the workflow's run, or of the job. `${…}` is replaced by what is there by
    /// then: `${tasks.a.result.x}`, `${parameters.x}`, `${item}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameters: Option<Parameters>,
    /// When it is attempted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry: Option<Box<Retry>>,
    /// An attempt that lasts longer is stopped; none: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub timeout: Option<Span>,
    /// The queue it waits in; default: the workflow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub queue: Option<Name>,
    /// −100 to 100; default: the workflow's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = -100, maximum = 100)]
    pub priority: Option<i32>,
    /// Where it may start; default: as the workflow says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub placement: Option<Box<Placement>>,
}

impl Task {
    /// Whether all of `after` must hold, or any.
    pub fn join(&self) -> Join {
        self.join.unwrap_or_default()
    }

    /// Items at a time.
    pub fn max_parallel(&self) -> u32 {
        self.max_parallel.unwrap_or(FLOW_PARALLEL_DEFAULT)
    }

    /// What is kept of the results of its items.
    pub fn collect(&self) -> Collect {
        self.collect.unwrap_or_default()
    }
}

impl JobSpec {
    /// Whether it is a workflow.
    pub fn is_workflow(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// The definition that a task with a runner is carried out by; none: there is no such task.
    pub fn of_task(&self, at: usize) -> Option<JobSpec> {
        let task = self.tasks.get(at)?;
        Some(JobSpec {
            tags: self.tags.clone(),
            runner: task.runner.clone(),
            // Parameters that are secrets are known by it.
            parameters_schema: self.parameters_schema.clone(),
            timeout: task.timeout,
            retry: task.retry.clone(),
            kill_grace: self.kill_grace,
            on_lease_lost: self.on_lease_lost,
            limits: self.limits.clone(),
            queue: task.queue.clone().or_else(|| self.queue.clone()),
            priority: task.priority.or(self.priority),
            placement: task.placement.clone().or_else(|| self.placement.clone()),
            ..JobSpec::new(self.name.clone())
        })
    }
}

/// What a run is in a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskOf {
    /// The run of the workflow.
    pub flow: RunId,
    /// The task.
    #[schema(value_type = Name)]
    pub name: Name,
    /// Which of its items, from 0; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub index: Option<u32>,
    /// The item itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<Value>,
    /// The nominal time of the run of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nominal_time: Option<Timestamp>,
}

/// How many tasks of a workflow's run are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskCounts {
    /// All of them.
    pub total: u32,
    /// They wait for others.
    pub waiting: u32,
    /// They are under way.
    pub running: u32,
    /// They succeeded.
    pub succeeded: u32,
    /// They failed, timed out or were lost.
    pub failed: u32,
    /// They were cancelled.
    pub cancelled: u32,
    /// They were skipped.
    pub skipped: u32,
}

/// How a task ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum TaskEnd {
    /// It did what it should.
    Succeeded,
    /// It failed, or could not be started.
    Failed,
    /// Its last attempt outlived `timeout`.
    TimedOut,
    /// Its node died or was cut off.
    Lost,
    /// It was stopped, or the workflow was before its turn came.
    Cancelled,
    /// What it comes after can't hold any more.
    Upstream,
    /// Its `when` was false.
    Condition,
}

impl TaskEnd {
    /// Whether an edge holds that asks for `on`.
    pub fn fits(self, on: On) -> bool {
        match on {
            On::Success => self == TaskEnd::Succeeded,
            On::Failure => self.is_failure(),
            On::Always => true,
        }
    }

    /// Failed, timed out or lost.
    pub fn is_failure(self) -> bool {
        matches!(self, TaskEnd::Failed | TaskEnd::TimedOut | TaskEnd::Lost)
    }

    /// Whether it never began.
    pub fn is_skipped(self) -> bool {
        matches!(self, TaskEnd::Upstream | TaskEnd::Condition)
    }

    /// As the status of a run says it.
    pub fn status(self) -> RunStatus {
        match self {
            TaskEnd::Succeeded => RunStatus::Succeeded,
            TaskEnd::Failed => RunStatus::Failed,
            TaskEnd::TimedOut => RunStatus::TimedOut,
            TaskEnd::Lost => RunStatus::Lost,
            TaskEnd::Cancelled => RunStatus::Cancelled,
            TaskEnd::Upstream | TaskEnd::Condition => RunStatus::Skipped,
        }
    }

    /// How a run with that status has its task end. One that was refused counts as a failure: the
    /// task was to run.
    pub fn of(status: RunStatus) -> TaskEnd {
        match status {
            RunStatus::Succeeded => TaskEnd::Succeeded,
            RunStatus::TimedOut => TaskEnd::TimedOut,
            RunStatus::Lost => TaskEnd::Lost,
            RunStatus::Cancelled => TaskEnd::Cancelled,
            _ => TaskEnd::Failed,
        }
    }
}

/// How many items ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ItemCounts {
    /// All of them.
    pub total: u32,
    /// They are under way.
    pub running: u32,
    /// They succeeded.
    pub succeeded: u32,
    /// They ended otherwise.
    pub failed: u32,
}

/// What a task with `over` may have too many of.
pub fn too_many_items(count: usize) -> Option<String> {
    (count > FLOW_ITEMS_MAX).then(|| {
        format!("gives {count} items; at most {FLOW_ITEMS_MAX} fit, give each a part of the work")
    })
}

#[cfg(test)]
mod tests;
