//! One client.

use std::sync::Arc;
use std::time::Duration;

use cronapi::consensus::{Handle, Intended, SubmitError};
use cronapi::machine::command::RequestKey;
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::{Op, Rejection};
use cronapi::model::{Actor, Name};
use tokio::time::sleep;
use uuid::Uuid;

use super::definition::{definition, job_name};
use crate::ahead::take_back;
use crate::chance::Chance;
use crate::record::{Told, Wish};
use crate::seat::{Phase, Seat};

/// How often a write is prepared anew, or asked for again after its answer was lost.
const TRIES: u32 = 5;

/// A client at a node.
pub struct Operator {
    seat: Arc<Seat>,
    consensus: Handle,
    name: String,
    chance: Chance,
    /// Writes so far: marks and keys are made of it.
    count: u64,
}

impl Operator {
    /// One that has not begun.
    pub fn new(seat: Arc<Seat>, consensus: Handle, name: String, chance: Chance) -> Self {
        Self { seat, consensus, name, chance, count: 0 }
    }

    /// Writes until the world becomes calm.
    pub async fn run(mut self) {
        loop {
            sleep(self.chance.millis(50, 1_200)).await;
            if self.seat.orders.borrow().phase > Phase::Faulty {
                return;
            }
            self.write().await;
        }
    }

    async fn write(&mut self) {
        self.count += 1;
        let jobs = self.seat.plan.jobs as u64;
        let place = self.chance.below(jobs);
        let job = job_name(place);
        let Ok(name) = Name::parse(&job) else { return };
        let exists = self.consensus.state().job(&job).is_some();
        let (wish, intent) = match self.chance.below(20) {
            // The first is never deleted: of it the register of the checks is whole.
            0 if place > 0 => (Wish::Delete, Intent::DeleteJob { name, expected: None }),
            1..3 => self.enable(name, false),
            3..6 => self.enable(name, true),
            6..10 if exists => {
                let parameters = Default::default();
                (Wish::Trigger, Intent::Trigger { name, parameters, force: false, cause: None })
            }
            10..12 => match self.some_run() {
                Some(run) => (Wish::Cancel(run), Intent::Plain(Box::new(Op::Cancel { run }))),
                None => return,
            },
            _ if exists && !self.chance.once_in(4) => return,
            _ => {
                let mark = format!("{}-{}", self.name, self.count);
                let spec = Arc::new(definition(&mut self.chance, place, jobs, &mark));
                let mode = if exists { PutMode::Upsert } else { PutMode::Create };
                let expected = exists.then(|| self.known(&job)).flatten();
                (Wish::Put { mark, expected }, Intent::PutJob { spec, mode, expected })
            }
        };
        self.submit(&job, wish, intent).await;
    }

    fn enable(&self, name: Name, enabled: bool) -> (Wish, Intent) {
        (Wish::Enable(enabled), Intent::SetEnabled { name, enabled, expected: None })
    }

    /// The version that some client was told of last, now and then.
    fn known(&mut self, job: &str) -> Option<u64> {
        let known = self.seat.record.locked().board.get(job).map(|(_, version)| *version);
        known.filter(|_| self.chance.once_in(2))
    }

    fn some_run(&mut self) -> Option<cronapi::model::RunId> {
        let state = self.consensus.state();
        let open: Vec<_> = state.runs.keys().copied().collect();
        (!open.is_empty()).then(|| *self.chance.pick(&open))
    }

    /// Asks for a write, and notes what comes of it.
    pub async fn submit(&mut self, job: &str, wish: Wish, intent: Intent) {
        let place = self.seat.record.ask(&self.name, job, wish);
        let key = Uuid::from_u64_pair(self.chance.number(), self.chance.number());
        // Half of them have a key, and may ask again when they don't know.
        let keyed = self.chance.once_in(2);
        let request = keyed.then_some(RequestKey { key, fingerprint: key });
        let told = self.ask(intent, request).await;
        self.seat.record.tell(&self.name, place, told);
    }

    async fn ask(&mut self, intent: Intent, request: Option<RequestKey>) -> Told {
        let actor = Actor { name: self.name.clone(), from: None, request_id: None, trace: None };
        let mut in_doubt = false;
        for _ in 0..TRIES {
            let asked =
                self.consensus.submit(Intended::new(intent.clone(), Some(actor.clone()), request));
            match asked.await {
                Ok(committed) => match committed.answer {
                    Ok(reply) => {
                        return match reply.unwrap_replay() {
                            (reply, true) => Told::DoneBefore(committed.index, reply),
                            (reply, false) => Told::Done(committed.index, reply),
                        };
                    }
                    Err(Rejection::Stale) => continue,
                    Err(Rejection::Ahead { run, .. }) => {
                        take_back(&self.consensus, run).await;
                        continue;
                    }
                    // A copy of it may have been carried out, and this answer be to another.
                    Err(_) if in_doubt => return Told::Unknown,
                    Err(rejection) => return Told::Rejected(rejection),
                },
                Err(SubmitError::Unknown) if request.is_some() => in_doubt = true,
                Err(SubmitError::Unknown) => return Told::Unknown,
                Err(error) if error.retryable() => {}
                Err(error) => return Told::Failed(error.to_string()),
            }
            sleep(self.chance.millis(20, Duration::from_secs(1).as_millis() as u64)).await;
        }
        if in_doubt { Told::Unknown } else { Told::Failed("gave up".to_owned()) }
    }
}
