//! Never more attempts of a job at a time than its policy allows, seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cronapi::model::{JobNo, RunStatus};

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for no in history.kept() {
        let versions = history.versions(no);
        let allowed: Option<Vec<u32>> =
            versions.values().map(|(_, spec)| spec.max_concurrent()).collect();
        // A version without a bound leaves any number running.
        let Some(most) = allowed.and_then(|all| all.into_iter().max()) else { continue };
        broken.extend(at_a_time(history, no, most as usize));
    }
    broken
}

fn at_a_time(history: &History<'_>, no: JobNo, most: usize) -> Option<String> {
    // What the cluster gave up may go on where it is, so it does not count.
    let lost: BTreeSet<_> = history
        .runs
        .values()
        .flat_map(|run| run.attempts.iter().map(move |attempt| (run.id, attempt)))
        .filter(|(_, attempt)| attempt.status == RunStatus::Lost)
        .map(|(id, attempt)| (id, attempt.attempt))
        .collect();
    let mut steps: BTreeMap<(Duration, u64), i64> = BTreeMap::new();
    for (place, seen) in (0_u64..).zip(&history.inner.witnessed) {
        if seen.run.job_no() != no || lost.contains(&(seen.run, seen.attempt)) {
            continue;
        }
        let Some((ended, _)) = seen.ended else { continue };
        steps.insert((seen.began, 2 * place + 1), 1);
        steps.insert((ended, 2 * place), -1);
    }
    let mut open = 0;
    for ((at, _), step) in steps {
        open += step;
        if open > most as i64 {
            return Some(format!("job {no}: {open} attempts at {at:?}, {most} are allowed"));
        }
    }
    None
}
