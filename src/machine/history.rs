//! The rows of history: what they hold and under which key. Rows are immutable once
//! their entry is applied, and a replay writes the same ones again.
//!
//! | key | value |
//! |---|---|
//! | `r` job-no run-id | a closed [`Run`] |
//! | `l` job-no nominal-seconds | a [`LedgerRow`] that has no run |
//! | `v` job-no version | a [`VersionRow`] |
//! | `d` definition-no version | a [`DefinitionRow`] |
//! | `b` job-no run-id | a [`Backfilled`] of a run that a backfill made |
//! | `w` job-no run-id | the tasks of a closed run of a workflow, a [`FlowRow`] |
//! | `o` run-id attempt first-seq | captured output, `Vec<OutputChunk>` |
//! | `f` first | ids of closed runs in the order of their ends, `Vec<RunId>` |
//! | `e` index sub | an [`EventRow`] |
//! | `n` seq | a [`NoticeRow`]: a notice that was sent, or given up |
//! | `i` id | an [`IncidentRow`]: an incident that is over |
//! | `p` monitor-no seq | a [`PingRow`] |
//! | `q` monitor-no seq | a [`PingBody`] of one of the newest pings |
//! | `a` first-seq | `Vec<AuditRecord>` |

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{
    AuditRecord, Backfilled, Event, Fact, JobNo, JobSpec, LedgerRow, Notice, NoticeEnd, Run, RunId,
    SkipReason, Spec, Timestamp, Trigger,
};

use super::command::{OutputChunk, Ping};
use super::event_rows::{EventRow, event_key, event_place};
use super::state::{Incident, IncidentKey, NamedTask};

/// A row of history; a value of none removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// See the module.
    pub key: Vec<u8>,
    /// MessagePack with named fields.
    pub value: Option<Vec<u8>>,
}

/// A version of a definition, as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionRow {
    /// From 1.
    pub version: u64,
    /// When it took effect.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// What was asked.
    pub verb: String,
    /// The definition.
    pub spec: Arc<JobSpec>,
    /// Its schedule counts from exactly `at` on; else within the while that an entry takes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
}

/// A version of a definition that is no job, as it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefinitionRow {
    /// From 1.
    pub version: u64,
    /// When it took effect.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// What was asked: `create` or `update`.
    pub verb: String,
    /// The definition.
    pub spec: Spec,
}

/// A notice that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// The notice.
    pub notice: Notice,
    /// How it ended.
    pub end: NoticeEnd,
    /// When.
    pub at: Timestamp,
}

/// An incident that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRow {
    /// What made it up.
    pub key: IncidentKey,
    /// The incident.
    pub incident: Incident,
    /// When it ended.
    pub at: Timestamp,
    /// It ended since its job, or its rule, is not there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
}

/// A ping of a monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingRow {
    /// Its number among those of the monitor, from 1.
    pub seq: u64,
    /// When it came.
    pub at: Timestamp,
    /// What came, without the body.
    pub ping: Ping,
    /// Bytes of the body.
    #[serde(default)]
    pub body_bytes: u64,
}

/// What a ping brought along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingBody {
    /// The ping.
    pub seq: u64,
    /// The bytes.
    #[serde(with = "super::packed_bytes")]
    pub body: Vec<u8>,
}

/// The tasks of a run of a workflow, as they ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowRow {
    /// The run.
    pub run: RunId,
    /// In the order of the definition.
    pub tasks: Vec<NamedTask>,
}

/// What `apply` gives to the outside: rows to keep, events to tell, facts to count.
#[derive(Default, Debug)]
pub struct Output {
    /// Rows, in order.
    pub rows: Vec<Row>,
    /// Events, in order.
    pub events: Vec<Event>,
    /// What is worth counting, in order.
    pub facts: Vec<Fact>,
    pub(super) audit: Vec<AuditRecord>,
    pub(super) closed: Vec<(u64, RunId)>,
}

/// A packed row is closed before it grows past this, in bytes.
pub(super) const PACKED_BYTES_MAX: usize = 6 * 1024;

impl Output {
    /// Packs what one entry gathered; called once, after its last command.
    pub(super) fn finish(&mut self) {
        let mut block: Vec<AuditRecord> = Vec::new();
        let mut size = 0;
        for record in std::mem::take(&mut self.audit) {
            size += 200 + text_len(&record.change);
            if size > PACKED_BYTES_MAX && !block.is_empty() {
                self.push_audit(&block);
                block.clear();
                size = 0;
            }
            block.push(record);
        }
        self.push_audit(&block);
        for part in std::mem::take(&mut self.closed).chunks(PACKED_BYTES_MAX / 20) {
            let ids: Vec<RunId> = part.iter().map(|(_, id)| *id).collect();
            self.put(feed_key(part[0].0), &ids);
        }
    }

