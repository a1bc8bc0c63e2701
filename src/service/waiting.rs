//! What a queued run waits for: told from the state as it is, since nothing of it is decided.

use crate::machine::state::{Blocked, Governed, Node, OpenRun, Queue, State, lane, lane_held};
use crate::model::{Name, Run, RunStatus, Timestamp};

/// Runs in front of one that are counted.
const AHEAD_MAX: usize = 10_000;
/// The same in a queue, where they are started one after the other to be counted.
const AHEAD_IN_QUEUE_MAX: usize = 1_000;
/// Slots whose attempts are looked at to say which lane has them.
const SLOTS_LOOKED_AT_MAX: u32 = 1_024;

/// An open run as it is shown: a queued one says what it waits for.
pub(super) fn shown(state: &State, open: &OpenRun) -> Run {
    let mut run = open.run.clone();
    if run.status == RunStatus::Queued {
        run.reason = Some(why(state, open));
    }
    run.tasks = state.flows.get(&run.id).map(|flow| flow.counts()).or(run.tasks);
    run
}

/// Why nothing of a queue starts, in a sentence; none: nothing of it holds it back.
pub(super) fn held_back(queue: &Queue, at: Timestamp) -> Option<String> {
    Some(match queue.blocked(at)? {
        Blocked::Paused => "it is paused".to_owned(),
        Blocked::Full(most) => format!("it runs at most {most} at a time"),
        Blocked::Rate(rate, until) => {
            format!(
                "it starts at most {} in {}, and has room again at {until}",
                rate.limit, rate.per
            )
        }
        Blocked::Spread(until) => format!("it spreads its starts, and the next is at {until}"),
    })
}

fn why(state: &State, open: &OpenRun) -> String {
    let spec = &open.spec;
    if spec.is_workflow() {
        return "for the leader, which is about to start its tasks".to_owned();
    }
    if let Some(name) = &spec.queue
        && let Some(queue) = state.queues.get(name)
        && let Some(blocked) = queue.blocked(state.last_at)
    {
        return in_queue(state, open, name, queue, blocked);
    }
    let takes = state.nodes.values().filter(|node| node.accepting);
    let takes: Vec<&Node> = takes.map(|node| &**node).collect();
    if takes.is_empty() {
        return "for a node: none takes attempts".to_owned();
    }
    let wanted = spec.placement.as_deref();
    let allows = |node: &&&Node| wanted.is_none_or(|placement| placement.allows(&node.labels));
    let fit: Vec<&&Node> = takes.iter().filter(allows).collect();
    if fit.is_empty() {
        let nodes = takes.len();
        return format!("for a node with the labels it requires, which none of {nodes} has");
    }
    if fit.iter().any(|node| node.busy < node.slots) {
        let behind = lane_is_full(state, open, &fit);
        return behind.unwrap_or_else(|| "for the leader, which is about to place it".to_owned());
    }
    let slots: u32 = fit.iter().map(|node| node.slots).sum();
    let own = |(_, _, id): &(i32, u64, _)| *id == open.run.id;
    let (place, most, line) = match state.governed(spec) {
        Some(governed) => (before(governed, open), AHEAD_IN_QUEUE_MAX, "of its queue in line"),
        None => (state.ready.iter().take(AHEAD_MAX).position(own), AHEAD_MAX, "in line"),
    };
    match place {
        Some(0) => format!("for a slot: all {slots} it may have are taken, and it is the next"),
        Some(n) => {
            let place = n + 1;
            format!(
                "for a slot: all {slots} it may have are taken, and it is number {place} {line}"
            )
        }
        None => format!(
            "for a slot: all {slots} it may have are taken, and over {most} runs are before it"
        ),
    }
}

/// Why a run finds none of the slots that are free: they are kept for the lanes before its own.
fn lane_is_full(state: &State, open: &OpenRun, nodes: &[&&Node]) -> Option<String> {
    let (own, shares) = (usize::from(lane(open)), state.lane_shares());
    let slots: u32 = nodes.iter().map(|node| node.slots).sum();
    if slots > SLOTS_LOOKED_AT_MAX {
        return None;
    }
    let (mut most, mut by) = (0, own);
    for node in nodes {
        let held: Vec<usize> =
            state.placed_on(node.id).map(|held| usize::from(lane_held(held))).collect();
        let of = shares.of(node.slots);
        let is_full =
            |lane: &usize| held.iter().filter(|held| **held >= *lane).count() >= of[*lane] as usize;
        by = (0..=own.min(2)).rev().find(is_full)?;
        most += of[by];
    }
    let what = match by {
        0 => "attempts",
        1 => "retries, what is caught up and backfills",
        _ => "backfills",
    };
    Some(format!("for a slot: {what} may have {most} of the {slots} it may have, and have them"))
}

fn before(governed: &Governed, open: &OpenRun) -> Option<usize> {
    let weight = |share: &str| governed.rules.weight(share);
    governed.line.before(open.run.id, AHEAD_IN_QUEUE_MAX, weight)
}

/// What a run waits for whose queue is held back, and when it may start.
fn in_queue(state: &State, open: &OpenRun, name: &Name, queue: &Queue, blocked: Blocked) -> String {
    let cause = match blocked {
        Blocked::Paused => "is paused".to_owned(),
        Blocked::Full(most) => format!("runs at most {most} at a time"),
        Blocked::Rate(rate, _) => format!("starts at most {} in {}", rate.limit, rate.per),
        Blocked::Spread(_) => "spreads its starts".to_owned(),
    };
    let told = format!("for its queue {name}, which {cause}");
    let Some(governed) = queue.governed.as_deref() else { return told };
    let Some(ahead) = before(governed, open) else {
        return format!("{told}; over {AHEAD_IN_QUEUE_MAX} runs are before it");
    };
    let place = match ahead {
        0 => "it is the next".to_owned(),
        1 => "1 run is before it".to_owned(),
        n => format!("{n} runs are before it"),
    };
    match blocked {
        Blocked::Rate(..) | Blocked::Spread(_) => {
            let at = governed.earliest(ahead, state.last_at);
            format!("{told}; {place}, and it starts at {at} at the earliest")
        }
        Blocked::Paused | Blocked::Full(_) => format!("{told}; {place}"),
    }
}
