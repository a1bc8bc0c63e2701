//! Starts that the witness saw: each once, each known, each with a fence of its own, none
//! before its time.

use std::collections::BTreeMap;

use super::Findings;
use crate::history::History;
use crate::moment::Moment;
use crate::witness::Mark;

/// Clocks are read in different processes of one machine.
const EARLY_MS: i64 = 5;
/// From the acknowledgement of a deletion to the end of what was on its way.
const AFTER_DELETION_MS: i64 = 5_000;

fn starts(history: &History) -> impl Iterator<Item = &Mark> {
    history.marks.iter().filter(|mark| !mark.end)
}

fn show(mark: &Mark) -> String {
    format!("witness: {}  ({})", mark.line(), mark.at)
}

pub(super) fn one_start(history: &History, findings: &mut Findings) {
    for line in &history.unreadable {
        findings.add("", "a line of the witness can't be read", vec![line.clone()]);
    }
    let mut seen: BTreeMap<(&str, u32, bool), &Mark> = BTreeMap::new();
    for mark in &history.marks {
        let key = (mark.run.as_str(), mark.attempt, mark.end);
        if let Some(first) = seen.insert(key, mark) {
            let word = if mark.end { "ended" } else { "started" };
            let what = format!("attempt {} of run {} {word} twice", mark.attempt, mark.run);
            findings.add(&mark.job, what, vec![show(first), show(mark)]);
        }
        if mark.end && !seen.contains_key(&(mark.run.as_str(), mark.attempt, false)) {
            findings.add(&mark.job, "an attempt ended that had not started", vec![show(mark)]);
        }
    }
}

pub(super) fn known(history: &History, findings: &mut Findings) {
    for mark in starts(history) {
        let Some(run) = history.runs.get(&mark.run) else {
            if !may_be_of_a_deleted_job(history, mark) {
                findings.add(&mark.job, "a start of a run nobody knows", vec![show(mark)]);
            }
            continue;
        };
        let evidence = || vec![show(mark), format!("run: {run:?}")];
        let attempt = run.attempts.iter().find(|attempt| attempt.attempt == mark.attempt);
        match attempt {
            Some(attempt) if attempt.fence == mark.fence => {}
            Some(_) => findings.add(&mark.job, "a start with another fence", evidence()),
            // It was read before its deletion; attempts that came later are not known.
            None if history.life_of(run).is_some_and(|life| life.deleted.is_some()) => {}
            None => findings.add(&mark.job, "a start of an attempt nobody knows", evidence()),
        }
        let told = mark.trigger.as_ref().is_none_or(|trigger| *trigger == run.trigger);
        if mark.job != run.job || mark.nominal != run.nominal_time || !told {
            findings.add(&mark.job, "an attempt was told something else", evidence());
        }
    }
}

/// Whatever the API says: what the attempts of one nominal time were told names one run.
pub(super) fn one_run_a_time(history: &History, findings: &mut Findings) {
    let mut runs: BTreeMap<(&str, Moment), &Mark> = BTreeMap::new();
    for mark in starts(history) {
        let of_backfill = mark.trigger.as_deref() == Some("backfill");
        let Some(nominal) = mark.nominal.filter(|_| !of_backfill) else { continue };
        let first = runs.entry((mark.job.as_str(), nominal)).or_insert(mark);
        if first.run != mark.run {
            let what = format!("{nominal} was started as two runs");
            findings.add(&mark.job, what, vec![show(first), show(mark)]);
        }
    }
}

/// Runs of deleted jobs are gone from the API.
fn may_be_of_a_deleted_job(history: &History, mark: &Mark) -> bool {
    let lives = history.lives.iter().filter(|life| life.name == mark.job);
    lives.filter_map(|life| life.deleted.as_ref()).any(|deleted| {
        let soon =
            mark.at <= deleted.acked.plus_ms(AFTER_DELETION_MS) || history.unsettled(mark.at);
        soon && mark.nominal.is_none_or(|nominal| nominal <= deleted.acked)
    })
}

/// Each start is what the log had given to that very node before.
pub(super) fn intent_first(history: &History, findings: &mut Findings) {
    for mark in starts(history) {
        let Some(run) = history.runs.get(&mark.run) else { continue };
        let Some(attempt) = run.attempts.iter().find(|one| one.attempt == mark.attempt) else {
            continue;
        };
        let evidence = || vec![show(mark), format!("run: {run:?}")];
        if mark.node.as_ref().is_some_and(|node| *node != attempt.node) {
            let what = format!("started by another node than {}", attempt.node);
            findings.add(&mark.job, what, evidence());
        }
        let before = attempt.assigned_at.ms_since(mark.at);
        if before > EARLY_MS && !history.clocks_moved {
            let what = format!("a start {before} ms before the log had given it to a node");
            findings.add(&mark.job, what, evidence());
        }
    }
}

pub(super) fn fences(history: &History, findings: &mut Findings) {
    let mut owner: BTreeMap<u64, &Mark> = BTreeMap::new();
    let mut last: BTreeMap<&str, &Mark> = BTreeMap::new();
    for mark in starts(history) {
        if let Some(first) = owner.insert(mark.fence, mark) {
            let what = format!("fence {} was given out twice", mark.fence);
            findings.add(&mark.job, what, vec![show(first), show(mark)]);
        }
        if let Some(before) = last.insert(&mark.run, mark)
            && (before.fence >= mark.fence || before.attempt >= mark.attempt)
        {
            let what = format!("the fence of run {} did not rise", mark.run);
            findings.add(&mark.job, what, vec![show(before), show(mark)]);
        }
    }
}

pub(super) fn never_early(history: &History, findings: &mut Findings) {
    let early = |mark: &Mark, time: Moment| mark.at < time.plus_ms(-EARLY_MS);
    for mark in starts(history) {
        if let Some(nominal) = mark.nominal.filter(|nominal| early(mark, *nominal)) {
            let what = format!("a start {} ms before its time", nominal.ms_since(mark.at));
            findings.add(&mark.job, what, vec![show(mark)]);
        }
        if let Some(run) = history.runs.get(&mark.run)
            && early(mark, run.fired_at)
        {
            let evidence = vec![show(mark), format!("run: {run:?}")];
            findings.add(&mark.job, "a start before its fire was decided", evidence);
        }
    }
}
