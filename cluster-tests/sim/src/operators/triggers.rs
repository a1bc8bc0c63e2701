//! Entries of a stream start runs, read by a reader that breaks every habit but one: it shows the
//! fence that it was given. It sends what it read before once more, goes on when it was taken for
//! dead, and never looks at its lease.
//!
//! The stream is virtual: entry `n` is there once so many fifths of a second have passed.

use std::sync::Arc;

use cronapi::consensus::{Handle, Intended};
use cronapi::machine::State;
use cronapi::machine::prepare::{Given, Intent, PutMode};
use cronapi::model::{Actor, DutyKey, EntryId, Fence, Kind, Name, Parameters};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::definition::job_name;
use crate::chance::Chance;
use crate::clock;
use crate::seat::{Phase, Seat};

/// The trigger.
pub const TRIGGER: &str = "stream";
/// An entry is added so often.
const EVERY_MILLIS: u128 = 200;
/// Entries that are sent at a time.
const BATCH: u64 = 4;

/// Reads until the world becomes calm.
pub async fn run(seat: Arc<Seat>, consensus: Handle, mut chance: Chance) {
    let Ok(name) = Name::parse(TRIGGER) else { return };
    let key = DutyKey::trigger(name.clone());
    // Fences that this node was given, and how far the stream was read by then.
    let mut given: Vec<(Fence, EntryId)> = Vec::new();
    while seat.orders.borrow().phase <= Phase::Faulty {
        sleep(chance.millis(100, 900)).await;
        let state = consensus.state();
        let Some(duty) = state.duties.all.get(&key) else {
            define(&state, &consensus, &mut chance).await;
            continue;
        };
        let mine = duty.holder.is_some_and(|(node, _)| node == consensus.node_id());
        if mine && given.last().is_none_or(|(fence, _)| *fence != duty.fence) {
            given.push((duty.fence, duty.position.into()));
        }
        let Some((fence, begin)) = given.last().copied() else { continue };
        // Now and then under a fence of before, or once more from where it began.
        let fence = if chance.once_in(4) { chance.pick(&given).0 } else { fence };
        let from = if chance.once_in(3) { begin } else { duty.position.into() };
        let last = u64::try_from(clock::elapsed().as_millis() / EVERY_MILLIS).unwrap_or(0);
        let entries = (from.0 + 1..=last).take(BATCH as usize);
        let entries: Vec<_> = entries.map(|n| (EntryId(n, 0), parameters(n))).collect();
        if entries.is_empty() {
            continue;
        }
        let intent = Intent::TakeEntries { trigger: name.clone(), fence, entries };
        // What it is told does not matter: the state says what holds.
        let _ = consensus.submit(Intended::new(intent, Some(actor()), None)).await;
    }
}

fn actor() -> Actor {
    Actor { name: format!("trigger:{TRIGGER}"), from: None, request_id: None, trace: None }
}

fn parameters(n: u64) -> Given {
    let map = json!({ "entry": n }).as_object().cloned().unwrap_or_default();
    Parameters::new(map).map_or_else(Given::Unreadable, Given::Parameters)
}

async fn define(state: &State, consensus: &Handle, chance: &mut Chance) {
    if state.format() < Kind::Trigger.since() || !chance.once_in(3) {
        return;
    }
    let body = json!({ "name": TRIGGER, "type": "redis_stream", "job": job_name(0),
        "config": { "stream": "s", "url": "redis://redis.example.org" } });
    let Value::Object(map) = body else { return };
    let Ok(spec) = Kind::Trigger.read(map) else { return };
    let intent = Intent::Put { spec, mode: PutMode::Upsert, expected: None };
    let _ = consensus.submit(Intended::new(intent, Some(actor()), None)).await;
}
