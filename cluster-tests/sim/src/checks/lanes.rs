//! What is run for the past goes behind what is live: no backfill's run is placed while a live one
//! waits that could have its place. And shares of a queue get what they weigh.
//!
//! By events, in the order of the log. A step of the leader is planned when those before it are
//! applied, so one step may pass a run that came while it was under way; the next must not.

use std::collections::{BTreeMap, BTreeSet};

use cronapi::model::{Kind, Run, RunId, Spec, Timestamp, Trigger, limits};

use crate::history::History;
use crate::operators::definition::QUEUE;

/// Steps that may pass a run: the one that was under way, and one that placed it at a node which
/// was gone by then.
const PASSES: usize = 2;

pub fn check(history: &History<'_>) -> Vec<String> {
    let lines = Lines::of(history);
    let mut broken = lines.passed(history);
    broken.extend(lines.unfair(history));
    broken
}

/// Where a run waits.
#[derive(Clone)]
struct Waits {
    lane: u8,
    queue: Option<String>,
    share: String,
}

/// A step in the life of a run.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    /// It may start from here on.
    Queued,
    /// It is given to a node.
    Placed,
    /// It waits for something else, or is over.
    Away,
}

struct Lines<'a> {
    /// Entry, log time, run and step, in the order of the log.
    steps: Vec<(u64, Timestamp, &'a Run, Step)>,
    defined_at: Timestamp,
}

impl<'a> Lines<'a> {
    /// Of the runs whose events are all known.
    fn of(history: &'a History<'_>) -> Self {
        let mut steps = Vec::new();
        let mut placed: BTreeMap<RunId, usize> = BTreeMap::new();
        for event in history.inner.events.values() {
            let Some(run) = event.run_id.and_then(|id| history.runs.get(&id)) else { continue };
            let step = match event.kind.as_str() {
                "run.queued" => Step::Queued,
                "run.assigned" => Step::Placed,
                "run.cancelling" | "run.paused" | "run.resumed" => continue,
                _ => Step::Away,
            };
            *placed.entry(run.id).or_default() += usize::from(step == Step::Placed);
            steps.push((event.index, event.at, run, step));
        }
        steps.retain(|(_, _, run, _)| placed.get(&run.id) == Some(&run.attempts.len()));
        let queue = history.state().and_then(|it| it.definitions.get(Kind::Queue, QUEUE));
        let defined_at = queue.map_or(Timestamp::MAX, |queue| queue.updated_at);
        Self { steps, defined_at }
    }

    fn passed(&self, history: &History<'_>) -> Vec<String> {
        let mut broken = Vec::new();
        let mut attempts: BTreeMap<RunId, usize> = BTreeMap::new();
        // Live runs that wait, and the entries that passed them.
        let mut live: BTreeMap<RunId, (Waits, BTreeSet<u64>)> = BTreeMap::new();
        for (entry, at, run, step) in &self.steps {
            let begun = attempts.entry(run.id).or_default();
            let waits = || waits(history, run, *begun > 0);
            match step {
                Step::Queued => {
                    if let Some(waits) = waits().filter(|waits| waits.lane == 0) {
                        live.insert(run.id, (waits, BTreeSet::new()));
                    }
                }
                Step::Away => drop(live.remove(&run.id)),
                Step::Placed => {
                    live.remove(&run.id);
                    let past = waits().filter(|waits| waits.lane == 2);
                    *begun += 1;
                    let Some(past) = past else { continue };
                    for (id, (waits, passed)) in &mut live {
                        // Rules that the run knows since it waits, or none.
                        let known = waits.queue.is_none()
                            || (waits.queue == past.queue && *at > self.defined_at);
                        if known && passed.insert(*entry) && passed.len() > PASSES {
                            let text = format!("{} at {at} passed {id}, as {passed:?} did", run.id);
                            broken.push(text);
                        }
                    }
                }
            }
        }
        broken
    }

