//! Runs and their attempts, as the API shows them and as history keeps them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::backfill::BackfillId;
use super::ids::{BootId, Fence, JobUid, NodeId, RunId};
use super::ledger::SkipReason;
use super::name::Name;
use super::parameters::Parameters;
use super::time::Timestamp;
use super::trace::TraceParent;
use super::workflow::{TaskCounts, TaskOf};

/// Where a run is on its way. Terminal states never change.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// For dependencies, an earlier run, or the delay of a retry.
    Waiting,
    /// Ready; for a slot on a node.
    Queued,
    /// To a node, which has not reported the start.
    Assigned,
    /// A process or a call is under way.
    Running,
    /// Its last attempt did what it should.
    Succeeded,
    /// Its last attempt failed.
    Failed,
    /// Its last attempt outlived `timeout`.
    TimedOut,
    /// Someone, or the overlap policy, stopped it.
    Cancelled,
    /// Its node died or was cut off; whether the work was done is not known.
    Lost,
    /// It never started: see `reason`.
    Skipped,
}

impl RunStatus {
    /// Whether the run is closed.
    pub fn is_terminal(self) -> bool {
        use RunStatus::{Assigned, Queued, Running, Waiting};
        !matches!(self, Waiting | Queued | Assigned | Running)
    }

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Waiting => "waiting",
            RunStatus::Queued => "queued",
            RunStatus::Assigned => "assigned",
            RunStatus::Running => "running",
            RunStatus::Succeeded => "succeeded",
            RunStatus::Failed => "failed",
            RunStatus::TimedOut => "timed_out",
            RunStatus::Cancelled => "cancelled",
            RunStatus::Lost => "lost",
            RunStatus::Skipped => "skipped",
        }
    }
}

/// Why a run exists.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A nominal time of its schedule.
    Schedule,
    /// A person or a program asked for it.
    Manual,
    /// All its dependencies have newly succeeded.
    Dependency,
    /// The `on_success` of another job.
    OnSuccess,
    /// The `on_failure` of another job.
    OnFailure,
    /// The `on_finish` of another job.
    OnFinish,
    /// A task of a workflow.
    Workflow,
    /// A past time, run on purpose.
    Backfill,
}

impl Trigger {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Schedule => "schedule",
            Trigger::Manual => "manual",
            Trigger::Dependency => "dependency",
            Trigger::OnSuccess => "on_success",
            Trigger::OnFailure => "on_failure",
            Trigger::OnFinish => "on_finish",
            Trigger::Workflow => "workflow",
            Trigger::Backfill => "backfill",
        }
    }
}

/// What an attempt used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Usage {
    /// Processor time, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// Peak resident memory, in bytes.
    pub peak_memory_bytes: u64,
}

/// One start of a run's process or call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attempt {
    /// 1 is the first.
    pub attempt: u32,
    /// The node it was given to.
    pub node: NodeId,
    /// That node's boot.
    #[schema(value_type = String, format = Uuid)]
    pub boot: BootId,
    /// Fencing token: larger than that of every earlier attempt in the cluster.
    pub fence: Fence,
    /// When the log gave it to the node.
    pub assigned_at: Timestamp,
    /// When the node started it; none: it is not known to have started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub started_at: Option<Timestamp>,
    /// When it ended; none: it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub finished_at: Option<Timestamp>,
    /// How it ended, or where it is.
    pub status: RunStatus,
    /// The process's exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub exit_code: Option<i32>,
    /// The signal that ended the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub signal: Option<i32>,
    /// The answer's HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub http_status: Option<u16>,
    /// What went wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// What it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub usage: Option<Usage>,
}

/// One intended execution of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Run {
    /// Identity.
    pub id: RunId,
    /// The job's name.
    #[schema(value_type = Name)]
    pub job: Name,
    /// The job's identity.
    pub job_uid: JobUid,
    /// The version of the definition it was fired with.
    pub version: u64,
    /// Why it exists.
    pub trigger: Trigger,
    /// The run whose end caused this one, or that this one repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cause: Option<RunId>,
    /// Who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub requested_by: Option<String>,
    /// The nominal time, for a scheduled run and for one of a backfill.
    #[schema(required)]
    pub nominal_time: Option<Timestamp>,
    /// When the log decided it; of a start that was decided ahead, when it was due.
    pub fired_at: Timestamp,
    /// When its last attempt started.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// When it was closed.
    #[schema(required)]
    pub finished_at: Option<Timestamp>,
    /// Where it is.
    pub status: RunStatus,
    /// What it waits for, or why it was skipped or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// The reason in one word, for a skipped run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub skip: Option<SkipReason>,
    /// The node of its last attempt.
    #[schema(required)]
    pub node: Option<NodeId>,
    /// The number of its last attempt; 0: none yet.
    pub attempt: u32,
    /// Exit code of its last attempt.
    #[schema(required)]
    pub exit_code: Option<i32>,
    /// HTTP status of its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub http_status: Option<u16>,
    /// What went wrong, in a sentence.
    #[schema(required)]
    pub error: Option<String>,
    /// What the job gave back.
    #[schema(required)]
    pub result: Option<Value>,
    /// What the job was given.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
    /// Captured output of all attempts, in bytes.
    pub log_bytes: u64,
    /// How many ends of other runs lie between this one and the first cause.
    #[serde(default, skip_serializing_if = "zero")]
    pub depth: u8,
    /// The trace that its first cause belongs to, as a W3C `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub traceparent: Option<TraceParent>,
    /// The backfill that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub backfill: Option<BackfillId>,
    /// Who asked for its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cancelled_by: Option<String>,
    /// Its attempts, oldest first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// Of a run that a workflow started: which task of which run it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub task: Option<Box<TaskOf>>,
    /// Of a workflow's run: how many of its tasks are where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tasks: Option<TaskCounts>,
}

impl Run {
    /// One of that job as it begins: queued, for no other reason than `trigger`, with nothing
    /// given.
    pub fn queued(
        id: RunId,
        (job, job_uid): (Name, JobUid),
        trigger: Trigger,
        fired_at: Timestamp,
    ) -> Run {
        Run {
            id,
            job,
            job_uid,
            version: 0,
            trigger,
            cause: None,
            requested_by: None,
            nominal_time: None,
            fired_at,
            started_at: None,
            finished_at: None,
            status: RunStatus::Queued,
            reason: None,
            skip: None,
            node: None,
            attempt: 0,
            exit_code: None,
            http_status: None,
            error: None,
            result: None,
            parameters: Parameters::default(),
            log_bytes: 0,
            depth: 0,
            traceparent: None,
            backfill: None,
            cancelled_by: None,
            attempts: Vec::new(),
            task: None,
            tasks: None,
        }
    }
}

fn zero(depth: &u8) -> bool {
    *depth == 0
}
