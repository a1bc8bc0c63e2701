//! After everything is mended the cluster is whole again within a bound, and work that is due
//! is done: looked at once, `world::CALM` after the mending.

use std::collections::BTreeSet;
use std::sync::Arc;

use cronapi::machine::State;
use cronapi::machine::state::lane;
use cronapi::model::{RunStatus, Timestamp};

use crate::clock::{self, EPOCH};
use crate::record::{Latest, Record};
use crate::seat::Seat;

/// A time that is due for longer than this is overdue, in microseconds.
const FIRES_WITHIN: i64 = 1_500_000;
/// A run that waits for longer than this, with room for it, is overdue.
const STARTS_WITHIN: i64 = 3_000_000;

/// Looks at the nodes.
pub fn after_heal(record: &Record, seats: &[Arc<Seat>]) {
    let latest = record.locked().latest.clone();
    let mut broken = Vec::new();
    let leaders: BTreeSet<_> = latest.values().map(|latest| latest.leadership.leader).collect();
    if latest.len() < seats.len() || leaders.len() != 1 || leaders.contains(&None) {
        broken.push(format!(
            "of {} nodes, {} see the leaders {leaders:?}",
            seats.len(),
            latest.len()
        ));
    }
    let now = now(seats);
    for (node, Latest { index, state, .. }) in &latest {
        let late = now.micros() - state.last_at.micros();
        // Jobs fire every few seconds, if there are any.
        if late > 12_000_000 && !state.due.is_empty() {
            broken.push(format!("{node} stands still at {index}, {late} µs ago"));
        }
    }
    if let Some(latest) = latest.values().max_by_key(|latest| latest.index) {
        broken.extend(overdue(&latest.state, now, seats.len()));
    }
    for what in broken {
        record.found("world", &format!("after heal: {what}"));
    }
}

fn now(seats: &[Arc<Seat>]) -> Timestamp {
    let error = seats.first().map_or(0, |seat| seat.clock.error());
    let since = i64::try_from(clock::elapsed().as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(EPOCH.micros() + since + error)
}

fn overdue(state: &State, now: Timestamp, nodes: usize) -> Vec<String> {
    let mut broken = Vec::new();
    let there: Vec<_> = state.nodes.values().filter(|node| node.accepting).collect();
    if there.len() != nodes {
        broken.push(format!("{} of {nodes} nodes take attempts", there.len()));
    }
    for (due, no) in state.due.iter() {
        if now.micros() - due.micros() > FIRES_WITHIN {
            let name = state.jobs.get(no).map(|job| job.spec.name.to_string());
            broken.push(format!("{name:?} is due since {due} and it is {now}"));
        }
    }
    let room = there.iter().any(|node| node.busy < node.slots);
    for open in state.runs.values() {
        let waits = |since: Timestamp| now.micros() - since.micros() > STARTS_WITHIN;
        let given = open.run.attempts.last().map_or(open.run.fired_at, |last| last.assigned_at);
        // What is planned ahead has time until then.
        let given = open.ahead.map_or(given, |ahead| ahead.start_at.max(given));
        let late = match open.run.status {
            RunStatus::Queued => {
                // Lanes behind the first leave slots to others.
                let held_back = open.spec.queue.is_some() || lane(open) > 0;
                let since = open.queued_at.unwrap_or(open.run.fired_at);
                room && !held_back && waits(since) && open.run.attempts.is_empty()
            }
            RunStatus::Assigned => waits(given),
            _ => false,
        };
        if late {
            let status = open.run.status.as_str();
            broken.push(format!("{} {} is {status} since {given}", open.run.job, open.run.id));
        }
    }
    broken
}
