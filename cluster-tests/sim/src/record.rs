//! All that is known of a world from outside its nodes: the trace, what attempts did, what
//! clients were told, what the nodes showed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cronapi::consensus::Leadership;
use cronapi::machine::state::NamedTask;
use cronapi::machine::{Event, Rejection, Reply, State};
use cronapi::model::{BootId, Fence, JobNo, LedgerRow, NodeId, Run, RunId, Timestamp};

use crate::clock;

/// An attempt as the world outside saw it.
#[derive(Clone, Debug)]
pub struct Witnessed {
    /// The run.
    pub run: RunId,
    /// Which attempt of it.
    pub attempt: u32,
    /// Its fence.
    pub fence: Fence,
    /// The job's name.
    pub job: String,
    /// What the run was started by.
    pub trigger: String,
    /// The nominal time that it was told.
    pub nominal: Option<Timestamp>,
    /// The node.
    pub node: NodeId,
    /// Its boot.
    pub boot: BootId,
    /// When it began.
    pub began: Duration,
    /// Whether the node's applied state gave it to this boot at that moment.
    pub assigned: bool,
    /// The last entry that the node had applied.
    pub applied: u64,
    /// By how much the clock that was furthest ahead had been so, at that moment or before.
    pub ahead_micros: i64,
    /// When it ended, and how.
    pub ended: Option<(Duration, &'static str)>,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A definition that carries this mark.
    Put {
        /// The mark, in its description.
        mark: String,
        /// The version that it is meant to replace.
        expected: Option<u64>,
    },
    /// To pause or to resume.
    Enable(bool),
    /// To delete.
    Delete,
    /// A run.
    Trigger,
    /// That a run stops.
    Cancel(RunId),
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Nothing yet: when its node dies it stays so.
    Nothing,
    /// It was done, in the entry of this index.
    Done(u64, Reply),
    /// It was done before this index, by a copy of which the answer was lost.
    DoneBefore(u64, Reply),
    /// It was not done: the machine would not have it.
    Rejected(Rejection),
    /// It was not done: there was nobody to do it.
    Failed(String),
    /// It may have been done.
    Unknown,
}

impl Told {
    /// Whether it surely was not done.
    pub fn not_done(&self) -> bool {
        matches!(self, Told::Rejected(_) | Told::Failed(_))
    }
}

/// The definition that a job has: its number, which is new when it is made anew, and its
/// version. Deleted: the number and [`GONE`].
pub type Position = (JobNo, u64);

/// The version of what was deleted.
pub const GONE: u64 = u64::MAX;

/// A read that waited for the barrier, and what it showed.
#[derive(Clone, Debug)]
pub struct Read {
    /// Who read.
    pub who: String,
    /// When it was asked for.
    pub asked: Duration,
    /// When it was answered.
    pub answered: Duration,
    /// The entry up to which it was answered.
    pub index: u64,
    /// Jobs by name.
    pub jobs: BTreeMap<String, Position>,
}

/// A write, and what became of it.
#[derive(Clone, Debug)]
pub struct Write {
    /// What was asked for.
    pub wish: Wish,
    /// Of which job.
    pub job: String,
    /// When it was asked for.
    pub asked: Duration,
    /// When it was answered.
    pub answered: Duration,
    /// The answer.
    pub told: Told,
}

/// What one node showed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Digest of the state at an index, and which node showed it first.
    pub digest: u64,
    /// That node's name.
    pub by: String,
}

/// The last that a node showed.
#[derive(Clone)]
pub struct Latest {
    /// The index.
    pub index: u64,
    /// The state there.
    pub state: Arc<State>,
    /// Whom it takes for the leader.
    pub leadership: Leadership,
}

/// The whole history of a node, read at the end.
#[derive(Clone, Debug)]
pub struct Final {
    /// The node's name.
    pub node: String,
    /// The index of the last applied entry.
    pub index: u64,
    /// The state.
    pub state: Arc<State>,
    /// Closed runs.
    pub runs: Vec<Run>,
    /// The tasks of closed runs of workflows, as they ended.
    pub flows: BTreeMap<RunId, Vec<NamedTask>>,
    /// Ledger rows without a run.
    pub ledger: BTreeMap<JobNo, Vec<LedgerRow>>,
    /// Definitions by number and version: when each took effect, and its mark.
    pub versions: BTreeMap<(JobNo, u64), (Timestamp, Arc<cronapi::model::JobSpec>)>,
    /// Events that are kept, each with its number.
    pub kept: Vec<(u64, Event)>,
    /// Digest of all rows of the history.
    pub rows: u64,
}

