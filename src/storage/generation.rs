//! One generation of the history: a Kv of its own, which is kept or goes with its last reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::Error;
use super::kv::{self, Direction, Kv, Pair, Writes};
use super::off_thread::drop_off_thread;
use super::rows::{self, Found};

/// One generation. Cheap to clone.
#[derive(Clone)]
pub struct Generation {
    number: u32,
    kv: Arc<dyn Kv>,
    kept: Arc<AtomicBool>,
}

impl Generation {
    /// A Kv as generation 0, which nobody removes.
    pub fn of(kv: Arc<dyn Kv>) -> Self {
        Self { number: 0, kv, kept: Arc::new(AtomicBool::new(true)) }
    }

    /// The generation `number` in `kv`. Unless it is kept, `remove` is called when that is closed.
    pub(super) fn new(number: u32, kv: Arc<dyn Kv>, kept: bool, remove: Remove) -> Self {
        let kept = Arc::new(AtomicBool::new(kept));
        let end = End { unless: Arc::clone(&kept), remove };
        Self { number, kv: Arc::new(Held { kv, _end: end }), kept }
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The Kv that holds it.
    pub fn kv(&self) -> &Arc<dyn Kv> {
        &self.kv
    }

    /// From now on it outlives its readers.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }

    /// From now on it is removed with its last reader.
    pub fn give_up(&self) {
        self.kept.store(false, Ordering::Release);
    }

    /// At most `limit` rows with keys from `from` on; a value of none: it vanished meanwhile.
    ///
    /// # Errors
    /// The engine failed, or a row is damaged.
    pub fn rows(&self, from: &[u8], limit: usize) -> Result<Vec<Found>, Error> {
        rows::scan(self.kv.as_ref(), from, &kv::end_of(&[]), Direction::Forward, limit)
    }

    /// Adds rows to a generation that nobody reads yet.
    ///
    /// # Errors
    /// A row can't be stored, or the engine failed.
    pub fn fill(&self, new: impl IntoIterator<Item = (Bytes, Bytes)>) -> Result<(), Error> {
        let mut writes = Writes::default();
        for (key, value) in new {
            rows::check(&key, Some(&value))?;
            rows::put(&mut writes, &key, &value);
            if writes.is_full() {
                self.kv.write(std::mem::take(&mut writes))?;
            }
        }
        self.kv.write(writes)
    }

    /// Says that it is complete up to `index`, durably.
    ///
    /// # Errors
    /// The engine or the disk failed.
    pub fn complete(&self, index: u64) -> Result<(), Error> {
        // The rows first: an index that is durable without them would be a lie.
        self.kv.flush_durable()?;
        let mut writes = Writes::default();
        rows::put_applied(&mut writes, index);
        self.kv.write(writes)?;
        self.kv.flush_durable()
    }

    /// The index that it is complete up to.
    pub(super) fn applied(&self) -> Result<Option<u64>, Error> {
        rows::applied(self.kv.as_ref())
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Acquire) {
            // Should it be the last: closing and removing files is nothing for an async thread.
            drop_off_thread(self.kv.blocks(), Arc::clone(&self.kv));
        }
    }
}

/// A Kv and what happens after it. In this order: its files are closed before they are removed.
struct Held {
    kv: Arc<dyn Kv>,
    _end: End,
}

/// Removes a generation whose Kv is closed.
pub(super) type Remove = Box<dyn Fn() -> Result<(), Error> + Send + Sync>;

struct End {
    unless: Arc<AtomicBool>,
    remove: Remove,
}

impl Drop for End {
    fn drop(&mut self) {
        if self.unless.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = (self.remove)() {
            tracing::warn!(%error, "an unused history stays until the next start");
        }
    }
}

impl Kv for Held {
    fn write(&self, writes: Writes) -> Result<(), Error> {
        self.kv.write(writes)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        self.kv.get(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error> {
        self.kv.scan(from, to, direction, limit)
    }

    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Error> {
        self.kv.keys(from, to, limit)
    }

    fn flush_durable(&self) -> Result<(), Error> {
        self.kv.flush_durable()
    }

    fn bytes_on_disk(&self) -> u64 {
        self.kv.bytes_on_disk()
    }

    fn health(&self) -> Result<(), Error> {
        self.kv.health()
    }

    fn blocks(&self) -> bool {
        self.kv.blocks()
    }
}
