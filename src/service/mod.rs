//! Use cases and permissions: what callers can ask of a node, free of HTTP.
//!
//! Owns: who may do what ([`Caller`], [`Action`]), the views that answers show, lists and
//! their cursors, the way of a write through the log, every explanation. Does not own:
//! decisions (`machine`), durable bytes, statuses and headers (`api`).
//!
//! ```text
//! write:  Caller::permit ─> checks ─> submit: prepare ─> consensus ─> answer ─> view
//!                                       ^─── Stale: again, 5 times ───┘
//! read:   Caller::permit ─> State (open runs, definitions) + history (closed runs, rows)
//! ```
//!
//! Invariants:
//! - Every method takes the caller and asks for a permit before it answers. What is out of
//!   a caller's scope is not found when read and forbidden when written; lists leave it out.
//! - A list costs no more than a bounded number of rows per page.
//! - An error says whether a write may have been carried out ([`Error::Unavailable`]).
//! - A secret in a definition is shown to those who may change it, and to nobody else.
//!
//! To add a use case: a method in the file of its noun, its view in `views.rs` or beside
//! it, a permission in `caller.rs` if none fits, its test in `tests/`, then `api`.

pub mod access;
mod apply;
mod backfills;
mod backup;
mod caller;
mod channels;
mod check;
mod cluster;
mod definitions;

mod error;
mod events;
mod explain;
mod explain_text;
mod feed;
mod graph;
mod incident_views;
mod incidents;
mod jobs;
mod ledger;
mod listing;
mod load;
mod lookup;
mod metrics;
mod monitors;
mod nearest;

mod output;
mod overview;
mod paging;
mod past;
mod past_runs;
mod preview;
mod push;
mod readonly;
mod ready;
mod run_list;
mod runs;
mod search;
mod secrets;
mod sinks;
mod statistics;
mod strips;
mod submit;

mod system;
mod trigger_status;
mod triggers;
mod versions;
mod views;
mod waiting;
mod workflows;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::adapters::PushPlaces;
use crate::clock::Clock;
use crate::consensus;
use crate::executor::runner::RunnerEnv;
use crate::machine::prepare::timing::Compiled;
use crate::metrics::Metrics;
use crate::model::Timestamp;
use crate::model::limits::{CHANNEL_TESTS, PINGS, PINGS_UNKNOWN};
use crate::model::placement::Labels;
use crate::vault::Vault;

pub use crate::consensus::{Ground, TooOld};
pub use crate::machine::command::TriggerEdit;
pub use crate::machine::command::{BackfillEdit, Ping, RequestKey};
pub use crate::machine::prepare::PutMode;
pub use crate::machine::state::LastRun;
pub use apply::{ApplyAction, ApplyItem, Definition};
pub use backfills::{
    BackfillAlready, BackfillCell, BackfillFilter, BackfillPatch, BackfillPlan, BackfillView,
    NewBackfill,
};
pub use backup::BackupStream;
pub use caller::{Action, Caller, Permit, Target};
pub use channels::ChannelTest;
pub use cluster::{NodeList, NodeView};
pub use definitions::{DefinitionVersion, DefinitionView, manages};
pub use error::Error;
pub use events::{EventBatch, EventFilter, EventPlace, EventsError};
pub use explain::{Explanation, Verdict};
pub use graph::{Edge, EdgeKind, Graph, GraphJob};
pub use incident_views::{IncidentState, IncidentView, NoticeState, NoticeView};
pub use incidents::NoticeFilter;
pub use listing::{JobFilter, JobSort, JobSortKey};
pub use load::{Buckets, ComingFire, Load, LoadBucket};
pub use monitors::{NewPingPath, PingView};
pub use output::{LogLine, LogPage, LogPiece, LogPosition, RunLog};
pub use overview::{Coming, Failing, Open, Overview};
pub use paging::{Page, Paging};
pub use past::Which;
pub use past_runs::{Activity, ActivityBucket, Bar, BarPart, Timeline};
pub use preview::{NextFire, Preview};
pub use push::{
    NewPushSubscription, PushKeyView, PushKeys, PushSubscriptionList, PushSubscriptionView,
};
pub use ready::{Check, CheckName};
pub use run_list::RunFilter;
pub use search::{LogHit, LogHits, Wanted};
pub use secrets::{NewSecret, Rotated, SecretView};
pub use sinks::{SinkEdit, SinkStatus};
pub use statistics::{Figures, JobStatistics};
pub use strips::{Cell, Strip};
pub use system::{LeaderView, NodeRole, StorageView, SystemStatus, TotalsView};
pub use trigger_status::TriggerStatus;
pub use versions::VersionView;
pub use views::{HeartbeatView, JobLive, JobView, SECRET};
pub use workflows::{FromFailed, RetryFrom, TaskView};

