//! The rows of history: what they hold and under which key. Rows are immutable once
//! their entry is applied, and a replay writes the same ones again.
//!
//! | key | value |
//! |---|---|
//! | `r` job-no run-id | a closed [`Run`] |
//! | `l` job-no nominal-seconds | a [`LedgerRow`] that has no run |
//! | `v` job-no version | a [`VersionRow`] |
//! | `d` definition-no version | a [`DefinitionRow`] |
//! | `o` run-id attempt first-seq | captured output, `Vec<OutputChunk>` |
//! | `f` first | ids of closed runs in the order of their ends, `Vec<RunId>` |
//! | `e` index sub | an [`EventRow`] |
//! | `a` first-seq | `Vec<AuditRecord>` |

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{
    AuditRecord, Event, Fact, JobNo, JobSpec, LedgerRow, Run, RunId, SkipReason, Spec, Timestamp,
};

use super::command::OutputChunk;
use super::event_rows::{EventRow, event_key, event_place};

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
            size += 200 + record.change.to_string().len();
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
        Some(b'o') => {
            let row: OutputRow = read("output", value)?;
            let first = output_key_parts(key).map(|(_, first)| first);
            first.is_some() && row.first().map(|chunk| chunk.seq) == first
        }
        Some(b'e') => {
            let row: EventRow = read("events", value)?;
            row.len() > 0 && event_place(key).is_some_and(|place| event_key(place) == key)
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

/// What the keys of a job's closed runs begin with.
pub fn runs_prefix(no: JobNo) -> Vec<u8> {
    [b"r".as_slice(), &no.to_be_bytes()].concat()
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

/// The ledger row that a scheduled run stands for.
pub fn ledger_of(run: &Run) -> Option<LedgerRow> {
    let nominal_time = run.nominal_time?;
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
    })
}
