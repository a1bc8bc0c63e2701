//! Clients: they define, change, pause, delete and start jobs on whichever node they are at,
//! and note what they are told.
//!
//! One that asks on a node which dies is told nothing. One whose answer is lost asks again
//! with the same key, or gives up and does not know.

mod backfills;
pub mod definition;
pub mod flows;
mod heartbeats;
mod members;
mod operator;
pub mod queues;
mod register;
pub mod triggers;

use std::sync::Arc;

use cronapi::consensus::Handle;

use crate::chance::Chance;
use crate::seat::Seat;

use members::Members;
use operator::Operator;
use register::Register;

/// Clients at one node.
const OPERATORS: u32 = 2;

/// Begins the clients of one boot.
pub fn begin(seat: &Arc<Seat>, consensus: &Handle, boot: u32) {
    for number in 1..=OPERATORS {
        let name = format!("{}.{boot}.{number}", seat.name);
        let chance = Chance::of(seat.plan.seed, &format!("operator {name}"));
        let operator = Operator::new(Arc::clone(seat), consensus.clone(), name, chance);
        tokio::spawn(operator.run());
    }
    let name = format!("{}.{boot}.r", seat.name);
    let chance = Chance::of(seat.plan.seed, &format!("register {name}"));
    tokio::spawn(Register::new(seat, consensus, &name, chance).run());
    let chance = Chance::of(seat.plan.seed, &format!("queues {}.{boot}", seat.name));
    tokio::spawn(queues::run(Arc::clone(seat), consensus.clone(), chance));
    let chance = Chance::of(seat.plan.seed, &format!("backfills {}.{boot}", seat.name));
    tokio::spawn(backfills::run(Arc::clone(seat), consensus.clone(), chance));
    let chance = Chance::of(seat.plan.seed, &format!("flows {}.{boot}", seat.name));
    tokio::spawn(flows::run(Arc::clone(seat), consensus.clone(), chance));
    let chance = Chance::of(seat.plan.seed, &format!("triggers {}.{boot}", seat.name));
    tokio::spawn(triggers::run(Arc::clone(seat), consensus.clone(), chance));
    let chance = Chance::of(seat.plan.seed, &format!("heartbeats {}.{boot}", seat.name));
    tokio::spawn(heartbeats::run(Arc::clone(seat), consensus.clone(), chance));
    let chance = Chance::of(seat.plan.seed, &format!("members {}.{boot}", seat.name));
    tokio::spawn(Members::new(Arc::clone(seat), consensus.clone(), chance).run());
}
