//! What was found, and how it is shown.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::model::{RunId, Timestamp};

use super::gathered::{Held, Start, Wait};
use super::options::Wanted;

/// The names of the rules, as the output tells them and docs/cli.md explains them.
pub(super) mod rule {
    pub(in super::super) const ONE_OUTCOME: &str = "one-outcome";
    pub(in super::super) const NAMED_TIME: &str = "named-time";
    pub(in super::super) const ITS_VERSION: &str = "its-version";
    pub(in super::super) const OVERDUE: &str = "overdue";
    pub(in super::super) const RUN_OF_ROW: &str = "run-of-row";
    pub(in super::super) const RUN_KEPT: &str = "run-kept";
    pub(in super::super) const ATTEMPTS: &str = "attempts";
    pub(in super::super) const FENCES: &str = "fences";
    pub(in super::super) const APART: &str = "attempts-apart";
    pub(in super::super) const NEVER_EARLY: &str = "never-early";
    pub(in super::super) const CLOSED: &str = "closed";
    pub(in super::super) const QUEUES: &str = "queues";
    pub(in super::super) const LANES: &str = "lanes";
    pub(in super::super) const TASKS: &str = "tasks";
    pub(in super::super) const BACKFILLED_ONCE: &str = "backfilled-once";
    pub(in super::super) const AUDIT_CHAIN: &str = "audit-chain";
    pub(in super::super) const REPLICAS: &str = "replicas";
}

/// Violations of one job that are told; the rest is counted.
const TOLD_A_JOB_MAX: usize = 100;
/// Violations that are told in all.
const TOLD_MAX: usize = 10_000;
/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What was found about one job, or about none.
#[derive(Default)]
pub(super) struct Findings {
    job: Option<String>,
    told: Vec<(&'static str, String)>,
    violations: u64,
    pub(super) unchecked: Vec<String>,
    pub(super) times: u64,
    pub(super) rows: u64,
    pub(super) runs: u64,
    pub(super) attempts: u64,
    pub(super) fences: Vec<Held>,
    pub(super) queued: Vec<Start>,
    pub(super) waits: Vec<Wait>,
    /// Attempts of backfills, and when each was given to a node.
    pub(super) past: Vec<(Timestamp, RunId)>,
}

impl Findings {
    pub(super) fn of(job: &str) -> Self {
        Findings { job: Some(job.to_owned()), ..Findings::default() }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.violations == 0
    }

    /// Without what an earlier look did not find.
    pub(super) fn seen_before(mut self, earlier: &Findings) -> Self {
        if self.violations > TOLD_A_JOB_MAX as u64 {
            return self;
        }
        self.told.retain(|(rule, what)| {
            earlier.told.iter().any(|(r, w)| r == rule && subject(w) == subject(what))
        });
        self.violations = self.told.len() as u64;
        self
    }

    pub(super) fn add(&mut self, rule: &'static str, what: String) {
        self.violations += 1;
        if self.told.len() < TOLD_A_JOB_MAX {
            self.told.push((rule, what));
        }
    }
}

/// What a finding is about: what may differ between two looks stands behind it.
fn subject(what: &str) -> &str {
    let end = [", ", ": "].into_iter().filter_map(|mark| what.find(mark)).min();
    &what[..end.unwrap_or(what.len())]
}

struct Told {
    rule: &'static str,
    job: Option<String>,
    what: String,
}

/// What was found in all.
pub(super) struct Report {
    cluster: String,
    since: Timestamp,
    until: Timestamp,
    told: Vec<Told>,
    /// All of them, told or not.
    pub(super) violations: u64,
    unchecked: Vec<String>,
    jobs: u64,
    times: u64,
    rows: u64,
    runs: u64,
    attempts: u64,
    /// Records of the audit whose hash was worked out here.
    pub(super) records: u64,
    /// Places of the nodes that are compared with the first.
    pub(super) replicas: Vec<usize>,
}

impl Report {
    pub(super) fn new(cluster: &str, wanted: &Wanted) -> Self {
        Report {
            cluster: cluster.to_owned(),
            since: wanted.since,
            until: wanted.until,
            told: Vec::new(),
            violations: 0,
            unchecked: Vec::new(),
            jobs: 0,
            times: 0,
            rows: 0,
            runs: 0,
            attempts: 0,
            records: 0,
            replicas: Vec::new(),
        }
    }

