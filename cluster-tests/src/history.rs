//! Everything the checker reads: what was acknowledged, what the API says, what the jobs
//! witnessed, when the daemon was up.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::moment::Moment;
use crate::register::{Op, State};
use crate::witness::Mark;
use crate::workload::Definition;

/// A lease, the grace that follows it, and a machine that is busy.
const AFTERMATH_MS: i64 = 25_000;

/// A row of the ledger.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// The nominal time; of a range, its first.
    pub nominal_time: Moment,
    /// Of a range: up to, not including.
    #[serde(default)]
    pub until: Option<Moment>,
    /// Of a range: how many.
    #[serde(default)]
    pub count: Option<u64>,
    /// `fired`, `skipped` or `superseded`.
    pub outcome: String,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// The run.
    pub run_id: Option<String>,
    /// When.
    pub decided_at: Moment,
    /// Of the definition.
    pub version: u64,
}

/// An attempt as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Attempt {
    /// Its number.
    pub attempt: u32,
    /// The id of the node it was given to.
    #[serde(deserialize_with = "text_of_id")]
    pub node: String,
    /// Its fencing token.
    pub fence: u64,
    /// When the log gave it to a node.
    pub assigned_at: Moment,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Moment>,
    /// How.
    pub status: String,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<String>,
}

/// An id, which is a number or a text.
pub fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn text_of_id<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let value = Value::deserialize(d)?;
    id(&value).ok_or_else(|| serde::de::Error::custom(format!("{value} is no id")))
}

/// A run as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// The job's name.
    pub job: String,
    /// The job's identity.
    pub job_uid: String,
    /// The definition it was fired with.
    pub version: u64,
    /// Why it exists.
    pub trigger: String,
    /// The run that caused it.
    #[serde(default)]
    pub cause: Option<String>,
    /// Of a task's run: which task of which run it is.
    #[serde(default)]
    pub task: Option<TaskOf>,
    /// The backfill that made it.
    #[serde(default)]
    pub backfill: Option<u64>,
    /// Its nominal time.
    pub nominal_time: Option<Moment>,
    /// When it was decided.
    pub fired_at: Moment,
    /// When it was closed.
    pub finished_at: Option<Moment>,
    /// Where it is.
    pub status: String,
    /// What it waits for, or why it was skipped.
    #[serde(default)]
    pub reason: Option<String>,
    /// Why it was skipped, in one word.
    #[serde(default)]
    pub skip: Option<String>,
    /// Who asked for its end.
    #[serde(default)]
    pub cancelled_by: Option<String>,
    /// Its attempts.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// What a run is in a workflow.
#[derive(Clone, Debug, Deserialize)]
pub struct TaskOf {
    /// The task.
    pub name: String,
    /// Which of its items.
    #[serde(default)]
    pub index: Option<u32>,
}

/// A task that another comes after, and how it must have ended.
#[derive(Clone, Debug, Deserialize)]
pub struct Edge {
    /// The task.
    pub task: String,
    /// `success`, `failure` or `always`.
    pub on: String,
}

/// How many items a task has.
#[derive(Clone, Debug, Deserialize)]
pub struct Items {
    /// All of them.
    pub total: u32,
}

/// A task of a run of a workflow, as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: String,
    /// What it comes after.
    pub after: Vec<Edge>,
    /// `all` or `any`.
    pub join: String,
    /// Its items, if it has any.
    #[serde(default)]
    pub items: Option<Items>,
}

/// A run of a workflow that is over.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The run.
    pub run: Run,
    /// Its tasks.
    pub tasks: Vec<Task>,
    /// Their runs.
    pub runs: Vec<Run>,
}

/// What an attempt of a task wrote of itself.
#[derive(Clone, Debug)]
pub struct TaskMark {
    /// The run of the workflow.
    pub flow: String,
    /// The task.
    pub task: String,
    /// The item.
    pub index: Option<u32>,
    /// The task's run.
    pub run: String,
    /// The attempt.
    pub attempt: u32,
    /// Whether it is the end, and not the start.
    pub end: bool,
    /// When.
    pub at: Moment,
}

/// A record of the audit.
#[derive(Clone, Debug, Deserialize)]
pub struct Audit {
    /// When.
    pub at: Moment,
    /// What, such as `job.update`.
    pub action: String,
    /// To what.
    pub target: String,
}

/// A write that was acknowledged.
#[derive(Clone, Debug)]
pub struct Written {
    /// `create`, `update`, `pause`, `resume`, `delete` or `run`.
    pub verb: &'static str,
    /// When it was first sent.
    pub sent: Moment,
    /// When it was acknowledged.
    pub acked: Moment,
}

/// A definition that was acknowledged.
#[derive(Clone, Debug)]
pub struct Version {
    /// The write that made it.
    pub written: Written,
    /// Its number.
    pub version: u64,
    /// When the log says it took effect.
    pub effective: Moment,
    /// What it says.
    pub definition: Arc<Definition>,
}

/// A run by hand that was acknowledged.
#[derive(Clone, Debug)]
pub struct Triggered {
    /// The write.
    pub written: Written,
    /// The run.
    pub run_id: String,
}

/// One identity of a job, from its creation to its deletion.
#[derive(Clone, Debug)]
pub struct Life {
    /// Its name, which a later life may take over.
    pub name: String,
    /// Its identity.
    pub uid: String,
    /// When it was created, log time.
    pub created: Moment,
    /// Its definitions, oldest first.
    pub versions: Vec<Version>,
    /// Its deletion.
    pub deleted: Option<Written>,
    /// Runs by hand.
    pub triggered: Vec<Triggered>,
    /// The ledger, when it was read last.
    pub ledger: Vec<Row>,
    /// When that was.
    pub read_at: Moment,
}

