//! What rows a run and a nominal time are.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::machine::history::ledger_of;
use crate::model::{JobUid, LedgerRow, Name, Run, RunId, Timestamp};

/// The fields of a run that ended, but its cluster, with their types as PostgreSQL calls them; the
/// first is its key.
pub(in crate::adapters::sinks) const RUNS: &[(&str, &str)] = &[
    ("id", "uuid"),
    ("job", "text"),
    ("job_uid", "uuid"),
    ("version", "bigint"),
    ("trigger", "text"),
    ("status", "text"),
    ("reason", "text"),
    ("nominal_time", "timestamptz"),
    ("fired_at", "timestamptz"),
    ("started_at", "timestamptz"),
    ("finished_at", "timestamptz"),
    ("attempts", "integer"),
    ("node", "bigint"),
    ("exit_code", "integer"),
    ("http_status", "integer"),
    ("error", "text"),
    ("result", "jsonb"),
    ("parameters", "jsonb"),
    ("requested_by", "text"),
    ("cancelled_by", "text"),
    ("cause", "uuid"),
    ("backfill", "bigint"),
    ("workflow_run", "uuid"),
    ("task", "text"),
    ("task_index", "bigint"),
    ("cpu_ms", "bigint"),
    ("peak_memory_bytes", "bigint"),
    ("log_bytes", "bigint"),
    ("page", "text"),
];

/// Those of a nominal time; the first two are its key.
pub(in crate::adapters::sinks) const LEDGER: &[(&str, &str)] = &[
    ("job_uid", "uuid"),
    ("nominal_time", "timestamptz"),
    ("job", "text"),
    ("until", "timestamptz"),
    ("count", "integer"),
    ("outcome", "text"),
    ("reason", "text"),
    ("run_id", "uuid"),
    ("decided_at", "timestamptz"),
    ("version", "bigint"),
];

/// Rows to be written, each once.
#[derive(Default)]
pub(in crate::adapters::sinks) struct Rows {
    runs: BTreeMap<RunId, Value>,
    ledger: BTreeMap<(JobUid, Timestamp), Value>,
}

impl Rows {
    /// A run that ended, and its nominal time.
    pub fn run(&mut self, run: &Run, pages: &str) {
        if let Some(row) = ledger_of(run) {
            self.ledger(run.job_uid, &run.job, &row);
        }
        self.runs.insert(run.id, row_of(run, pages));
    }

    /// What became of a nominal time.
    pub fn ledger(&mut self, uid: JobUid, job: &Name, row: &LedgerRow) {
        let mut fields = serde_json::to_value(row).unwrap_or_default();
        fields["job_uid"] = json!(uid);
        fields["job"] = json!(job);
        self.ledger.insert((uid, row.nominal_time), storable(fields));
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        (self.runs.len() + self.ledger.len()) as u64
    }

    /// Those of runs: objects with the fields of [`RUNS`].
    pub fn runs(&self) -> impl Iterator<Item = &Value> {
        self.runs.values()
    }

    /// Those of nominal times: objects with the fields of [`LEDGER`].
    pub fn ledger_rows(&self) -> impl Iterator<Item = &Value> {
        self.ledger.values()
    }
}

fn row_of(run: &Run, pages: &str) -> Value {
    let usage = run.attempts.iter().filter_map(|attempt| attempt.usage);
    let cpu = usage.clone().map(|usage| usage.cpu_ms).reduce(u64::saturating_add);
    let task = run.task.as_deref();
    storable(json!({
        "id": run.id,
        "job": run.job,
        "job_uid": run.job_uid,
        "version": run.version,
        "trigger": run.trigger,
        "status": run.status,
        "reason": run.reason,
        "nominal_time": run.nominal_time,
        "fired_at": run.fired_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "attempts": run.attempt,
        "node": run.node,
        "exit_code": run.exit_code,
        "http_status": run.http_status,
        "error": run.error,
        "result": run.result,
        "parameters": run.parameters,
        "requested_by": run.requested_by,
        "cancelled_by": run.cancelled_by,
        "cause": run.cause,
        "backfill": run.backfill,
        "workflow_run": task.map(|task| task.flow),
        "task": task.map(|task| &task.name),
        "task_index": task.and_then(|task| task.index),
        "cpu_ms": cpu,
        "peak_memory_bytes": usage.map(|usage| usage.peak_memory_bytes).max(),
        "log_bytes": run.log_bytes,
        "page": format!("{}/ui/runs/{}", pages.trim_end_matches('/'), run.id),
    }))
}

/// The same, as databases can store it: no text of it has a NUL, which stands as U+FFFD.
fn storable(value: Value) -> Value {
    let clean = |text: String| {
        if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
    };
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(storable).collect()),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (clean(name), storable(value))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_nul_can_be_stored() {
        let value = json!({ "a\0": ["b\0c", 1, { "d": "\0" }] });
        let there = json!({ "a\u{fffd}": ["b\u{fffd}c", 1, { "d": "\u{fffd}" }] });
        assert_eq!(storable(value), there);
    }
}
