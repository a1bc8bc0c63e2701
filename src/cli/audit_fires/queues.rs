//! Queues, judged from the attempts that history keeps: never more open at a time than a queue's
//! `concurrency`, never more starts in any window than its rates.
//!
//! Judged is what was assigned after the definition now in force: earlier ones may have allowed
//! more.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::client::escaped;
use super::super::exit::{Code, Failure};
use super::client::Client;
use super::gathered::Start;
use super::report::{Findings, Report, rule};
use crate::model::flow::StartRate;
use crate::model::{Run, RunId, Span, Timestamp};

/// Attempts that are kept for this; what is beyond is told as not checked.
const ATTEMPTS_MAX: usize = 2_000_000;

/// The starts of a run whose queue is `queue`. Ends are told by the clocks of nodes: each counts
/// from `skew` before.
pub(super) fn starts<'a>(
    run: &'a Run,
    queue: &'a str,
    skew: Span,
) -> impl Iterator<Item = Start> + 'a {
    run.attempts.iter().map(move |attempt| Start {
        queue: queue.to_owned(),
        at: attempt.assigned_at,
        until: attempt.finished_at.map_or(Timestamp::MAX, |end| end.minus(skew)),
        run: run.id,
    })
}

/// `/queues/{name}`.
#[derive(Deserialize)]
struct Queue {
    #[serde(default)]
    concurrency: Option<u32>,
    #[serde(default)]
    rates: Vec<StartRate>,
    #[serde(default)]
    updated_at: Option<Timestamp>,
}

/// The starts of all queues.
#[derive(Default)]
pub(super) struct Queues {
    starts: BTreeMap<String, Vec<(Timestamp, Timestamp, RunId)>>,
    count: usize,
    cut: bool,
}

impl Queues {
    /// Takes what was found of a job.
    pub(super) fn take(&mut self, found: &mut Findings) {
        for start in std::mem::take(&mut found.queued) {
            if self.count == ATTEMPTS_MAX {
                self.cut = true;
                return;
            }
            self.count += 1;
            let of = self.starts.entry(start.queue).or_default();
            of.push((start.at, start.until, start.run));
        }
    }

    /// Judges all of them.
    pub(super) async fn check(self, client: &Client, report: &mut Report) -> Result<(), Failure> {
        if self.cut {
            report.unchecked(format!("queues beyond {ATTEMPTS_MAX} attempts"));
        }
        for (name, mut starts) in self.starts {
            let path = format!("/queues/{}", escaped(&name));
            let queue: Queue = match client.get(0, &path).await {
                // Nobody defined it.
                Err(failure) if failure.code == Code::NotFound => continue,
                other => other?,
            };
            let since = queue.updated_at.unwrap_or(Timestamp::ZERO);
            starts.retain(|(at, _, _)| *at > since);
            starts.sort_unstable();
            let mut found = Findings::default();
            found.of_queue(&name, &queue, &starts);
            report.add(found);
        }
        Ok(())
    }
}

impl Findings {
    fn of_queue(&mut self, name: &str, queue: &Queue, starts: &[(Timestamp, Timestamp, RunId)]) {
        for rate in &queue.rates {
            let most = rate.limit as usize;
            let over = |window: &&[(Timestamp, Timestamp, RunId)]| {
                window[most].0 < window[0].0.plus(rate.per)
            };
            if let Some(window) = starts.windows(most + 1).find(over) {
                let (from, to, run) = (window[0].0, window[most].0, window[most].2);
                let text = format!(
                    "queue {name}: {} starts from {from} to {to}, of {most} in {} (run {run})",
                    most + 1,
                    rate.per
                );
                self.add(rule::QUEUES, text);
            }
        }
        let Some(most) = queue.concurrency else { return };
        // Ends that are still to come, the nearest first.
        let mut open: std::collections::BinaryHeap<std::cmp::Reverse<Timestamp>> =
            Default::default();
        for (at, until, run) in starts {
            while open.peek().is_some_and(|end| end.0 <= *at) {
                open.pop();
            }
            open.push(std::cmp::Reverse(*until));
            if open.len() > most as usize {
                let text = format!(
                    "queue {name}: {} attempts are open at {at}, of {most} (run {run})",
                    open.len()
                );
                return self.add(rule::QUEUES, text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(queue: &Queue, starts: &[(i64, i64)]) -> usize {
        let at = Timestamp::from_secs;
        let run = |n: usize| RunId::new(at(1), 1, n as u64);
        let starts: Vec<_> =
            starts.iter().enumerate().map(|(n, (from, to))| (at(*from), at(*to), run(n))).collect();
        let mut found = Findings::default();
        found.of_queue("q", queue, &starts);
        usize::from(!found.is_sound())
    }

    #[test]
    fn more_than_a_window_or_a_bound_allows_is_found() {
        let rate = StartRate { limit: 2, per: Span::from_secs(10) };
        let rates = Queue { concurrency: None, rates: vec![rate], updated_at: None };
        assert_eq!(found(&rates, &[(0, 1), (5, 6), (10, 11)]), 0, "windows are half open");
        assert_eq!(found(&rates, &[(0, 1), (5, 6), (9, 11)]), 1);
        let bound = Queue { concurrency: Some(1), rates: Vec::new(), updated_at: None };
        assert_eq!(found(&bound, &[(0, 5), (5, 9)]), 0);
        assert_eq!(found(&bound, &[(0, 5), (4, 9)]), 1);
    }
}
