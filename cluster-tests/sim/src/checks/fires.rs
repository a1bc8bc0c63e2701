//! At most one run for a job's nominal time.

use std::collections::BTreeMap;

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut by_time = BTreeMap::new();
    for run in history.runs.values() {
        let Some(nominal) = run.nominal_time.filter(|_| run.backfill.is_none()) else { continue };
        if let Some(other) = by_time.insert((run.id.job_no(), nominal), run.id) {
            broken.push(format!("{} {nominal}: {} and {other}", run.job, run.id));
        }
    }
    // The same from outside, for jobs that are gone as well.
    let mut seen_by_time = BTreeMap::new();
    for seen in &history.inner.witnessed {
        let Some(nominal) = seen.nominal.filter(|_| seen.trigger == "schedule") else { continue };
        let first = *seen_by_time.entry((seen.run.job_no(), nominal)).or_insert(seen.run);
        if first != seen.run {
            broken.push(format!("{} {nominal} ran as {first} and {}", seen.job, seen.run));
        }
    }
    broken
}
