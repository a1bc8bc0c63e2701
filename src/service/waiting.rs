//! What a queued run waits for: told from the state as it is, since nothing of it is decided.

use crate::machine::state::{Node, OpenRun, State};
use crate::model::{Run, RunStatus};

/// Runs in front of one that are counted.
const AHEAD_MAX: usize = 10_000;

/// An open run as it is shown: a queued one says what it waits for.
pub(super) fn shown(state: &State, open: &OpenRun) -> Run {
    let mut run = open.run.clone();
    if run.status == RunStatus::Queued {
        run.reason = Some(why(state, open));
    }
    run
}

fn why(state: &State, open: &OpenRun) -> String {
    let spec = &open.spec;
    if let Some(name) = &spec.queue
        && let Some(queue) = state.queues.get(name)
        && let Some(most) = queue.concurrency.filter(|most| queue.busy >= *most)
    {
        return format!("for its queue {name}, which runs at most {most} at a time");
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
        return "for the leader, which is about to place it".to_owned();
    }
    let slots: u32 = fit.iter().map(|node| node.slots).sum();
    let own = |(_, _, id): &(i32, u64, _)| *id == open.run.id;
    match state.ready.iter().take(AHEAD_MAX).position(own) {
        Some(0) => format!("for a slot: all {slots} it may have are taken, and it is the next"),
        Some(n) => {
            let place = n + 1;
            format!(
                "for a slot: all {slots} it may have are taken, and it is number {place} in line"
            )
        }
        None => format!(
            "for a slot: all {slots} it may have are taken, and over {AHEAD_MAX} runs are before it"
        ),
    }
}
