//! The replicated state: what decisions are made from.
//!
//! Owns: definitions with what is live about them, open runs, nodes, queues, people, and the
//! ordered indexes that `plan` walks. Does not own: closed runs, ledger rows, audit and
//! output, which are history; nor how anything changes, which is `apply`.
//!
//! All maps are persistent (`imbl`): a clone shares everything, so readers, `plan` and
//! checkpoints work on a snapshot of their own while `apply` goes on. Only `apply` writes.
//!
//! To add a field: give it `#[serde(default)]`, so that older checkpoints still read; an
//! index also needs its rule in `invariants.rs`.

#![deny(clippy::disallowed_types)]

mod access;
mod alerts;
mod backfill;
mod beats;
mod definitions;
mod duty;
mod events;
mod failures;
mod flow;
mod grave;
mod job;
mod line;
mod monitors;
mod node;
mod proof;
mod push;
mod queue;
mod run;
mod secrets;
mod sessions;
mod windows;

pub use access::{Access, Idempotency, Remembered};
pub use alerts::{Alerts, FORMAT_OF_ALERTS, Incident, IncidentKey, Outbox, WatchKey, Watched};
pub use backfill::{Backfill, Backfills};
pub use beats::{Beat, Beats, FORMAT_OF_BEATS};
pub use definitions::{Defined, Definitions};
pub use duty::{Duties, Duty, FORMAT_OF_DUTIES, Refused};
pub use events::{EventRows, FORMAT_OF_EVENT_ROWS};
pub use failures::{Failures, failures_of_address, failures_of_user};
pub use flow::{
    FORMAT_OF_WORKFLOWS, Flow, Items, Kept, NamedTask, Stop, TaskNumbers, TaskState, counts,
};
pub use grave::{Grave, Graves};
pub use job::{Job, LastRun, Live, Took};
pub use line::{LANE_MAX, Line, START, Spot};
pub use monitors::{Begun, Monitor, Monitors};
pub use node::{Node, Offers};
pub use proof::{Digester, Proof};
pub use push::{PushSubject, Pushes};
pub use queue::{Blocked, Governed, Queue, lane, lane_held};
pub use run::{Ahead, OpenRun, Wait};
pub use secrets::Secrets;
pub use sessions::{Refreshed, Sessions, Use};
pub use windows::{Window, Windows};

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use crate::model::flow::{LANE_SHARES, LaneShares};
use crate::model::kind::settings::SCHEDULING;
use crate::model::{JobNo, JobSpec, Kind, Name, NodeId, RunId, RunStatus, Spec, Timestamp};

/// Counters that identities and order come from. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Jobs ever created.
    pub job_no: JobNo,
    /// Runs ever created.
    pub run: u64,
    /// Attempts ever given to a node: the last fencing token.
    pub fence: u64,
    /// Runs ever closed: the place in the feed.
    pub closed: u64,
    /// Successes ever: what gates and joins compare.
    pub success: u64,
    /// Audit records ever.
    pub audit: u64,
    /// Definitions ever made, of every kind but jobs.
    #[serde(default, skip_serializing_if = "none_yet")]
    pub definition: u64,
}

/// Totals since the cluster began, for status and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Nominal times that got a run.
    pub fired: u64,
    /// Nominal times skipped one by one.
    pub skipped: u64,
    /// Ranges of nominal times settled without a run.
    pub ranges: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed or timed out.
    pub failed: u64,
    /// Runs that were cancelled.
    pub cancelled: u64,
    /// Runs that were lost.
    pub lost: u64,
}