    fn push_audit(&mut self, block: &[AuditRecord]) {
        if let Some(first) = block.first() {
            self.put(audit_key(first.seq), &block);
        }
    }

    pub(super) fn put<T: Serialize + ?Sized>(&mut self, key: Vec<u8>, value: &T) {
        self.rows.push(Row { key, value: Some(pack(value)) });
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.rows.push(Row { key, value: None });
    }
}

/// Encodes a row's value. Our own types of plain data can't fail to encode.
/// Bytes of a value as JSON, without making the text.
fn text_len(value: &serde_json::Value) -> usize {
    struct Counted(usize);
    impl std::io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    // What only counts does not fail.
    let written = serde_json::to_writer(&mut counted, value);
    debug_assert!(written.is_ok());
    counted.0
}

fn pack<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap_or_default()
}

/// Decodes a row's value.
pub fn unpack<T: DeserializeOwned>(value: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(value)
}

/// Whether a row can be read, and stands under the key that it must.
///
/// # Errors
/// What is wrong, for a person.
pub fn check_row(key: &[u8], value: &[u8]) -> Result<(), String> {
    fn read<T: DeserializeOwned>(what: &str, value: &[u8]) -> Result<T, String> {
        unpack(value).map_err(|e| format!("a row of {what} can't be read: {e}"))
    }
    let right = match key.first() {
        Some(b'r') => run_key(read::<Run>("runs", value)?.id) == key,
        Some(b'l') => {
            let row: LedgerRow = read("the ledger", value)?;
            key.len() == 13 && key.ends_with(&row.nominal_time.secs().to_be_bytes())
        }
        Some(b'v') => {
            let row: VersionRow = read("versions", value)?;
            key.ends_with(&row.version.to_be_bytes())
        }
        Some(b'd') => {
            let row: DefinitionRow = read("definitions", value)?;
            key.len() == 17 && key.ends_with(&row.version.to_be_bytes())
        }
        Some(b'b') => backfilled_key(read::<Backfilled>("backfills", value)?.run_id) == key,
        Some(b'w') => flow_key(read::<FlowRow>("workflows", value)?.run) == key,
        Some(b'o') => {
            let row: OutputRow = read("output", value)?;
            let first = output_key_parts(key).map(|(_, first)| first);
            first.is_some() && row.first().map(|chunk| chunk.seq) == first
        }
        Some(b'e') => {
            let row: EventRow = read("events", value)?;
            row.len() > 0 && event_place(key).is_some_and(|place| event_key(place) == key)
        }
        Some(b'n') => notice_key(read::<NoticeRow>("notices", value)?.notice.seq) == key,
        Some(b'i') => incident_key(read::<IncidentRow>("incidents", value)?.incident.id) == key,
        Some(b'p') => {
            let row: PingRow = read("pings", value)?;
            key.len() == 13 && key.ends_with(&row.seq.to_be_bytes())
        }
        Some(b'q') => {
            let row: PingBody = read("bodies of pings", value)?;
            key.len() == 13 && key.ends_with(&row.seq.to_be_bytes())
        }
        Some(b'f') => !read::<Vec<RunId>>("the feed", value)?.is_empty(),
        Some(b'a') => {
            let row: Vec<AuditRecord> = read("the audit", value)?;
            block_first(key).is_some() && row.first().map(|record| record.seq) == block_first(key)
        }
        _ => return Err("a row of an unknown kind".to_owned()),
    };
    if right { Ok(()) } else { Err("a row stands under another key than its own".to_owned()) }
}

/// Key of a closed run.
pub fn run_key(id: RunId) -> Vec<u8> {
    [b"r".as_slice(), &id.job_no().to_be_bytes(), id.0.as_bytes()].concat()
}

/// Key of the tasks of a closed run of a workflow.
pub fn flow_key(id: RunId) -> Vec<u8> {
    [b"w".as_slice(), &id.job_no().to_be_bytes(), id.0.as_bytes()].concat()
}

/// What the keys of a job's closed runs begin with.
pub fn runs_prefix(no: JobNo) -> Vec<u8> {
    [b"r".as_slice(), &no.to_be_bytes()].concat()
}

/// Key of what is kept of a run that a backfill made.
pub fn backfilled_key(id: RunId) -> Vec<u8> {
    [b"b".as_slice(), &id.job_no().to_be_bytes(), id.0.as_bytes()].concat()
}

