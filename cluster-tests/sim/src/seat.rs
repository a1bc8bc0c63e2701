//! What of a node outlives its boots: its disk, its clock, its place in the world.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cronapi::model::BootId;
use cronapi::storage::{Identity, MemoryDisk};
use tokio::sync::watch;
use uuid::Uuid;

use crate::chance::Chance;
use crate::clock::{self, Skewed};
use crate::plan::Plan;
use crate::record::Record;

/// What the world is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Things go wrong.
    Faulty,
    /// Everything is mended; nobody writes.
    Calm,
    /// Jobs are paused, and what is open is to end.
    Closing,
    /// Nodes tell all they know.
    Reading,
}

/// What a node is told from outside.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// What the world is at.
    pub phase: Phase,
    /// The boot that is to stop in order.
    pub stop: u32,
}

/// A node's place.
pub struct Seat {
    /// Its place, from 0.
    pub place: usize,
    /// Its name in the network and in the trace.
    pub name: String,
    /// Its clock.
    pub clock: Arc<Skewed>,
    /// The world's record.
    pub record: Record,
    /// The world's plan.
    pub plan: Arc<Plan>,
    /// What it is told.
    pub orders: watch::Sender<Orders>,
    /// The last index it applied, in any boot.
    pub applied: AtomicU64,
    disk: Mutex<Arc<MemoryDisk>>,
    boots: AtomicU32,
}

impl Seat {
    /// An empty one.
    pub fn new(place: usize, plan: &Arc<Plan>, record: &Record) -> Arc<Self> {
        let name = name(place);
        let mut chance = Chance::of(plan.seed, &format!("clock of {name}"));
        let most = plan.skew_micros;
        let error = chance.within(0, 2 * most as u64 + 1) as i64 - most;
        record.clock_set(error);
        let orders = Orders { phase: Phase::Faulty, stop: 0 };
        Arc::new(Self {
            place,
            clock: Arc::new(Skewed::by(error)),
            record: record.clone(),
            plan: Arc::clone(plan),
            orders: watch::Sender::new(orders),
            applied: AtomicU64::new(0),
            disk: Mutex::new(disk(plan.seed, &name, 1)),
            boots: AtomicU32::new(0),
            name,
        })
    }

    /// Its disk.
    pub fn disk(&self) -> Arc<MemoryDisk> {
        Arc::clone(&self.disk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of its present boot.
    pub fn boot_number(&self) -> u32 {
        self.boots.load(Ordering::Relaxed)
    }

    /// Begins another boot.
    pub fn next_boot(&self) -> (u32, BootId) {
        let number = self.boots.fetch_add(1, Ordering::Relaxed) + 1;
        let mut chance = Chance::of(self.plan.seed, &format!("boot {number} of {}", self.name));
        (number, Uuid::from_u64_pair(chance.number(), chance.number()))
    }

    /// Adds a line about it to the trace.
    pub fn trace(&self, what: &str) {
        self.record.trace(&self.name, what);
    }

    /// Tells it something.
    pub fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_modify(change);
    }
}

/// The name of the node at a place.
pub fn name(place: usize) -> String {
    format!("n{}", place + 1)
}

/// An empty disk: flushes take a moment, and once in a while long.
fn disk(seed: u64, name: &str, number: u32) -> Arc<MemoryDisk> {
    let purpose = format!("disk {number} of {name}");
    let mut chance = Chance::of(seed, &purpose);
    let identity = Identity {
        format: 1,
        cluster_id: String::new(),
        founding: Some(false),
        node_id: (chance.number() >> 16).max(1),
        created_ms: clock::EPOCH.millis(),
        wal: false,
    };
    let chance = Mutex::new(chance);
    let delay = move || {
        let mut chance = chance.lock().unwrap_or_else(PoisonError::into_inner);
        match chance.below(300) {
            0 => chance.millis(20, 250),
            1..20 => chance.millis(3, 12),
            _ => Duration::from_micros(chance.within(100, 1_500)),
        }
    };
    MemoryDisk::slow(identity, Box::new(delay))
}
