//! The only place where these tests know what the machine's commands are.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::{Handle, Options, open};
use crate::machine::command::{AuditNote, PutJob, TrimKey};
use crate::machine::{Answer, Command, Event, Op, State, history};
use crate::model::{Actor, JobNo, JobSpec, Name, RunId, Timestamp};
use crate::storage::{Direction, Identity, MemoryDisk, Scan};

/// Any time: tests have no clock.
pub const NOW_MS: u64 = 1_790_000_000_000;

pub fn command(op: Op) -> Command {
    Command { at: Timestamp::from_micros(NOW_MS as i64 * 1_000), actor: None, request: None, op }
}

/// What somebody wants.
pub fn wanted(op: Op) -> Command {
    let actor = Actor { name: "test".into(), from: None, request_id: None, trace: None };
    Command { actor: Some(actor), ..command(op) }
}

fn name_of(n: u64) -> Name {
    Name::parse(&format!("n{n}")).unwrap()
}

/// A command that is accepted once for each number, and refused after.
pub fn numbered(n: u64) -> Command {
    put(JobSpec::new(name_of(n)))
}

fn put(spec: JobSpec) -> Command {
    wanted(Op::PutJob(Box::new(PutJob {
        spec: Arc::new(spec),
        based_on: None,
        pinned: false,
        next: None,
        settled: None,
        verb: "create".into(),
    })))
}

/// Whether a numbered command was accepted.
pub fn accepted(answer: &Answer) -> bool {
    answer.is_ok()
}

fn number(name: &Name) -> u64 {
    name.as_str()[1..].parse().unwrap()
}

/// The numbers accepted so far, ascending.
pub fn numbers(state: &State) -> Vec<u64> {
    let mut numbers: Vec<u64> =
        state.names.keys().filter(|name| name.as_str().starts_with('n')).map(number).collect();
    numbers.sort_unstable();
    numbers
}

/// The history key that a numbered command wrote.
pub fn row_of(node: &Handle, n: u64) -> Vec<u8> {
    let no = node.state().job(name_of(n).as_str()).unwrap().no;
    history::version_key(no, 1)
}

/// The number an event is about.
pub fn number_in(event: &Event) -> u64 {
    number(event.job.as_ref().unwrap())
}

fn note(text: &str) -> Command {
    let actor = Actor { name: "test".into(), from: None, request_id: None, trace: None };
    let at = Timestamp::ZERO;
    let (action, target) = (text.to_string(), String::new());
    command(Op::Note {
        entries: vec![AuditNote { at, actor, action, target, change: serde_json::Value::Null }],
    })
}

/// A command of about this many bytes, which writes a row as large; each is new.
pub fn sized(bytes: usize) -> Command {
    static EACH: AtomicU64 = AtomicU64::new(0);
    let each = EACH.fetch_add(1, Ordering::Relaxed);
    let name = format!("sized-{}-{each}", std::process::id());
    let mut spec = JobSpec::new(Name::parse(&name).unwrap());
    spec.code = Some("x".repeat(bytes).into());
    put(spec)
}

/// The rows that sized commands wrote, by size.
pub async fn sized_rows(node: &Handle) -> Vec<usize> {
    let scan = Scan::prefix(b"v", Direction::Forward, 1_000);
    let rows = node.history().scan(scan).await.unwrap();
    rows.iter().map(|(_, value)| value.len()).filter(|bytes| *bytes > 10_000).collect()
}

/// A command that removes the rows that the first commands wrote.
pub fn trim(jobs: std::ops::Range<JobNo>) -> Command {
    let version = |no| TrimKey::Version { no, version: 1 };
    command(Op::Trim { keys: jobs.map(version).collect() })
}

/// Output of a run that there is not.
pub fn output() -> Command {
    command(Op::Output { run: RunId(uuid::Uuid::nil()), attempt: 1, fence: 1, chunks: Vec::new() })
}

/// A command that meets a bug in the machine.
pub fn panicking() -> Command {
    note(crate::machine::PANIC_FOR_TESTS)
}

/// Opens a node in a directory.
pub async fn node(path: &Path) -> Handle {
    open(Options::new(path, NOW_MS)).await.unwrap()
}

/// Opens a node that takes a checkpoint every few entries.
pub async fn node_with_many_checkpoints(path: &Path) -> Handle {
    open(Options { checkpoint_entries: 30, ..Options::new(path, NOW_MS) }).await.unwrap()
}

/// Opens a node that keeps everything in memory.
pub async fn node_in_memory() -> Handle {
    node_on(&disk()).await
}

/// An empty disk in memory.
pub fn disk() -> Arc<MemoryDisk> {
    MemoryDisk::new(Identity::generate(NOW_MS).unwrap())
}

/// Opens a node on such a disk.
pub async fn node_on(disk: &Arc<MemoryDisk>) -> Handle {
    let in_memory = Some(Arc::clone(disk));
    open(Options { in_memory, ..Options::new("unused", NOW_MS) }).await.unwrap()
}
