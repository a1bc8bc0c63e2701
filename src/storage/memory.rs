//! A Kv in memory that loses what was not flushed when it crashes, for tests and simulation.

use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use imbl::OrdMap;

use super::Error;
use super::kv::{Direction, Kv, Limits, Pair, Writes};

#[derive(Default)]
struct Maps {
    live: OrdMap<Vec<u8>, Bytes>,
    durable: OrdMap<Vec<u8>, Bytes>,
    broken: bool,
}

/// The map; see the module.
pub struct MemoryKv {
    limits: Limits,
    maps: Mutex<Maps>,
    delay: Option<Delay>,
}

/// Tells how long each flush takes.
pub type Delay = Box<dyn Fn() -> Duration + Send + Sync>;

impl MemoryKv {
    /// An empty map with the given bounds.
    pub fn new(limits: Limits) -> Self {
        Self { limits, maps: Mutex::default(), delay: None }
    }

    /// One whose flushes take a time.
    pub fn slow(limits: Limits, delay: Delay) -> Self {
        Self { delay: Some(delay), ..Self::new(limits) }
    }

    /// Loses everything written since the last flush, as a power loss would.
    pub fn crash(&self) {
        let mut maps = self.maps();
        maps.live = maps.durable.clone();
    }

    /// Makes every later flush fail, as a dying disk would.
    pub fn break_flushes(&self) {
        self.maps().broken = true;
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kv for MemoryKv {
    fn write(&self, writes: Writes) -> Result<(), Error> {
        self.limits.check(&writes)?;
        let mut maps = self.maps();
        for (key, value) in writes.changes {
            match value {
                Some(value) => maps.live.insert(key, value),
                None => maps.live.remove(&key),
            };
        }
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.maps().live.get(key).cloned())
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error> {
        if from >= to {
            return Ok(Vec::new());
        }
        // A clone shares everything, so the lock is not held while the range is copied.
        let live = self.maps().live.clone();
        let bounds = (Bound::Included(from), Bound::Excluded(to));
        let range = live.range::<_, [u8]>(bounds).map(|(k, v)| (k.clone(), v.clone()));
        Ok(match direction {
            Direction::Forward => range.take(limit).collect(),
            Direction::Backward => range.rev().take(limit).collect(),
        })
    }

    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Error> {
        let pairs = self.scan(from, to, Direction::Forward, limit)?;
        Ok(pairs.into_iter().map(|(key, _)| key).collect())
    }

    fn flush_durable(&self) -> Result<(), Error> {
        let mut maps = self.maps();
        if maps.broken {
            return Err(Error::Engine { op: "flush", reason: "broken on purpose".to_owned() });
        }
        maps.durable = maps.live.clone();
        Ok(())
    }

    fn bytes_on_disk(&self) -> u64 {
        let live = self.maps().live.clone();
        live.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    fn health(&self) -> Result<(), Error> {
        Ok(())
    }

    fn blocks(&self) -> bool {
        false
    }

    fn delay(&self) -> Option<Duration> {
        self.delay.as_ref().map(|delay| delay())
    }
}
