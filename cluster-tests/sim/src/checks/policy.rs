//! What was skipped and what was caught up follows the job's misfire and overlap policy.

use cronapi::model::{
    JobNo, LedgerRow, Misfire, MisfirePolicy, Overlap, Run, SkipReason, Timestamp, limits,
};

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    for no in history.kept() {
        let versions = history.versions(no);
        for row in history.ledger(no) {
            let Some((_, spec)) = versions.get(&row.version) else { continue };
            let misfire = spec.misfire();
            // Once one time was missed, the policy decides about all that are due by then.
            let oldest = oldest(history, no, row);
            let late = Late { row, oldest, misfire: &misfire };
            let why = skipped(&late, spec.overlap(), spec.enabled.0);
            if let Some(why) = why.or_else(|| alone(history, no, row)) {
                broken.push(format!("job {no} version {}: {why}: {row:?}", row.version));
            }
        }
        for run in history.scheduled(no) {
            let Some((_, spec)) = versions.get(&run.version) else { continue };
            if !spec.enabled.0 {
                broken.push(format!("job {no} {}: its version is paused", run.id));
            }
            if let Some(nominal) = run.nominal_time.filter(|nominal| run.fired_at < *nominal) {
                let at = run.fired_at;
                broken.push(format!("job {no} {}: decided at {at} for {nominal}", run.id));
            }
        }
    }
    broken
}

/// The oldest time that was decided together with a row: skipped or fired.
fn oldest(history: &History<'_>, no: JobNo, row: &LedgerRow) -> Timestamp {
    let rows = history.ledger(no).iter().map(|row| (row.decided_at, row.nominal_time));
    let runs = history.scheduled(no).filter_map(|run| Some((run.fired_at, run.nominal_time?)));
    let together = rows.chain(runs).filter(|(decided, _)| *decided == row.decided_at);
    together.map(|(_, nominal)| nominal).min().unwrap_or(row.nominal_time)
}

/// Skipped for other runs, and there were none.
fn alone(history: &History<'_>, no: JobNo, row: &LedgerRow) -> Option<String> {
    let open = |run: &Run| {
        let closed = run.finished_at.is_none_or(|closed| closed >= row.decided_at);
        run.id.job_no() == no && run.fired_at <= row.decided_at && closed
    };
    let overlap = row.reason == Some(SkipReason::Overlap);
    (overlap && !history.runs.values().any(open)).then(|| "none of its runs was open".to_owned())
}

/// A row, and the oldest time that was decided together with it.
struct Late<'a> {
    row: &'a LedgerRow,
    oldest: Timestamp,
    misfire: &'a Misfire,
}

fn skipped(late: &Late<'_>, overlap: Overlap, enabled: bool) -> Option<String> {
    let Late { row, oldest, misfire } = late;
    let grace = limits::MISFIRE_GRACE.micros();
    let (decided, all) = (row.decided_at.micros(), misfire.policy == MisfirePolicy::All);
    let newest = row.until.map_or(row.nominal_time.micros(), |until| until.micros() - 1_000_000);
    let why = match row.reason? {
        SkipReason::Overlap if overlap == Overlap::QueueAll => "queue_all skips none",
        SkipReason::Paused if enabled => "the version is not paused",
        SkipReason::Misfire if all => "`all` skips none so",
        SkipReason::Limit if !all => "there is no limit",
        // The leader's own clock decides; log time is not behind it.
        SkipReason::Misfire | SkipReason::Limit if decided - oldest.micros() <= grace => {
            "none of it was missed"
        }
        SkipReason::WindowPassed if decided - newest < misfire.window.micros().max(grace) => {
            "its window has not passed"
        }
        _ => return None,
    };
    Some(why.to_owned())
}
