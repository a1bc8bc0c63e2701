//! A backfill runs each of its times once, has a run for each that it counts, and runs what its
//! range holds.

use std::collections::{BTreeMap, BTreeSet};

use cronapi::model::{RunId, Timestamp};

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut made: BTreeMap<u64, BTreeMap<Timestamp, RunId>> = BTreeMap::new();
    for run in history.runs.values() {
        let (Some(id), Some(at)) = (run.backfill, run.nominal_time) else { continue };
        if let Some(other) = made.entry(id).or_default().insert(at, run.id) {
            broken.push(format!("backfill {id} ran {at} as {other} and {}", run.id));
        }
    }
    let mut seen: BTreeSet<(RunId, u32)> = BTreeSet::new();
    for witnessed in history.inner.witnessed.iter().filter(|it| it.trigger == "backfill") {
        if !seen.insert((witnessed.run, witnessed.attempt)) {
            broken.push(format!("{} began attempt {} twice", witnessed.run, witnessed.attempt));
        }
    }
    let Some(state) = history.state() else { return broken };
    for (id, backfill) in &state.backfills.all {
        let times = made.remove(id).unwrap_or_default();
        let outside = times.keys().find(|at| **at < backfill.from || **at >= backfill.to);
        broken.extend(outside.map(|at| format!("backfill {id} ran {at}, which it does not hold")));
        // Runs that retention took, and those of jobs that are gone, are not there to be counted.
        if times.len() as u64 > backfill.counts.made {
            broken.push(format!("backfill {id} has {} runs: {backfill:?}", times.len()));
        }
    }
    broken
}