/// The whole of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Log time: never runs backwards.
    pub last_at: Timestamp,
    /// See [`Counters`].
    pub counters: Counters,
    /// See [`Totals`].
    pub totals: Totals,
    /// Hash of the last audit record.
    pub audit_hash: [u8; 32],
    /// Definitions with what is live about them.
    pub jobs: OrdMap<JobNo, Arc<Job>>,
    /// Their names.
    pub names: OrdMap<Name, JobNo>,
    /// When the next fire of each job is due.
    pub due: OrdSet<(Timestamp, JobNo)>,
    /// Which jobs name a job, whether it exists or not: in a chain (false) or as a
    /// dependency (true).
    pub references: OrdSet<(Name, bool, JobNo)>,
    /// Runs that are not closed.
    pub runs: OrdMap<RunId, Arc<OpenRun>>,
    /// The open runs of each job.
    pub open: OrdSet<(JobNo, RunId)>,
    /// Queued runs in the order in which they start: by lane and priority ([`State::ready_key`]),
    /// then order of creation. Those whose queue is defined wait there instead.
    pub ready: OrdSet<(i32, u64, RunId)>,
    /// When a waiting run has to be looked at again.
    pub timers: OrdSet<(Timestamp, RunId)>,
    /// Runs that wait at their gate, by each dependency they were fired to wait for.
    #[serde(default)]
    pub gated: OrdSet<(Name, RunId)>,
    /// The open attempts of each node.
    pub placed: OrdSet<(NodeId, RunId)>,
    /// Nodes that have been up.
    pub nodes: OrdMap<NodeId, Arc<Node>>,
    /// Queues with limits or with runs in them.
    pub queues: OrdMap<Name, Queue>,
    /// Deleted jobs whose history is still to go, and is shown to nobody any more.
    #[serde(default)]
    pub deleted: OrdSet<JobNo>,
    /// Deleted jobs whose history can still be read.
    #[serde(default, skip_serializing_if = "Graves::is_empty")]
    pub graves: Graves,
    /// Users, tokens, keys.
    pub access: Access,
    /// Requests that were answered.
    pub idempotency: Idempotency,
    /// Secrets, sealed.
    #[serde(default, skip_serializing_if = "Secrets::is_empty")]
    pub secrets: Secrets,
    /// Definitions of every kind but jobs.
    #[serde(default, skip_serializing_if = "Definitions::is_empty")]
    pub definitions: Definitions,
    /// Runs of workflows that are under way.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    pub flows: OrdMap<RunId, Arc<Flow>>,
    /// The numbers that runs of tasks stand under.
    #[serde(default, skip_serializing_if = "TaskNumbers::is_empty")]
    pub task_numbers: TaskNumbers,
    /// See [`State::format`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub format: u32,
    /// Work that one node does for the cluster.
    #[serde(default, skip_serializing_if = "Duties::is_empty")]
    pub duties: Duties,
    /// Events that are kept.
    #[serde(default, skip_serializing_if = "EventRows::is_none")]
    pub events: EventRows,
    /// Troubles that are told.
    #[serde(default, skip_serializing_if = "Alerts::is_none")]
    pub alerts: Alerts,
    /// Notices that wait to be sent.
    #[serde(default, skip_serializing_if = "Outbox::is_none")]
    pub outbox: Outbox,
    /// What is looked at once its time has come: it has not happened by then, or it has.
    #[serde(default, skip_serializing_if = "OrdSet::is_empty")]
    pub watch: OrdSet<(Timestamp, WatchKey)>,
    /// Work that others run and that is listened for.
    #[serde(default, skip_serializing_if = "Monitors::is_empty")]
    pub monitors: Monitors,
    /// Times within which notices are held back.
    #[serde(default, skip_serializing_if = "Windows::is_empty")]
    pub windows: Windows,
    /// Heartbeats of jobs to monitors elsewhere.
    #[serde(default, skip_serializing_if = "Beats::is_none")]
    pub beats: Beats,
    /// Browsers that are told of troubles.
    #[serde(default, skip_serializing_if = "Pushes::is_none")]
    pub pushes: Pushes,
    /// Past times that are run on purpose.
    #[serde(default, skip_serializing_if = "Backfills::is_none")]
    pub backfills: Backfills,
    /// What replicas compare, from the format on that has it.
    #[serde(default, skip_serializing_if = "Proof::is_none")]
    pub proof: Proof,
}

/// The newest format that this program reads and writes: commands, states and rows.
///
/// | format | has |
/// |---|---|
/// | 1 | what there was before formats were counted |
/// | 2 | restored clusters (skipped: restored), secrets |
/// | 3 | accounts of login providers, signing keys with an age, failed logins that are counted |
/// | 4 | what new credentials and resealed secrets were made from; output before its run |
/// | 5 and later | what `machine/needs.rs`, `model/job/needs.rs` and each `since N` say they have |
pub const FORMAT: u32 = 8;
/// What accounts of login providers, ages of signing keys and counted logins need.
pub const FORMAT_OF_ACCESS: u32 = 3;
/// What commands need that are refused when what they were made from has changed, and output
/// that goes before its run.
pub const FORMAT_OF_GUARDS: u32 = 4;
/// What replicas need to prove each other by digests.
pub const FORMAT_OF_PROOFS: u32 = 5;
/// What deleted jobs need whose past stays readable, and versions that are dated by the instant
/// that their schedule begins at.
pub const FORMAT_OF_PAST: u32 = 5;

/// What templates in processes need, secrets among parameters, defaults of schemas that are filled
/// in, and chains that put values into texts.
pub const FORMAT_OF_TEMPLATES: u32 = 5;
/// What definitions of every kind but jobs need: versions, and commands that they share.
pub const FORMAT_OF_KINDS: u32 = 5;
/// What rules of queues need: rates, shares, lanes, and runs that wait in their queue.
pub const FORMAT_OF_QUEUES: u32 = 5;
/// What refresh tokens need that are good once.
pub const FORMAT_OF_SESSIONS: u32 = 5;

fn none_yet(count: &u64) -> bool {
    *count == 0
}

