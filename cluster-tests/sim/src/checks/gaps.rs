//! No version leaves a time undecided: from when it took effect until the next one did, every
//! time that its schedule names has an outcome, its own or one that a later version gave it.

use std::collections::BTreeSet;

use cronapi::model::{JobNo, Outcome};

use crate::history::History;
use crate::rule::Rule;

/// How long a time may be due before it is decided or left to the next version, in seconds,
/// beside the time that an edit may take from the leader's decision to the log.
const SLACK: i64 = 2;

pub fn check(history: &History<'_>) -> Vec<String> {
    // Log time and clocks are too far apart to tell which version a time belongs to.
    if history.plan.sets_clocks() {
        return Vec::new();
    }
    let mut broken = Vec::new();
    let Some(state) = history.state() else { return broken };
    for (no, job) in &state.jobs {
        let decided = decided(history, *no);
        let patience = history.plan.patience.as_secs() as i64;
        let slack = SLACK + patience + 2 * history.plan.skew_micros / 1_000_000;
        let versions: Vec<_> = history.versions(*no).into_iter().collect();
        // The pause that goes on at the end is no row yet.
        let end = job.live.paused_from.map_or(i64::MAX, |from| from.secs());
        for pair in versions.windows(2) {
            let [(version, (from, spec)), (_, (until, _))] = pair else { continue };
            // Its runs may be used up.
            let Some(rule) = Rule::of(spec).filter(|_| spec.max_runs.is_none()) else { continue };
            let until = (until.secs() - slack).min(end);
            let times = rule.between(from.secs() + slack, until, job.created_at);
            let lacks: Vec<_> = times.iter().filter(|time| !decided.contains(time)).collect();
            if !lacks.is_empty() {
                let name = &job.spec.name;
                broken.push(format!("job {no} {name}: version {version} left {lacks:?}"));
            }
        }
    }
    broken
}

/// Every second of which a run or a row tells.
fn decided(history: &History<'_>, no: JobNo) -> BTreeSet<i64> {
    let runs = history.scheduled(no).filter_map(|run| run.nominal_time);
    let mut decided: BTreeSet<i64> = runs.map(|nominal| nominal.secs()).collect();
    for row in history.ledger(no).iter().filter(|row| row.outcome != Outcome::Fired) {
        let from = row.nominal_time.secs();
        decided.extend(from..row.until.map_or(from + 1, |until| until.secs()));
    }
    decided
}
