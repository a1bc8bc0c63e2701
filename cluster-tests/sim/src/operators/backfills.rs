//! Runs past times of jobs on purpose, now and then, and pauses, resumes or cancels that.

use std::sync::Arc;

use cronapi::consensus::{Handle, Intended};
use cronapi::machine::command::{BackfillEdit, StartBackfill};
use cronapi::machine::prepare::Intent;
use cronapi::machine::{Op, State};
use cronapi::model::{Actor, BackfillOrder, BackfillWhich, Parameters, Span, Timestamp};
use tokio::time::sleep;

use crate::chance::Chance;
use crate::seat::{Phase, Seat};

/// Asks until the world becomes calm.
pub async fn run(seat: Arc<Seat>, consensus: Handle, mut chance: Chance) {
    while seat.orders.borrow().phase <= Phase::Faulty {
        sleep(chance.millis(1_000, 6_000)).await;
        let Some(op) = wish(&consensus.state(), &mut chance) else { continue };
        let actor = Actor { name: "backfills".into(), from: None, request_id: None, trace: None };
        // What it is told does not matter: the state says what holds.
        let _ =
            consensus.submit(Intended::new(Intent::Plain(Box::new(op)), Some(actor), None)).await;
    }
}

fn wish(state: &State, chance: &mut Chance) -> Option<Op> {
    let open: Vec<u64> = state.backfills.open.iter().map(|(_, id)| *id).collect();
    if open.len() > 2 || (!open.is_empty() && chance.once_in(2)) {
        let id = *open.get(chance.below(open.len() as u64) as usize)?;
        let edit = match chance.below(4) {
            0 => BackfillEdit::Pause { reason: None },
            1 => BackfillEdit::Cancel { reason: None },
            _ => BackfillEdit::Resume,
        };
        return Some(Op::EditBackfill { id, edit });
    }
    let timed: Vec<_> = state.jobs.values().filter(|job| job.spec.expr.is_some()).collect();
    let job = timed.get(chance.below(timed.len().max(1) as u64) as usize)?;
    let to = Timestamp::from_secs(state.last_at.secs());
    Some(Op::StartBackfill(Box::new(StartBackfill {
        no: job.no,
        version: job.version,
        spec: None,
        from: to.minus(Span::from_secs(10 + chance.below(50))),
        to,
        which: if chance.once_in(2) { BackfillWhich::All } else { BackfillWhich::Missing },
        order: if chance.once_in(2) { BackfillOrder::Newest } else { BackfillOrder::Oldest },
        max_concurrent: 1 + chance.below(3) as u32,
        rate: None,
        parameters: Parameters::default(),
        total: 60,
        reason: None,
    })))
}
