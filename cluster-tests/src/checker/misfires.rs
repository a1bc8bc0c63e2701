//! What was missed is caught up as the policy in force says. Contract 2.4.

use super::Findings;
use crate::history::{History, Life, Row};
use crate::moment::Moment;
use crate::workload::{Definition, Policy};

/// Times that are no later than this are not missed: they fire, late.
const GRACE_MS: i64 = 5_000;
/// From the look at the clock to the log's own, on a busy machine.
const SLACK_MS: i64 = 1_500;

pub(super) fn by_policy(history: &History, findings: &mut Findings) {
    for life in &history.lives {
        for row in &life.ledger {
            let Some(version) = life.version(row.version) else { continue };
            let definition = &version.definition;
            if definition.schedule.is_none() {
                continue;
            }
            if let Some(what) = wrong_skip(life, definition, row) {
                findings.add(&life.name, what, vec![format!("ledger: {row:?}")]);
            }
            if row.outcome == "fired"
                && let Some(run) = row.run_id.as_ref().and_then(|id| history.runs.get(id))
                && let Some(what) = wrong_fire(life, definition, row.nominal_time, run.fired_at)
            {
                let evidence = vec![format!("ledger: {row:?}"), format!("run: {run:?}")];
                findings.add(&life.name, what, evidence);
            }
        }
    }
}

fn wrong_skip(life: &Life, definition: &Definition, row: &Row) -> Option<String> {
    let late = |time: Moment| row.decided_at.ms_since(time);
    let first = late(row.nominal_time);
    // A range ends on a whole second after its last time.
    let last = late(row.until.map_or(row.nominal_time, |until| until.plus_ms(-1_000)));
    match (row.reason.as_deref()?, definition.misfire) {
        ("misfire", Policy::All) => Some("all were to be caught up, and some were skipped".into()),
        ("misfire", Policy::Skip) if last < GRACE_MS => {
            Some(format!("skipped as missed, {last} ms late only"))
        }
        // All but the newest of those that are due, if the oldest of them was missed.
        ("misfire", Policy::Latest) => {
            let from = row.until.map_or(row.nominal_time, |until| until.plus_ms(-1_000));
            let schedule = definition.schedule?;
            let newer = schedule.between(life.created, from, row.decided_at);
            newer.is_empty().then(|| "skipped as missed, and was the latest".into())
        }
        ("window_passed", _) if first < definition.window_s * 1_000 || first < GRACE_MS => {
            Some(format!("skipped as too old, {first} ms late only"))
        }
        _ => None,
    }
}

fn wrong_fire(
    life: &Life,
    definition: &Definition,
    nominal: Moment,
    fired: Moment,
) -> Option<String> {
    let late = fired.ms_since(nominal) - definition.jitter_s * 1_000;
    if late <= GRACE_MS + SLACK_MS {
        return None;
    }
    if late > definition.window_s * 1_000 + SLACK_MS + 1_000 {
        return Some(format!("fired {late} ms late, with a window of {} s", definition.window_s));
    }
    match definition.misfire {
        Policy::All => None,
        Policy::Skip => Some(format!("fired {late} ms late, and missed ones were to be skipped")),
        Policy::Latest => {
            // A newer one that was due as well should have been the one.
            let until = fired.plus_ms(-SLACK_MS - definition.jitter_s * 1_000);
            let schedule = definition.schedule?;
            let newer = schedule.between(life.created, nominal, until).pop()?;
            Some(format!("fired {late} ms late, and not the latest missed one, {newer}"))
        }
    }
}
