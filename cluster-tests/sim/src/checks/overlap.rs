//! Never more attempts of a job at a time than its policy allows, seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cronapi::model::{JobNo, RunStatus};

use crate::clock::EPOCH;
use crate::history::History;
use crate::record::Witnessed;

pub fn check(history: &History<'_>) -> Vec<String> {
    history.kept().into_iter().filter_map(|no| at_a_time(history, no)).collect()
}

/// The most that may run when an attempt begins, by what was in force from its run's decision
/// to then; none: any number.
fn most(history: &History<'_>, seen: &Witnessed) -> Option<u32> {
    let run = history.runs.get(&seen.run)?;
    let began = EPOCH.micros() + seen.began.as_micros() as i64 + history.inner.ahead_micros;
    let mut most = 0;
    for (version, (at, spec)) in history.versions(run.id.job_no()) {
        if version >= run.version && (version == run.version || at.micros() <= began) {
            most = most.max(spec.max_concurrent()?);
        }
    }
    Some(most)
}

fn at_a_time(history: &History<'_>, no: JobNo) -> Option<String> {
    // What the cluster gave up may go on where it is, so it does not count.
    let lost: BTreeSet<_> = history
        .runs
        .values()
        .flat_map(|run| run.attempts.iter().map(move |attempt| (run.id, attempt)))
        .filter(|(_, attempt)| attempt.status == RunStatus::Lost)
        .map(|(id, attempt)| (id, attempt.attempt))
        .collect();
    let mut steps: BTreeMap<(Duration, u64), Option<&Witnessed>> = BTreeMap::new();
    for (place, seen) in (0_u64..).zip(&history.inner.witnessed) {
        // What a backfill runs stands beside the policy.
        let beside = history.runs.get(&seen.run).is_some_and(|run| run.backfill.is_some());
        if seen.run.job_no() != no || beside || lost.contains(&(seen.run, seen.attempt)) {
            continue;
        }
        let Some((ended, _)) = seen.ended else { continue };
        steps.insert((seen.began, 2 * place + 1), Some(seen));
        steps.insert((ended, 2 * place), None);
    }
    let mut open = 0_u32;
    for ((at, _), begins) in steps {
        let Some(seen) = begins else {
            open = open.saturating_sub(1);
            continue;
        };
        open += 1;
        if let Some(most) = most(history, seen).filter(|most| open > *most) {
            let run = seen.run;
            return Some(format!("job {no}: {open} attempts at {at:?}, {run} allows {most}"));
        }
    }
    None
}
