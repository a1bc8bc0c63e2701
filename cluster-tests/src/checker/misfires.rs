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
            if let Some(what) = wrong_skip(definition, row) {
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

fn late(row: &Row) -> i64 {
    row.decided_at.ms_since(row.nominal_time)
}

fn wrong_skip(definition: &Definition, row: &Row) -> Option<String> {
    let reason = row.reason.as_deref()?;
    let late = late(row);
    match reason {
        "misfire" if definition.misfire == Policy::All => {
            Some("all were to be caught up, and some were skipped".into())
        }
        "misfire" if late < GRACE_MS => Some(format!("skipped as missed, {late} ms late only")),
        // A range has rows younger than the window's edge by the second that it ends on.
        "window_passed" if late < definition.window_s * 1_000 => {
            Some(format!("skipped as too old, {late} ms late only"))
        }
        "window_passed" if late < GRACE_MS => Some(format!("{late} ms late is not missed")),
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
