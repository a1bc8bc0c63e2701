//! The end of a world: jobs are paused, open runs are ended, and every node tells what it
//! knows.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use cronapi::consensus::{Committed, Handle, Intended};
use cronapi::machine::command::BackfillEdit;
use cronapi::machine::event_rows::{EventRow, event_place};
use cronapi::machine::history::{FlowRow, VersionRow, unpack};
use cronapi::machine::prepare::Intent;
use cronapi::machine::{Op, Rejection};
use cronapi::model::{Actor, LedgerRow, Run};
use cronapi::storage::{Direction, Error, Pair, Scan};
use tokio::time::sleep;

use crate::ahead::take_back;
use crate::node::reached;
use crate::record::Final;
use crate::seat::{Phase, Seat};

/// Between two rounds of closing.
const AGAIN: Duration = Duration::from_millis(250);

/// Closes and reads when the world has come to it.
pub async fn run(seat: Arc<Seat>, consensus: Handle) {
    reached(&seat, Phase::Closing).await;
    if seat.place == 0 {
        close(&seat, &consensus).await;
    }
    reached(&seat, Phase::Reading).await;
    loop {
        if consensus.read_barrier().await.is_ok() {
            match read(&seat, &consensus).await {
                Ok(read) => return seat.record.locked().finals.push(read),
                Err(error) => seat.record.found(&seat.name, &format!("history: {error}")),
            }
        }
        sleep(AGAIN).await;
    }
}

async fn close(seat: &Seat, consensus: &Handle) {
    let actor = Actor { name: "closing".into(), from: None, request_id: None, trace: None };
    loop {
        if consensus.read_barrier().await.is_ok() {
            let state = consensus.state();
            let mut intents = Vec::new();
            for job in state.jobs.values().filter(|job| job.spec.enabled.0) {
                let name = job.spec.name.clone();
                intents.push(Intent::SetEnabled { name, enabled: false, expected: None });
            }
            for (_, id) in &state.backfills.open {
                let edit = BackfillEdit::Cancel { reason: None };
                intents.push(Intent::Plain(Box::new(Op::EditBackfill { id: *id, edit })));
            }
            for open in state.runs.values().filter(|open| !open.cancel) {
                intents.push(Intent::Plain(Box::new(Op::Cancel { run: open.run.id })));
            }
            if intents.is_empty() && state.runs.is_empty() {
                seat.trace("all is closed");
                seat.record.locked().closed = true;
                return;
            }
            for intent in intents {
                // What fails is found again in the next round.
                let done = consensus.submit(Intended::new(intent, Some(actor.clone()), None)).await;
                if let Ok(Committed { answer: Err(Rejection::Ahead { run, .. }), .. }) = done {
                    take_back(consensus, run).await;
                }
            }
        }
        sleep(AGAIN).await;
    }
}

async fn read(seat: &Seat, consensus: &Handle) -> Result<Final, Error> {
    let (index, state) = (*consensus.applied().borrow(), consensus.state());
    let mut hasher = DefaultHasher::new();
    let (mut runs, mut ledger, mut versions) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let (mut kept, mut flows) = (Vec::new(), BTreeMap::new());
    for kind in *b"ralvofedbw" {
        for (key, value) in scan(consensus, kind).await? {
            hasher.write(&key);
            hasher.write(&value);
            let number = |at: usize| key.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
            let no = number(1).unwrap_or_default();
            match kind {
                b'r' => runs.extend(unpack::<Run>(&value).ok()),
                b'l' => {
                    let rows: &mut Vec<LedgerRow> = ledger.entry(no).or_default();
                    rows.extend(unpack::<LedgerRow>(&value).ok());
                }
                b'v' => {
                    let row = unpack::<VersionRow>(&value).ok();
                    versions.extend(row.map(|row| ((no, row.version), (row.at, row.spec))));
                }
                b'w' => {
                    flows.extend(unpack::<FlowRow>(&value).ok().map(|row| (row.run, row.tasks)))
                }
                b'e' => {
                    let row = unpack::<EventRow>(&value).ok().zip(event_place(&key));
                    let events = row.map(|(row, place)| (row.number..).zip(row.unpack(place)));
                    kept.extend(events.into_iter().flatten());
                }
                _ => {}
            }
        }
    }
    let node = seat.name.clone();
    seat.trace(&format!("is read at {index}"));
    let rows = hasher.finish();
    Ok(Final { node, index, state, runs, flows, ledger, versions, kept, rows })
}

async fn scan(consensus: &Handle, kind: u8) -> Result<Vec<Pair>, Error> {
    let (from, to) = (vec![kind], vec![kind + 1]);
    let scan = Scan { from, to, direction: Direction::Forward, limit: usize::MAX };
    consensus.history().scan(scan).await
}
