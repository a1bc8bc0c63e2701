//! Clients of one definition that nobody deletes, and that has no schedule: they put it anew
//! as fast as they are answered, and read what there is.
//!
//! A node that was cut off, and answers or refuses by what it last knew, shows here.

use std::sync::Arc;

use cronapi::consensus::Handle;
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::model::Name;
use tokio::time::sleep;

use super::definition::{REGISTER, register};
use super::operator::Operator;
use crate::chance::Chance;
use crate::clock;
use crate::record::{Read, Wish};
use crate::seat::{Phase, Seat};

/// A client that reads and writes.
pub struct Register {
    writer: Operator,
    reader: Reader,
    chance: Chance,
    count: u64,
}

impl Register {
    /// One that has not begun.
    pub fn new(seat: &Arc<Seat>, consensus: &Handle, name: &str, chance: Chance) -> Self {
        let (seat, consensus) = (Arc::clone(seat), consensus.clone());
        let own = |purpose| Chance::of(seat.plan.seed, &format!("{purpose} {name}"));
        let writes = own("writes of");
        let reader =
            Reader { seat: seat.clone(), consensus: consensus.clone(), name: name.to_owned() };
        let writer = Operator::new(seat, consensus, name.to_owned(), writes);
        Self { writer, reader, chance, count: 0 }
    }

    /// Goes on until the world becomes calm.
    pub async fn run(mut self) {
        loop {
            sleep(self.chance.millis(30, 600)).await;
            if self.reader.seat.orders.borrow().phase > Phase::Faulty {
                return;
            }
            if self.chance.once_in(2) {
                self.reader.read().await;
            } else {
                self.write().await;
            }
        }
    }

    async fn write(&mut self) {
        self.count += 1;
        let Ok(name) = Name::parse(REGISTER) else { return };
        let known = self.reader.seat.record.locked().board.get(REGISTER).copied();
        // Most name the version that was acknowledged last, wherever that was.
        let expected = known.map(|(_, version)| version).filter(|_| !self.chance.once_in(4));
        let mark = format!("{}-{}", self.reader.name, self.count);
        let mode = match self.chance.below(8) {
            0 => PutMode::Create,
            1 if known.is_some() => PutMode::Update,
            _ => PutMode::Upsert,
        };
        let spec = Arc::new(register(&mark));
        let intent = Intent::PutJob { spec, mode, expected };
        self.writer.submit(name.as_str(), Wish::Put { mark, expected }, intent).await;
    }
}

/// Reads as a client of the REST interface does: after the barrier.
struct Reader {
    seat: Arc<Seat>,
    consensus: Handle,
    name: String,
}

impl Reader {
    async fn read(&self) {
        let asked = clock::elapsed();
        let Ok(index) = self.consensus.read_barrier().await else { return };
        let state = self.consensus.state();
        // Those of workflows are deleted by a client that keeps no record.
        let jobs = state.jobs.values().filter(|job| !job.spec.is_workflow());
        let jobs = jobs.map(|job| (job.spec.name.to_string(), (job.no, job.version))).collect();
        let (who, answered) = (self.name.clone(), clock::elapsed());
        self.seat.record.read(Read { who, asked, answered, index, jobs });
    }
}
