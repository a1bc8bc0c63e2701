//! The whole "disk" of a simulated node, which outlives the node.

use std::sync::{Arc, Mutex};

use super::kv::Limits;
use super::{Checkpoints, Delay, Generations, Identity, MemoryKv, Pressure, Space};

/// The disk of a node without a data directory. It outlives the node: opening another one on it
/// is a restart.
pub struct MemoryDisk {
    pub(crate) identity: Arc<Mutex<Identity>>,
    pub(crate) log: Arc<MemoryKv>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) checkpoints: Arc<Checkpoints>,
    pub(crate) space: Space,
}

impl MemoryDisk {
    /// An empty disk for a node.
    pub fn new(identity: Identity) -> Arc<Self> {
        Self::with_log(identity, MemoryKv::new(Limits::LOG))
    }

    /// The same, with a log whose flushes take a time.
    pub fn slow(identity: Identity, delay: Delay) -> Arc<Self> {
        Self::with_log(identity, MemoryKv::slow(Limits::LOG, delay))
    }

    fn with_log(identity: Identity, log: MemoryKv) -> Arc<Self> {
        Arc::new(Self {
            identity: Arc::new(Mutex::new(identity)),
            log: Arc::new(log),
            generations: Arc::new(Generations::in_memory()),
            checkpoints: Arc::new(Checkpoints::in_memory()),
            space: Space::in_memory(),
        })
    }

    /// Loses everything that was not flushed. End the node first.
    pub fn crash(&self) {
        self.log.crash();
        self.generations.in_memory_each(MemoryKv::crash);
    }

    /// Says how full it is.
    pub fn press(&self, pressure: Pressure) {
        self.space.press(pressure);
    }

    /// Makes every later flush of the log fail.
    pub fn break_log(&self) {
        self.log.break_flushes();
    }

    /// Makes every later flush of the history fail.
    pub fn break_history(&self) {
        self.generations.in_memory_each(MemoryKv::break_flushes);
    }
}
