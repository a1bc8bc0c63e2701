//! An attempt starts at most once, where the state has it, and the state knows how it went.

use std::collections::BTreeMap;

use cronapi::model::RunStatus;

use crate::history::History;
use crate::record::Witnessed;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let (mut starts, mut fences) = (BTreeMap::new(), BTreeMap::new());
    for seen in &history.inner.witnessed {
        let told = format!("{} {} attempt {} on {}", seen.job, seen.run, seen.attempt, seen.node);
        if let Some(before) = starts.insert((seen.run, seen.attempt), seen) {
            let first = (before.began, before.node, before.boot);
            broken.push(format!("{told} at {:?} and {first:?}", seen.began));
        }
        if let Some((run, attempt)) = fences.insert(seen.fence, (seen.run, seen.attempt)) {
            broken.push(format!("{told} has the fence of {run} attempt {attempt}"));
        }
        if !seen.assigned {
            broken.push(format!("{told} at {:?} without the state's word", seen.began));
        }
        broken.extend(known(history, seen).map(|why| format!("{told}: {why}")));
    }
    broken.extend(grow(history));
    broken
}

/// What the run's record says of it.
fn known(history: &History<'_>, seen: &Witnessed) -> Option<String> {
    if !history.kept().contains(&seen.run.job_no()) {
        return None;
    }
    let Some(run) = history.runs.get(&seen.run) else { return Some("no such run".into()) };
    let Some(known) = run.attempts.iter().find(|known| known.attempt == seen.attempt) else {
        return Some("the run has no such attempt".into());
    };
    if (known.fence, known.node, known.boot) != (seen.fence, seen.node, seen.boot) {
        return Some(format!("the state gave it as {known:?}"));
    }
    let ended = seen.ended.map(|(_, how)| how);
    let fits = match known.status {
        RunStatus::Succeeded => ended == Some("succeeded"),
        RunStatus::Failed => ended == Some("failed"),
        RunStatus::TimedOut => ended == Some("timed_out"),
        RunStatus::Cancelled => ended == Some("cancelled"),
        RunStatus::Lost => true,
        _ => false,
    };
    (!fits).then(|| format!("ended {ended:?} and is told as {}", known.status.as_str()))
}

/// Attempts are numbered, fences rise, and what started is told to have ended.
fn grow(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for run in history.runs.values() {
        let numbers: Vec<u32> = run.attempts.iter().map(|attempt| attempt.attempt).collect();
        if !numbers.iter().copied().eq(1..=numbers.len() as u32) {
            broken.push(format!("{} {} has attempts {numbers:?}", run.job, run.id));
        }
        if !run.attempts.is_sorted_by(|a, b| a.fence < b.fence) {
            broken.push(format!("{} {}: fences do not rise", run.job, run.id));
        }
        if run.skip.is_some() && !run.attempts.is_empty() {
            broken.push(format!("{} {} is skipped and has attempts", run.job, run.id));
        }
    }
    broken
}