    /// Adds what was found about a job.
    pub(super) fn add(&mut self, found: Findings) {
        let Findings { job, told, violations, unchecked, times, rows, runs, attempts, .. } = found;
        self.jobs += u64::from(job.is_some());
        self.violations += violations;
        self.times += times;
        self.rows += rows;
        self.runs += runs;
        self.attempts += attempts;
        for what in unchecked {
            self.unchecked(match &job {
                Some(job) => format!("job {job}: {what}"),
                None => what,
            });
        }
        let room = TOLD_MAX.saturating_sub(self.told.len());
        let told = told.into_iter().take(room);
        self.told.extend(told.map(|(rule, what)| Told { rule, job: job.clone(), what }));
    }

    /// Something that could not be checked.
    pub(super) fn unchecked(&mut self, what: String) {
        if self.unchecked.len() < TOLD_MAX {
            self.unchecked.push(what);
        }
    }

    /// One JSON object.
    pub(super) fn json(&self) -> Value {
        let violations = self
            .told
            .iter()
            .map(|told| json!({"rule": told.rule, "job": told.job, "what": told.what}));
        json!({
            "sound": self.violations == 0,
            "cluster": self.cluster,
            "since": self.since,
            "until": self.until,
            "checked": {
                "jobs": self.jobs,
                "nominal_times": self.times,
                "ledger_rows": self.rows,
                "runs": self.runs,
                "attempts": self.attempts,
                "audit_records": self.records,
                "replicas": self.replicas.len(),
            },
            "violations_total": self.violations,
            "violations": violations.collect::<Vec<_>>(),
            "unchecked": self.unchecked,
        })
    }

    /// A table, and a line that sums it up.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let width = self.told.iter().map(|told| told.rule.len()).max().unwrap_or(0).max(4);
        if !self.told.is_empty() {
            let _ = writeln!(text, "{:width$}  WHAT", "RULE");
        }
        for Told { rule, job, what } in &self.told {
            let _ = match job {
                Some(job) => writeln!(text, "{rule:width$}  job {job}: {what}"),
                None => writeln!(text, "{rule:width$}  {what}"),
            };
        }
        let untold = self.violations - self.told.len() as u64;
        if untold > 0 {
            let _ = writeln!(text, "and {untold} more");
        }
        for what in &self.unchecked {
            let _ = writeln!(text, "not checked: {what}");
        }
        let verdict = match self.violations {
            0 => "sound".to_owned(),
            1 => "1 violation".to_owned(),
            n => format!("{n} violations"),
        };
        let _ = writeln!(text, "{verdict}: {}", self.sum());
        text
    }

    fn sum(&self) -> String {
        let Report { jobs, times, rows, runs, attempts, records, .. } = self;
        format!(
            "{jobs} jobs, {times} nominal times, {rows} ledger rows, {runs} runs, \
             {attempts} attempts, {records} audit records, {} other nodes",
            self.replicas.len()
        )
    }
}

/// Tells on standard error how far long work is.
pub(super) struct Progress {
    told: Instant,
    line: bool,
    terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Progress { told: Instant::now(), line: false, terminal: stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, report: &Report) {
        if self.told.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.told = Instant::now();
        self.line = true;
        let text = format!("{}, {} violations", report.sum(), report.violations);
        let _ = if self.terminal {
            write!(stderr(), "\r\x1b[K{text}")
        } else {
            writeln!(stderr(), "{text}")
        };
    }

    pub(super) fn end(self) {
        if self.line && self.terminal {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