/// What a service is made from.
pub struct Deps {
    /// This node's consensus.
    pub consensus: consensus::Handle,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// For the syntax check of Python source.
    pub runners: Arc<RunnerEnv>,
    /// What secrets are sealed with; none: this node keeps none.
    pub vault: Option<Arc<Vault>>,
    /// What the node knows of itself.
    pub local: NodeLocal,
    /// What this node counts.
    pub metrics: Arc<Metrics>,
}

/// What a node knows of itself without the log.
#[derive(Clone, Debug)]
pub struct NodeLocal {
    /// Of the program.
    pub version: String,
    /// Start of the process.
    pub started_at: Timestamp,
    /// For placement.
    pub labels: Labels,
    /// Attempts at a time.
    pub slots: u32,
    /// Which push services are asked.
    pub push_places: PushPlaces,
}

/// The use cases of a node. Cheap to clone.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    deps: Deps,
    /// Schedules of the definitions in force.
    compiled: Compiled,
    access: access::Access,
    /// Turns at the syntax check: each starts an interpreter.
    interpreters: Semaphore,
    /// Turns at holding a definition that nobody saves against its schema.
    checks: Semaphore,
    /// How often a channel may be tested.
    channel_tests: access::Throttle,
    /// Turns at it.
    channel_turns: Semaphore,
    /// How often a monitor may be pinged.
    pings: access::Throttle,
    /// How often an address may ping what is not there.
    pings_unknown: access::Throttle,
}

/// Syntax checks at a time.
const INTERPRETERS_MAX: usize = 4;
/// Previews that are checked at a time.
const CHECKS_MAX: usize = 2;

/// Where an answer stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Index of the entry that did it; of a dry run, of the state it was judged on.
    pub index: u64,
    /// The same request was carried out before; this is its answer again.
    pub replayed: bool,
}

/// The answer to a write.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// What was written.
    pub value: T,
    /// It did not exist before.
    pub created: bool,
    /// It is not what it was before.
    pub changed: bool,
    /// What the caller had better know, for a person.
    pub warnings: Vec<String>,
    /// Where it stands in the log.
    pub meta: Meta,
}

/// How a write is meant.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// `If-Match`: the version that must be in force.
    pub expected: Option<u64>,
    /// `Idempotency-Key`.
    pub request: Option<RequestKey>,
    /// Answer as if, and change nothing.
    pub dry_run: bool,
}

impl Service {
    /// The use cases on top of `deps`. Needs a tokio runtime: the audit has a writer.
    pub fn new(deps: Deps) -> Service {
        let access = access::Access::start(deps.consensus.clone(), Arc::clone(&deps.clock));
        let interpreters = Semaphore::new(INTERPRETERS_MAX);
        let checks = Semaphore::new(CHECKS_MAX);
        let compiled = Compiled::default();
        let channel_tests = access::Throttle::new(CHANNEL_TESTS);
        let channel_turns = Semaphore::new(channels::TESTS_MAX);
        Service(Arc::new(Inner {
            deps,
            compiled,
            access,
            interpreters,
            checks,
            channel_tests,
            channel_turns,
            pings: access::Throttle::new(PINGS),
            pings_unknown: access::Throttle::new(PINGS_UNKNOWN),
        }))
    }

    /// Index of the last entry applied here: what a read shows.
    pub fn index(&self) -> u64 {
        *self.0.deps.consensus.applied().borrow()
    }

    /// What this node counts.
    pub fn counted(&self) -> &Metrics {
        &self.0.deps.metrics
    }

    fn consensus(&self) -> &consensus::Handle {
        &self.0.deps.consensus
    }

    fn now(&self) -> Timestamp {
        self.0.deps.clock.now()
    }
}
