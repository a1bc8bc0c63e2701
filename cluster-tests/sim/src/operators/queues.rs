//! Defines the queue that some jobs name, as soon as the cluster's format has queues, and again now
//! and then: what is equal changes nothing.

use std::sync::Arc;

use cronapi::consensus::{Handle, Intended};
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::model::{Actor, Kind};
use serde_json::json;
use tokio::time::sleep;

use super::definition::QUEUE;
use crate::chance::Chance;
use crate::seat::{Phase, Seat};

/// Writes until the world becomes calm.
///
/// # Panics
/// The definition is not one that the model takes: a fault of this file.
pub async fn run(seat: Arc<Seat>, consensus: Handle, mut chance: Chance) {
    let queue = json!({"name": QUEUE, "concurrency": 3, "fair_by": "job", "ageing": "1s",
        "weights": {"flow-1": 2},
        "rates": [{"limit": 3, "per": "1s"}, {"limit": 20, "per": "10s"}]});
    let spec = Kind::Queue.read(queue.as_object().cloned().unwrap_or_default());
    let spec = spec.unwrap_or_else(|faults| panic!("{faults:?}"));
    while seat.orders.borrow().phase <= Phase::Faulty {
        let actor = Actor { name: "queues".into(), from: None, request_id: None, trace: None };
        let intent = Intent::Put { spec: spec.clone(), mode: PutMode::Upsert, expected: None };
        // What it is told does not matter: the state says what holds.
        let _ = consensus.submit(Intended::new(intent, Some(actor), None)).await;
        sleep(chance.millis(500, 4_000)).await;
    }
}