fn is_zero(format: &u32) -> bool {
    *format == 0
}

impl State {
    /// The format that all members are known to understand: what needs a newer one is refused.
    pub fn format(&self) -> u32 {
        self.format.max(1)
    }

    /// The job of that name.
    pub fn job(&self, name: &str) -> Option<&Arc<Job>> {
        self.jobs.get(self.names.get(name)?)
    }

    /// The place of a run in the order of those that may start.
    pub fn ready_key(&self, open: &OpenRun) -> (i32, u64, RunId) {
        /// Further apart than the highest and the lowest priority.
        const LANE: i32 = 1_000;
        let lane = if self.format() >= FORMAT_OF_QUEUES { i32::from(lane(open)) } else { 0 };
        let first = lane * LANE - open.spec.priority.unwrap_or(0);
        (first, open.seq, open.run.id)
    }

    /// The queue of a definition, when it is defined itself.
    pub fn governed(&self, spec: &JobSpec) -> Option<&Arc<Governed>> {
        // The queue of a workflow is that of its tasks.
        if spec.is_workflow() {
            return None;
        }
        self.queues.get(spec.queue.as_ref()?)?.governed.as_ref()
    }

    /// Which share of slots each lane may take.
    pub fn lane_shares(&self) -> LaneShares {
        match self.definitions.get(Kind::Settings, SCHEDULING).map(|settings| &settings.spec) {
            Some(Spec::Settings(settings)) => settings.lanes.unwrap_or(LANE_SHARES),
            _ => LANE_SHARES,
        }
    }

    /// Whether runs wait in the queue of a definition.
    pub fn queue_waits(&self, spec: &JobSpec) -> bool {
        self.governed(spec).is_some_and(|governed| !governed.line.is_empty())
    }

    /// The tags of a job that is there, or was: its history is seen by whoever saw it. Those of a
    /// monitor, too.
    pub fn tags(&self, no: JobNo) -> &[String] {
        let no = self.task_numbers.owner(no);
        match (self.jobs.get(&no), self.graves.by_no.get(&no)) {
            (Some(job), _) => &job.spec.tags,
            (None, Some(grave)) => &grave.tags,
            (None, None) => self.monitors.all.get(&no).map_or(&[], |monitor| &monitor.tags),
        }
    }

    /// The open runs of a job, by id.
    pub fn open_of(&self, no: JobNo) -> impl Iterator<Item = &Arc<OpenRun>> {
        let least = (no, RunId(uuid::Uuid::nil()));
        let most = (no, RunId(uuid::Uuid::max()));
        self.open.range(least..=most).filter_map(|(_, id)| self.runs.get(id))
    }

    /// The run of a job whose start is planned ahead, and when it begins. Until then edits of
    /// the job are refused: the start has to be withdrawn first (`Op::Withdraw`), or to come.
    pub fn ahead(&self, no: JobNo) -> Option<(RunId, Timestamp)> {
        let live = &self.jobs.get(&no)?.live;
        let planned = live.ahead.and_then(|run| {
            let ahead = self.runs.get(&run)?.ahead?;
            Some((run, ahead.start_at))
        });
        planned.or(live.lost_ahead)
    }

    /// The open attempts of a node.
    pub fn placed_on(&self, node: NodeId) -> impl Iterator<Item = &Arc<OpenRun>> {
        let least = (node, RunId(uuid::Uuid::nil()));
        let most = (node, RunId(uuid::Uuid::max()));
        self.placed.range(least..=most).filter_map(|(_, id)| self.runs.get(id))
    }

    /// The numbers of the jobs that name `name` as a dependency or in a chain.
    pub fn naming(&self, name: &Name) -> impl Iterator<Item = JobNo> {
        let least = (name.clone(), false, 0);
        let most = (name.clone(), true, JobNo::MAX);
        self.references.range(least..=most).map(|(_, _, no)| *no)
    }

    /// Those of [`State::naming`] that name it as a dependency, or those that chain to it.
    pub fn naming_as(&self, name: &Name, dependency: bool) -> impl Iterator<Item = JobNo> {
        let least = (name.clone(), dependency, 0);
        let most = (name.clone(), dependency, JobNo::MAX);
        self.references.range(least..=most).map(|(_, _, no)| *no)
    }

    /// Open runs of a job that hold one of its `max_concurrent` places: not those that wait
    /// behind others, nor those of backfills.
    pub fn occupying(&self, no: JobNo) -> u32 {
        self.jobs.get(&no).map_or(0, |job| job.live.present().saturating_sub(job.live.behind))
    }

    /// Open runs by status.
    pub fn open_by_status(&self) -> std::collections::BTreeMap<RunStatus, u64> {
        let mut counts = std::collections::BTreeMap::new();
        for run in self.runs.values() {
            *counts.entry(run.run.status).or_insert(0) += 1;
        }
        counts
    }
}