    /// Two shares of a queue that both have something waiting all the while: what they start
    /// differs by no more than a start of each, and what one step may have lost.
    fn unfair(&self, history: &History<'_>) -> Vec<String> {
        let queue = history.state().and_then(|it| it.definitions.get(Kind::Queue, QUEUE));
        let Some(Spec::Queue(rules)) = queue.map(|queue| &queue.spec) else { return Vec::new() };
        let weight = |share: &str| f64::from(rules.weights.get(share).copied().unwrap_or(1));
        let slack = f64::from(rules.concurrency.unwrap_or(1).saturating_sub(1));
        let (mut broken, mut attempts) = (Vec::new(), BTreeMap::<RunId, usize>::new());
        let mut line = Shares::default();
        for (entry, at, run, step) in &self.steps {
            let begun = attempts.entry(run.id).or_default();
            let waits = waits(history, run, *begun > 0);
            let live = waits.filter(|it| it.lane == 0 && it.queue.as_deref() == Some(QUEUE));
            *begun += usize::from(*step == Step::Placed);
            let Some(live) = live.filter(|_| *at > self.defined_at) else { continue };
            if *step == Step::Queued {
                line.comes(run.id, &live.share);
                continue;
            }
            if *step == Step::Placed {
                line.starts(*entry, &live.share);
            }
            for (a, b, (mine, theirs)) in line.pairs() {
                let apart = (mine / weight(a) - theirs / weight(b)).abs();
                if apart > 1.0 / weight(a) + 1.0 / weight(b) + slack {
                    broken.push(format!("{a} started {mine} and {b} {theirs} by {at}"));
                }
            }
            line.goes(run.id, &live.share);
        }
        broken
    }
}

/// The shares that have something waiting, and what each pair of them started since both have.
#[derive(Default)]
struct Shares {
    waiting: BTreeMap<String, BTreeSet<RunId>>,
    /// By the pair: the entry that was under way, and the starts of the two.
    pairs: BTreeMap<(String, String), (Option<u64>, f64, f64)>,
}

impl Shares {
    fn comes(&mut self, run: RunId, share: &str) {
        let others: Vec<String> = self.waiting.keys().cloned().collect();
        let waiting = self.waiting.entry(share.to_owned()).or_default();
        if waiting.insert(run) && waiting.len() == 1 {
            for other in others.into_iter().filter(|other| other != share) {
                let pair = [share.to_owned(), other];
                let [a, b] = if pair[0] < pair[1] { pair } else { [pair[1].clone(), share.into()] };
                self.pairs.insert((a, b), (None, 0.0, 0.0));
            }
        }
    }

    fn starts(&mut self, entry: u64, share: &str) {
        for ((a, b), (first, mine, theirs)) in &mut self.pairs {
            // What was planned before both waited does not count.
            if *first.get_or_insert(entry) == entry {
                continue;
            }
            *mine += f64::from(u8::from(a == share));
            *theirs += f64::from(u8::from(b == share));
        }
    }

    fn goes(&mut self, run: RunId, share: &str) {
        let Some(waiting) = self.waiting.get_mut(share) else { return };
        waiting.remove(&run);
        if waiting.is_empty() {
            self.waiting.remove(share);
            self.pairs.retain(|(a, b), _| a != share && b != share);
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (&str, &str, (f64, f64))> {
        self.pairs.iter().map(|((a, b), (_, mine, theirs))| (&**a, &**b, (*mine, *theirs)))
    }
}

/// Where a run stands that may start; none: it is not known.
fn waits(history: &History<'_>, run: &Run, again: bool) -> Option<Waits> {
    let spec = history.spec_of(run)?;
    let of = run.task.as_ref().map(|of| history.runs.get(&of.flow));
    let past = match of {
        None => run.backfill.is_some(),
        Some(flow) => flow?.backfill.is_some(),
    };
    let missed = run.trigger == Trigger::Schedule
        && run.nominal_time.is_some_and(|at| run.fired_at > at.plus(limits::MISFIRE_GRACE));
    let lane = if past { 2 } else { u8::from(again || missed) };
    // The queue of a workflow is that of its tasks.
    let queue = spec.queue.filter(|_| spec.tasks.is_empty()).map(|queue| queue.to_string());
    Some(Waits { lane, queue, share: run.job.to_string() })
}
