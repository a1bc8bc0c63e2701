//! What the API says of attempts is what the witness saw of them.

use std::collections::BTreeMap;

use super::Findings;
use crate::history::{Attempt, History, Life, Run};
use crate::workload::{Definition, Overlap};

type Seen = BTreeMap<(String, u32, bool), String>;

const TERMINAL: [&str; 6] = ["succeeded", "failed", "timed_out", "cancelled", "lost", "skipped"];

pub(super) fn agree(history: &History, findings: &mut Findings) {
    let seen: Seen = history
        .marks
        .iter()
        .map(|mark| ((mark.run.clone(), mark.attempt, mark.end), mark.line()))
        .collect();
    for run in history.runs.values() {
        let Some(life) = history.life_of(run) else {
            let evidence = vec![format!("run: {run:?}")];
            findings.add(&run.job, "a run of a job that nobody made", evidence);
            continue;
        };
        let Some(definition) = history.definition_of(run) else {
            findings.add(&run.job, "a run of a version nobody made", vec![format!("{run:?}")]);
            continue;
        };
        // It goes on once log time does.
        let stands = history.clocks_moved && run.status == "waiting";
        // The end of what was open at a deletion is not known.
        if (life.deleted.is_none() && !stands) || TERMINAL.contains(&run.status.as_str()) {
            closed(run, findings);
            for attempt in &run.attempts {
                let case = Case { history, life, definition, run, attempt };
                case.judge(&seen, findings);
            }
        }
    }
}

fn closed(run: &Run, findings: &mut Findings) {
    let evidence = || vec![format!("run: {run:?}")];
    if !TERMINAL.contains(&run.status.as_str()) {
        findings.add(&run.job, format!("run {} never ended", run.id), evidence());
    }
    let last = run.attempts.last().map(|attempt| attempt.status.as_str());
    let started = !matches!(run.status.as_str(), "skipped" | "cancelled");
    if started && last.is_some_and(|last| last != run.status) {
        findings.add(&run.job, "a run did not end as its last attempt", evidence());
    }
    if started && last.is_none() {
        // Every job of the workload has something to run.
        findings.add(&run.job, format!("{} without an attempt", run.status), evidence());
    }
    if run.status == "skipped" && last.is_some() {
        findings.add(&run.job, "a skipped run was attempted", evidence());
    }
}

/// An attempt and what is known around it.
struct Case<'a> {
    history: &'a History,
    life: &'a Life,
    definition: &'a Definition,
    run: &'a Run,
    attempt: &'a Attempt,
}

impl Case<'_> {
    fn judge(&self, seen: &Seen, findings: &mut Findings) {
        let Case { history, life, definition, run, attempt } = *self;
        let mark = |end| seen.get(&(run.id.clone(), attempt.attempt, end));
        let (start, end) = (mark(false), mark(true));
        let mut wrong = |what: &str| {
            let marks = format!("witness: {start:?} {end:?}");
            findings.add(&run.job, what, vec![marks, format!("run: {run:?}")]);
        };
        let fails = definition.fails.at(attempt.attempt);
        let testifies = definition.testifies();
        let ended_at = attempt.finished_at.unwrap_or(life.read_at);
        let lasted = ended_at.ms_since(attempt.assigned_at);
        match attempt.status.as_str() {
            "succeeded" if testifies && (start.is_none() || end.is_none()) => {
                wrong("an attempt succeeded, and did not write its start and end");
            }
            "succeeded" if fails => wrong("an attempt succeeded that is built to fail"),
            "failed" if testifies && (start.is_none() || end.is_none()) => {
                wrong("an attempt failed before it could write its start and end");
            }
            "failed" if !fails => wrong("an attempt failed that is built to succeed"),
            "timed_out" if definition.timeout_ms.is_none() => wrong("timed out without a timeout"),
            _ if history.clocks_moved => {}
            "timed_out" if lasted < definition.timeout_ms.unwrap_or(0) => {
                wrong("timed out before its time");
            }
            "cancelled"
                if definition.overlap != Overlap::CancelRunning && life.deleted.is_none() =>
            {
                wrong("cancelled although nobody asked for it");
            }
            "lost" if !history.disturbed_within(attempt.assigned_at, ended_at) => {
                wrong("lost although its node was up all the time");
            }
            _ => {}
        }
    }
}
