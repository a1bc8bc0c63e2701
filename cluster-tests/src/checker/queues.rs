//! Never more attempt starts of a queue in any window of time than its rates allow, by the times of
//! the log, whoever led and however often it was proposed.

use super::Findings;
use crate::history::{Attempt, History, Run};

pub(super) fn rates(history: &History, findings: &mut Findings) {
    for (name, queue) in &history.queues {
        let of = |run: &&Run| {
            let definition = history.definition_of(run);
            definition.is_some_and(|definition| definition.queue.as_ref() == Some(name))
        };
        let runs = history.runs.values().filter(of);
        let mut starts: Vec<(&Attempt, &Run)> =
            runs.flat_map(|run| run.attempts.iter().map(move |attempt| (attempt, run))).collect();
        starts.retain(|(attempt, _)| attempt.assigned_at >= queue.since);
        starts.sort_by_key(|(attempt, _)| (attempt.assigned_at, attempt.fence));
        for (limit, per_ms) in &queue.rates {
            for window in starts.windows(limit + 1) {
                let (first, last) = (window[0].0, window[*limit].0);
                if last.assigned_at < first.assigned_at.plus_ms(*per_ms) {
                    let what = format!("over {limit} starts in {per_ms} ms");
                    let show = |(attempt, run): &(&Attempt, &Run)| {
                        format!(
                            "{}: attempt {} of {}",
                            attempt.assigned_at, attempt.attempt, run.id
                        )
                    };
                    findings.add(&format!("queue {name}"), what, window.iter().map(show).collect());
                    break;
                }
            }
        }
    }
}
