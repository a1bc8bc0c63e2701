//! An attempt starts at most once, where the state has it, and the state knows how it went.

use std::collections::BTreeMap;

use cronapi::model::{RetryOn, RunId, RunStatus};

use crate::clock::EPOCH;
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
        // By the log alone, so of jobs that are gone as well.
        if history.created.get(&seen.run).is_none_or(|at| *at > seen.applied) {
            broken.push(format!("{told} at {:?} before its run was decided", seen.began));
        }
        broken.extend(early(seen).map(|why| format!("{told}: {why}")));
        broken.extend(known(history, seen).map(|why| format!("{told}: {why}")));
    }
    broken.extend(grow(history));
    broken.extend(follow(history));
    broken
}

/// Never before its nominal time, by the clock that is furthest ahead.
fn early(seen: &Witnessed) -> Option<String> {
    let began = EPOCH.micros() + i64::try_from(seen.began.as_micros()).unwrap_or(i64::MAX);
    let nominal = seen.nominal?.micros();
    let early = nominal - (began + seen.ahead_micros);
    (early > 0).then(|| format!("began {early} µs before its time"))
}

/// An attempt of a run begins after the one before it has ended, or was lost; and as often
/// as the definition lets it.
fn follow(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut last: BTreeMap<RunId, &Witnessed> = BTreeMap::new();
    for seen in &history.inner.witnessed {
        let run = history.runs.get(&seen.run);
        let is_lost = |attempt: u32| {
            let known = run.and_then(|run| run.attempts.iter().find(|it| it.attempt == attempt));
            known.is_none_or(|known| known.status == RunStatus::Lost)
        };
        // A planned start that was lost with its node before its time may begin all the same,
        // in the moment of the next one (ADR 12).
        if last.get(&seen.run).is_some_and(|before| seen.attempt < before.attempt)
            && is_lost(seen.attempt)
        {
            continue;
        }
        let Some(before) = last.insert(seen.run, seen) else { continue };
        let told = format!("{} {} attempt {}", seen.job, seen.run, seen.attempt);
        if seen.fence <= before.fence || seen.attempt <= before.attempt {
            broken.push(format!("{told} begins after attempt {}", before.attempt));
        }
        let lost = is_lost(before.attempt);
        if !lost && before.ended.is_none_or(|(ended, _)| ended > seen.began) {
            broken.push(format!("{told} begins while attempt {} goes on", before.attempt));
        }
    }
    for run in history.runs.values() {
        let Some(spec) = history.spec_of(run) else { continue };
        let retry = spec.retry();
        let (most, on) = (retry.max_attempts, retry.on);
        let ended = &run.attempts[..run.attempts.len().saturating_sub(1)];
        let may = |status: RunStatus| match status {
            RunStatus::Failed => on.contains(&RetryOn::Failed),
            RunStatus::TimedOut => on.contains(&RetryOn::TimedOut),
            RunStatus::Lost => on.contains(&RetryOn::Lost),
            _ => false,
        };
        if run.attempts.len() > most as usize {
            broken.push(format!("{} {} has over {most} attempts", run.job, run.id));
        }
        for attempt in ended.iter().filter(|attempt| !may(attempt.status)) {
            let (status, number) = (attempt.status.as_str(), attempt.attempt);
            broken.push(format!("{} {}: {number} {status} and retried", run.job, run.id));
        }
    }
    broken
}

/// What the run's record says of it.
fn known(history: &History<'_>, seen: &Witnessed) -> Option<String> {
    let state = history.state()?;
    if !state.jobs.contains_key(&state.task_numbers.owner(seen.run.job_no())) {
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
