//! Who tells monitors elsewhere of jobs that succeeded: each node, as far as it was given that, and
//! now and then one that was taken for dead and goes on.

use std::sync::Arc;

use cronapi::consensus::{Handle, Intended};
use cronapi::machine::command::Beaten;
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::state::FORMAT_OF_BEATS;
use cronapi::machine::{Command, Op, State};
use cronapi::model::{Actor, Delivery, DutyKey, Fence, JobSpec};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::chance::Chance;
use crate::seat::{Phase, Seat};

/// The job that has a heartbeat.
const BEATING: &str = "beating";

/// Tells until the world becomes calm.
pub async fn run(seat: Arc<Seat>, consensus: Handle, mut chance: Chance) {
    let Some(key) = DutyKey::heartbeats() else { return };
    // Fences that this node was given.
    let mut given: Vec<Fence> = Vec::new();
    while seat.orders.borrow().phase <= Phase::Faulty {
        sleep(chance.millis(100, 900)).await;
        let state = consensus.state();
        // Now and then it says that it has one, and that it has none.
        if state.format() >= FORMAT_OF_BEATS && chance.once_in(20) {
            define(&state, &consensus, &mut chance).await;
        }
        let Some(duty) = state.duties.all.get(&key) else { continue };
        let mine = duty.holder.is_some_and(|(node, _)| node == consensus.node_id());
        if mine && given.last() != Some(&duty.fence) {
            given.push(duty.fence);
        }
        let Some(last) = given.last().copied() else { continue };
        let fence = if chance.once_in(4) { *chance.pick(&given) } else { last };
        let waits = state.beats.all.iter().filter_map(|(no, beat)| Some((*no, beat.run?)));
        let beaten: Vec<Beaten> =
            waits.map(|(no, run)| Beaten { no, run, outcome: outcome(&mut chance) }).collect();
        if beaten.is_empty() {
            continue;
        }
        let op = Op::Beaten { fence, beaten };
        let command = Command { at: state.last_at, actor: None, request: None, op };
        drop(state);
        // What it is told does not matter: the state says what holds.
        let _ = consensus.submit(command).await;
    }
}

fn outcome(chance: &mut Chance) -> Delivery {
    match chance.below(4) {
        0 => Delivery::Retry { error: "503".into(), after: None },
        1 => Delivery::Dead { error: "404".into() },
        _ => Delivery::Sent,
    }
}

async fn define(state: &State, consensus: &Handle, chance: &mut Chance) {
    let mut body = json!({ "name": BEATING, "expr": "@every 2s", "overlap": "skip",
        "runner": { "type": "shell", "command": BEATING } });
    let has = state.job(BEATING).is_some_and(|job| job.spec.heartbeat_url.is_some());
    if !has || chance.once_in(2) {
        body["heartbeat_url"] = json!("https://hc.example.org/a");
    }
    let Value::Object(map) = body else { return };
    let Ok(spec) = JobSpec::from_map(map) else { return };
    let intent = Intent::PutJob { spec: spec.into(), mode: PutMode::Upsert, expected: None };
    let name = "heartbeats".to_owned();
    let actor = Actor { name, from: None, request_id: None, trace: None };
    let _ = consensus.submit(Intended::new(intent, Some(actor), None)).await;
}
