//! A scheduled job with dependencies starts only after each has newly succeeded, and is
//! skipped only when one has not.

use super::Findings;
use super::followers::successes;
use crate::history::{History, Life, Run};
use crate::moment::Moment;
use crate::workload::Definition;

pub(super) fn held(history: &History, findings: &mut Findings) {
    for life in history.lives.iter().filter(|life| life.deleted.is_none()) {
        let definition = &life.last().definition;
        let gated = definition.schedule.is_some() && !definition.dependencies.is_empty();
        if gated {
            gate(history, life, definition, findings);
        }
    }
}

fn gate(history: &History, life: &Life, definition: &Definition, findings: &mut Findings) {
    let mut runs: Vec<&Run> = history.runs_of(life).collect();
    runs.sort_by_key(|run| run.fired_at);
    let mut before: Option<&Run> = None;
    for run in runs {
        // For the first fire any success counts.
        let since = before.map_or(Moment(0), |before| before.fired_at);
        let started = run.attempts.first().map(|attempt| attempt.assigned_at);
        let evidence = || vec![format!("before: {before:?}"), format!("run: {run:?}")];
        let unmet = run.skip.as_deref() == Some("dependencies_unmet");
        if let Some(started) = started
            // At that very instant it may have been before or after.
            && !all_within(history, definition, since.plus_ms(-1), started)
        {
            findings.add(&life.name, "started before its dependencies succeeded", evidence());
        }
        if unmet
            && let Some(end) = run.finished_at
            && all_within(history, definition, since.plus_ms(1), end.plus_ms(-1))
        {
            findings.add(&life.name, "skipped although its dependencies succeeded", evidence());
        }
        before = Some(run);
    }
}

/// Whether each dependency has a success within the two instants.
fn all_within(history: &History, of: &Definition, from: Moment, until: Moment) -> bool {
    of.dependencies.iter().all(|name| {
        let found = successes(history, std::slice::from_ref(name), from);
        found.iter().any(|(end, _, _)| *end <= until)
    })
}