impl Life {
    /// Of that number.
    pub fn version(&self, number: u64) -> Option<&Version> {
        self.versions.iter().find(|version| version.version == number)
    }

    /// The latest definition.
    pub fn last(&self) -> &Version {
        // A life begins with the answer to a create, so there is always one.
        &self.versions[self.versions.len() - 1]
    }

    /// Every acknowledged write.
    pub fn writes(&self) -> impl Iterator<Item = &Written> {
        let versions = self.versions.iter().map(|version| &version.written);
        let runs = self.triggered.iter().map(|run| &run.written);
        versions.chain(runs).chain(self.deleted.as_ref())
    }
}

/// One process of a node, from its start to its end.
#[derive(Clone, Debug)]
pub struct Boot {
    /// The node, from 0.
    pub node: usize,
    /// Just before the process was started.
    pub spawned: Moment,
    /// When it said that it was ready; none when it was killed before.
    pub ready: Option<Moment>,
    /// Just before it was told to end; none: it was not.
    pub ended: Option<Moment>,
    /// When it was gone.
    pub gone: Option<Moment>,
    /// How it was ended.
    pub how: &'static str,
}

/// Something that was done to the cluster.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// From then.
    pub from: Moment,
    /// Until it was undone.
    pub until: Moment,
    /// What.
    pub what: String,
}

/// What one node says of its own state, read when nothing was going on.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The node, from 0.
    pub node: usize,
    /// Index of the last entry it had applied.
    pub applied: u64,
    /// Parts of the state, as text, by name.
    pub parts: BTreeMap<String, String>,
}

/// What the clients of a register were told.
#[derive(Clone, Debug)]
pub struct Register {
    /// What it held at first.
    pub initial: State,
    /// Operations in order of their questions.
    pub ops: Vec<Op>,
}

/// What `GET /jobs/{name}` says at the end.
#[derive(Clone, Debug)]
pub struct Present {
    /// Identity.
    pub uid: String,
    /// Version.
    pub version: u64,
    /// The whole answer, as text.
    pub text: String,
}

/// A queue, as it was from some time on.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its definition was acknowledged then.
    pub since: Moment,
    /// Starts in a window, and its length in milliseconds.
    pub rates: Vec<(usize, i64)>,
}

/// The whole of it.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Every job that was ever acknowledged, in order of creation.
    pub lives: Vec<Life>,
    /// All runs that the API knows or knew when a life was read.
    pub runs: BTreeMap<String, Run>,
    /// What the attempts said themselves, in order of time.
    pub marks: Vec<Mark>,
    /// Lines that can't be read.
    pub unreadable: Vec<String>,
    /// Processes, in order of time.
    pub boots: Vec<Boot>,
    /// What was done besides ending processes.
    pub disturbances: Vec<Disturbance>,
    /// Whether clocks were tampered with: times of the log tell nothing then.
    pub clocks_moved: bool,
    /// The number of the node that an id stands for; a node that was made anew has another.
    pub members: BTreeMap<String, usize>,
    /// Each node's own account, at one index.
    pub replicas: Vec<Replica>,
    /// The register.
    pub register: Option<Register>,
    /// Audit records.
    pub audit: Vec<Audit>,
    /// What is wrong with the audit chain, as the API says; none: nothing.
    pub audit_broken: Option<String>,
    /// Queues, by name.
    pub queues: BTreeMap<String, Queue>,
    /// Runs of the workflow.
    pub flows: Vec<Flow>,
    /// What their attempts wrote, in order of time.
    pub task_marks: Vec<TaskMark>,
    /// Jobs at the end, by name.
    pub present: BTreeMap<String, Present>,
}

impl History {
    /// The life that a run belongs to.
    pub fn life_of(&self, run: &Run) -> Option<&Life> {
        self.lives.iter().find(|life| life.uid == run.job_uid)
    }

    /// The definition that a run was fired with.
    pub fn definition_of(&self, run: &Run) -> Option<&Definition> {
        self.life_of(run)?.version(run.version).map(|version| &*version.definition)
    }

    /// The runs of a life.
    pub fn runs_of<'a>(&'a self, life: &'a Life) -> impl Iterator<Item = &'a Run> {
        self.runs.values().filter(|run| run.job_uid == life.uid)
    }

    /// The live life of a name at the end.
    pub fn living(&self, name: &str) -> Option<&Life> {
        self.lives.iter().find(|life| life.name == name && life.deleted.is_none())
    }

    /// Whether a process was on its way out at some time between the two instants.
    pub fn ended_within(&self, from: Moment, until: Moment) -> bool {
        self.boots.iter().any(|boot| {
            let gone = boot.gone.is_none_or(|gone| from <= gone);
            boot.ended.is_some_and(|end| end <= until) && gone
        })
    }

    /// Whether, at some time between the two instants, a node may not have been what the
    /// others took it for: something was done to the cluster, or had been until shortly
    /// before.
    pub fn disturbed_within(&self, from: Moment, until: Moment) -> bool {
        self.ended_within(from.plus_ms(-AFTERMATH_MS * self.is_cluster()), until)
            || self.disturbances.iter().any(|disturbance| {
                disturbance.from <= until && from <= disturbance.until.plus_ms(AFTERMATH_MS)
            })
    }

    /// Whether a node may still do, at that time, what the others have already undone.
    pub fn unsettled(&self, at: Moment) -> bool {
        let near = |one: &Disturbance| one.from <= at && at <= one.until.plus_ms(AFTERMATH_MS);
        self.is_cluster() == 1 && self.disturbances.iter().any(near)
    }

    /// 1 if there is more than one node. A single one is back as soon as it says so.
    fn is_cluster(&self) -> i64 {
        i64::from(self.boots.iter().any(|boot| boot.node > 0))
    }
}