/// What those of a job begin with.
pub fn backfilled_prefix(no: JobNo) -> Vec<u8> {
    [b"b".as_slice(), &no.to_be_bytes()].concat()
}

/// Key of a ledger row without a run.
pub fn ledger_key(no: JobNo, nominal: Timestamp) -> Vec<u8> {
    [b"l".as_slice(), &no.to_be_bytes(), &nominal.secs().to_be_bytes()].concat()
}

/// What the keys of a job's ledger rows begin with.
pub fn ledger_prefix(no: JobNo) -> Vec<u8> {
    [b"l".as_slice(), &no.to_be_bytes()].concat()
}

/// Key of a version.
pub fn version_key(no: JobNo, version: u64) -> Vec<u8> {
    [b"v".as_slice(), &no.to_be_bytes(), &version.to_be_bytes()].concat()
}

/// What the keys of a job's versions begin with.
pub fn versions_prefix(no: JobNo) -> Vec<u8> {
    [b"v".as_slice(), &no.to_be_bytes()].concat()
}

/// Key of a version of a definition that is no job.
pub fn definition_key(no: u64, version: u64) -> Vec<u8> {
    [b"d".as_slice(), &no.to_be_bytes(), &version.to_be_bytes()].concat()
}

/// What the keys of its versions begin with.
pub fn definitions_prefix(no: u64) -> Vec<u8> {
    [b"d".as_slice(), &no.to_be_bytes()].concat()
}

/// Key of a piece of output.
pub fn output_key(run: RunId, attempt: u32, first: u32) -> Vec<u8> {
    [b"o".as_slice(), run.0.as_bytes(), &attempt.to_be_bytes(), &first.to_be_bytes()].concat()
}

/// What the keys of a run's output begin with.
pub fn output_prefix(run: RunId) -> Vec<u8> {
    [b"o".as_slice(), run.0.as_bytes()].concat()
}

/// Attempt and first sequence number in the key of a piece of output.
pub fn output_key_parts(key: &[u8]) -> Option<(u32, u32)> {
    let attempt = key.get(17..21)?.try_into().ok()?;
    let first = key.get(21..25)?.try_into().ok()?;
    Some((u32::from_be_bytes(attempt), u32::from_be_bytes(first)))
}

/// Key of a block of the feed of closed runs.
pub fn feed_key(first: u64) -> Vec<u8> {
    [b"f".as_slice(), &first.to_be_bytes()].concat()
}

/// Key of a notice that is over.
pub fn notice_key(seq: u64) -> Vec<u8> {
    [b"n".as_slice(), &seq.to_be_bytes()].concat()
}

/// Key of an incident that is over.
pub fn incident_key(id: u64) -> Vec<u8> {
    [b"i".as_slice(), &id.to_be_bytes()].concat()
}

/// Key of a ping.
pub fn ping_key(no: JobNo, seq: u64) -> Vec<u8> {
    [b"p".as_slice(), &no.to_be_bytes(), &seq.to_be_bytes()].concat()
}

/// What the keys of a monitor's pings begin with.
pub fn pings_prefix(no: JobNo) -> Vec<u8> {
    [b"p".as_slice(), &no.to_be_bytes()].concat()
}

/// Key of what a ping brought along.
pub fn ping_body_key(no: JobNo, seq: u64) -> Vec<u8> {
    [b"q".as_slice(), &no.to_be_bytes(), &seq.to_be_bytes()].concat()
}

/// The number in the key of a block of the feed or of the audit.
pub fn block_first(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..9)?.try_into().ok()?))
}

/// Key of a block of the audit.
pub fn audit_key(first: u64) -> Vec<u8> {
    [b"a".as_slice(), &first.to_be_bytes()].concat()
}

/// The pieces of a row of output.
pub type OutputRow = Vec<OutputChunk>;

/// The ledger row that a scheduled run stands for. One that a backfill made stands for none: its
/// time had its outcome before.
pub fn ledger_of(run: &Run) -> Option<LedgerRow> {
    let nominal_time = run.nominal_time.filter(|_| run.trigger != Trigger::Backfill)?;
    let unmet = run.skip == Some(SkipReason::DependenciesUnmet);
    Some(LedgerRow {
        nominal_time,
        until: None,
        count: None,
        outcome: if run.skip.is_some() {
            crate::model::Outcome::Skipped
        } else {
            crate::model::Outcome::Fired
        },
        reason: run.skip,
        run_id: Some(run.id),
        decided_at: if unmet { run.finished_at.unwrap_or(run.fired_at) } else { run.fired_at },
        version: run.version,
        backfilled_by: None,
        backfilled: None,
    })
}
