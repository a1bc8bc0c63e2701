//! Attempts follow one another as `retry` says, and no otherwise.

use super::Findings;
use crate::history::{History, Run};
use crate::workload::Definition;

pub(super) fn by_policy(history: &History, findings: &mut Findings) {
    for run in history.runs.values() {
        let deleted = history.life_of(run).is_none_or(|life| life.deleted.is_some());
        let Some(definition) = history.definition_of(run).filter(|d| d.testifies()) else {
            continue;
        };
        let mut wrong = |what: String| {
            findings.add(&run.job, what, vec![format!("run: {run:?}")]);
        };
        let most = definition.retry.map_or(1, |retry| retry.max_attempts) as usize;
        if run.attempts.len() > most {
            wrong(format!("{} attempts of at most {most}", run.attempts.len()));
        }
        for (number, pair) in (1..).zip(run.attempts.windows(2)) {
            if pair[0].attempt != number || pair[1].attempt != number + 1 {
                wrong(format!("attempt {} follows attempt {}", pair[1].attempt, pair[0].attempt));
            }
            if !retried(definition, &pair[0].status) {
                wrong(format!("attempt {number} was {}, and was retried", pair[0].status));
            }
        }
        if !deleted && gave_up(definition, run, most) {
            wrong(format!("given up after {} attempts of {most}", run.attempts.len()));
        }
    }
}

/// Whether another attempt follows one that ended so.
fn retried(definition: &Definition, status: &str) -> bool {
    let Some(retry) = definition.retry else { return false };
    match status {
        "failed" | "timed_out" => true,
        "lost" => retry.lost,
        _ => false,
    }
}

fn gave_up(definition: &Definition, run: &Run, most: usize) -> bool {
    // One that someone asked the end of is not attempted again, however its attempt ended.
    if run.cancelled_by.is_some() {
        return false;
    }
    let ended = matches!(run.status.as_str(), "failed" | "timed_out" | "lost");
    let last = run.attempts.last().map(|attempt| attempt.status.as_str());
    ended && run.attempts.len() < most && last.is_some_and(|last| retried(definition, last))
}
