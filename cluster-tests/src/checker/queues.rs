//! Never more attempt starts of a queue in any window of time than its rates allow, and no job that
//! starts again and again while another waits: by the times of the log, whoever led and however
//! often it was proposed.

use std::collections::BTreeMap;

use super::Findings;
use crate::history::{Attempt, History, Run};
use crate::moment::Moment;

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

/// Starts that another job may have while one waits: one that was due before it, and one that is
/// due at the same turn.
const TURNS: usize = 2;
/// Steps of the leader that may pass a run: the one that was under way, and one that placed it at a
/// node which was gone by then.
const PASSES: usize = 2;
/// What is later than this is caught up, behind what is live.
const MISFIRE_GRACE_MS: i64 = 5_000;

/// The queue of the workload gives each of its jobs the same share.
pub(super) fn fair(history: &History, findings: &mut Findings) {
    for (name, queue) in &history.queues {
        let of = |run: &&Run| {
            let definition = history.definition_of(run);
            let late =
                run.nominal_time.is_some_and(|at| run.fired_at > at.plus_ms(MISFIRE_GRACE_MS));
            let live = run.backfill.is_none() && !late && run.fired_at >= queue.since;
            live && definition.is_some_and(|definition| definition.queue.as_ref() == Some(name))
        };
        let starts: Vec<(Moment, &Run)> = history
            .runs
            .values()
            .filter(of)
            .filter_map(|run| Some((run.attempts.first()?.assigned_at, run)))
            .collect();
        for (until, run) in &starts {
            let mut others: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (at, other) in &starts {
                if other.job_uid != run.job_uid && run.fired_at < *at && at < until {
                    let start = format!("{at}: {}", other.id);
                    others.entry(&other.job).or_default().push(start);
                }
            }
            if let Some((job, starts)) =
                others.into_iter().find(|(_, it)| it.len() > TURNS + PASSES)
            {
                let what = format!("{} waited while {job} started {} times", run.id, starts.len());
                findings.add(&format!("queue {name}"), what, starts);
            }
        }
    }
}