/// Everything that is recorded.
#[derive(Default)]
pub struct Inner {
    /// One line for each thing that happened.
    pub trace: Vec<String>,
    /// Attempts, in the order in which they began.
    pub witnessed: Vec<Witnessed>,
    /// Writes, in the order in which they were begun.
    pub writes: Vec<Write>,
    /// Reads, in the order in which they were answered.
    pub reads: Vec<Read>,
    /// What clients tell each other: the last version of a job that one was told of.
    pub board: BTreeMap<String, Position>,
    /// By how much the clock that was furthest ahead has been so.
    pub ahead_micros: i64,
    /// By index.
    pub seen: BTreeMap<u64, Seen>,
    /// What the log told, by position.
    pub events: BTreeMap<(u64, u32), Event>,
    /// What checks found while the world ran.
    pub found: Vec<String>,
    /// What the nodes hold at the end.
    pub finals: Vec<Final>,
    /// What each node showed last, by its name.
    pub latest: BTreeMap<String, Latest>,
    /// How often a state was looked at.
    pub samples: u64,
    /// The furthest log time that any node showed.
    pub last_at: Timestamp,
    /// Whether all jobs are paused and no run is open.
    pub closed: bool,
}

/// Shared by all nodes of a world.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Inner>>);

impl Record {
    /// Looks or writes at once.
    pub fn locked(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the trace.
    pub fn trace(&self, who: &str, what: &str) {
        let at = clock::elapsed().as_micros();
        let line = format!("{:>4}.{:06} {who:<8} {what}", at / 1_000_000, at % 1_000_000);
        self.locked().trace.push(line);
    }

    /// Notes that a rule was broken.
    pub fn found(&self, who: &str, what: &str) {
        self.trace(who, &format!("BROKEN {what}"));
        let at = clock::elapsed();
        self.locked().found.push(format!("{what} (at {at:.3?}, on {who})"));
    }

    /// Notes that a client asks for something; gives the place of the note.
    pub fn ask(&self, who: &str, job: &str, wish: Wish) -> usize {
        self.trace(who, &format!("asks {job}: {wish:?}"));
        let now = clock::elapsed();
        let job = job.to_owned();
        let write = Write { wish, job, asked: now, answered: now, told: Told::Nothing };
        let mut inner = self.locked();
        inner.writes.push(write);
        inner.writes.len() - 1
    }

    /// Notes what it was told.
    pub fn tell(&self, who: &str, place: usize, told: Told) {
        self.trace(who, &format!("is told of #{place}: {told:?}"));
        let mut inner = self.locked();
        let inner = &mut *inner;
        let write = &mut inner.writes[place];
        if let Told::Done(_, Reply::Job { no, version, .. }) = told {
            let known = inner.board.entry(write.job.clone()).or_default();
            *known = (*known).max((no, version));
        }
        (write.answered, write.told) = (clock::elapsed(), told);
    }

    /// Notes a read.
    pub fn read(&self, read: Read) {
        let told = format!("reads at {}, asked at {:?}", read.index, read.asked);
        self.trace(&read.who, &told);
        self.locked().reads.push(read);
    }

    /// Notes that a clock is set.
    pub fn clock_set(&self, error_micros: i64) {
        let mut inner = self.locked();
        inner.ahead_micros = inner.ahead_micros.max(error_micros);
    }

    /// Writes the trace to a file, unless a panic came in the middle of a line.
    pub fn write(&self, path: &Path) {
        let Ok(inner) = self.0.try_lock() else { return };
        if let Err(error) = std::fs::write(path, inner.trace.join("\n") + "\n") {
            eprintln!("{}: {error}", path.display());
        }
    }

    /// Digest of the whole trace.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for line in &self.locked().trace {
            hasher.write(line.as_bytes());
            hasher.write_u8(b'\n');
        }
        hasher.finish()
    }
}

/// Digest of some bytes: the same in every process.
pub fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

impl Record {
    /// How much happened, in a line.
    pub fn summary(&self) -> String {
        let inner = self.locked();
        let done = inner
            .writes
            .iter()
            .filter(|write| matches!(write.told, Told::Done(..) | Told::DoneBefore(..)));
        format!(
            "{} entries, {} attempts, {} of {} writes done, {} reads, {} states compared",
            inner.seen.keys().next_back().copied().unwrap_or_default(),
            inner.witnessed.len(),
            done.count(),
            inner.writes.len(),
            inner.reads.len(),
            inner.samples,
        )
    }
}
