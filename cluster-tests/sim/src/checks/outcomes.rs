//! Every nominal time up to the end is decided exactly once: the times that the rows and runs
//! of a version name follow on each other without a gap.

use std::collections::BTreeMap;

use cronapi::model::{JobNo, Outcome, Timestamp};

use crate::history::History;
use crate::rule::Rule;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let Some(state) = history.state() else { return broken };
    for (no, job) in &state.jobs {
        let told = |what: String| format!("job {no} {}: {what}", job.spec.name);
        let decided = match decided(history, *no, job.created_at) {
            Ok(decided) => decided,
            Err(all) => {
                broken.extend(all.into_iter().map(told));
                continue;
            }
        };
        broken.extend(whole(history, *no, job.created_at, &decided).into_iter().map(told));
    }
    broken
}

/// Each decided second, and the version that it was decided by.
fn decided(
    history: &History<'_>,
    no: JobNo,
    created: Timestamp,
) -> Result<BTreeMap<i64, u64>, Vec<String>> {
    let versions = history.versions(no);
    let (mut decided, mut broken) = (BTreeMap::new(), Vec::new());
    let mut decide = |second: i64, version: u64, how: String| {
        if let Some(other) = decided.insert(second, version) {
            broken.push(format!("{how} {second} is decided twice, by {version} and {other}"));
        }
    };
    for run in history.scheduled(no) {
        let nominal = run.nominal_time.unwrap_or_default();
        decide(nominal.secs(), run.version, format!("run {}", run.id));
    }
    let mut wrong = Vec::new();
    for row in history.ledger(no) {
        if row.outcome == Outcome::Fired {
            continue;
        }
        let (from, version) = (row.nominal_time.secs(), row.version);
        let until = row.until.map_or(from + 1, Timestamp::secs);
        let rule = versions.get(&version).and_then(|(_, spec)| Rule::of(spec));
        let Some(rule) = rule else {
            wrong.push(format!("{row:?} is of a version without a schedule"));
            continue;
        };
        let times = rule.between(from, until, created);
        if times.first() != Some(&from) || row.count.is_some_and(|n| n as usize != times.len()) {
            wrong.push(format!("{row:?} does not name the times {times:?}"));
        }
        times.into_iter().for_each(|second| decide(second, version, format!("{row:?}")));
    }
    broken.extend(wrong);
    if broken.is_empty() { Ok(decided) } else { Err(broken) }
}

fn whole(
    history: &History<'_>,
    no: JobNo,
    created: Timestamp,
    decided: &BTreeMap<i64, u64>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let versions = history.versions(no);
    let mut by_version: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for (second, version) in decided {
        by_version.entry(*version).or_default().push(*second);
    }
    let mut last = None;
    for (version, times) in by_version {
        let Some((at, spec)) = versions.get(&version) else {
            broken.push(format!("version {version} decided and is not known"));
            continue;
        };
        let Some(rule) = Rule::of(spec) else {
            broken.push(format!("version {version} has no schedule and decided {times:?}"));
            continue;
        };
        let (first, end) = (times[0], times[times.len() - 1]);
        let want = rule.between(first, end + 1, created);
        if want != times {
            let lacks: Vec<_> = want.iter().filter(|t| !times.contains(t)).collect();
            let more: Vec<_> = times.iter().filter(|t| !want.contains(t)).collect();
            broken.push(format!("version {version} leaves out {lacks:?}, invents {more:?}"));
        }
        if last.is_some_and(|last| first <= last) {
            broken.push(format!("version {version} decides {first} after {last:?}"));
        }
        // Clocks may be set back, never is the first time later than the one after the edit.
        let begins = rule.after(at.secs().max(last.unwrap_or_default()), created);
        if first > begins {
            broken.push(format!("version {version} begins with {first}, not {begins}"));
        }
        last = Some(end);
    }
    broken
}
