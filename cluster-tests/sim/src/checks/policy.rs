//! What was skipped and what was caught up follows the job's misfire and overlap policy.

use cronapi::model::{LedgerRow, MisfirePolicy, Overlap, Run, SkipReason, Timestamp, limits};

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for no in history.kept() {
        let versions = history.versions(no);
        for row in history.ledger(no) {
            let Some((_, spec)) = versions.get(&row.version) else { continue };
            let misfire = spec.misfire();
            if let Some(why) = skipped(row, &misfire, spec.overlap(), spec.enabled.0) {
                broken.push(format!("job {no} version {}: {why}: {row:?}", row.version));
            }
        }
        for run in history.scheduled(no) {
            let Some((_, spec)) = versions.get(&run.version) else { continue };
            if let Some(why) = fired(run, &spec.misfire(), spec.enabled.0) {
                broken.push(format!("job {no} {}: {why}", run.id));
            }
        }
    }
    broken
}

fn skipped(
    row: &LedgerRow,
    misfire: &cronapi::model::Misfire,
    overlap: Overlap,
    enabled: bool,
) -> Option<String> {
    let grace = limits::MISFIRE_GRACE.micros();
    let age = |at: Timestamp| row.decided_at.micros() - at.micros();
    let newest = row.until.map_or(row.nominal_time.micros(), |until| until.micros() - 1_000_000);
    let why = match row.reason? {
        SkipReason::Overlap if overlap == Overlap::QueueAll => "queue_all skips none",
        SkipReason::Paused if enabled => "the version is not paused",
        SkipReason::Misfire if misfire.policy == MisfirePolicy::All => "`all` skips none so",
        SkipReason::Limit if misfire.policy != MisfirePolicy::All => "there is no limit",
        // The leader's own clock decides; log time is not behind it.
        SkipReason::Misfire | SkipReason::Limit if age(row.nominal_time) <= grace => {
            "none of it was missed"
        }
        SkipReason::WindowPassed
            if row.decided_at.micros() - newest < misfire.window.micros().max(grace) =>
        {
            "its window has not passed"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn fired(run: &Run, misfire: &cronapi::model::Misfire, enabled: bool) -> Option<String> {
    let nominal = run.nominal_time?;
    if !enabled {
        return Some("the version is paused".to_owned());
    }
    // By log time, which may be ahead of the clock that decided: so only "too early" is told.
    if run.fired_at.micros() < nominal.micros() - limits_ahead() {
        return Some(format!("decided at {} for {nominal}", run.fired_at));
    }
    let _ = misfire;
    None
}

/// How long before its nominal time a fire may be decided.
fn limits_ahead() -> i64 {
    0
}
