//! The small ordered map that everything but checkpoints is stored in.

use std::time::Duration;

use bytes::Bytes;

use super::Error;

/// A stored key and its value.
pub type Pair = (Vec<u8>, Bytes);

/// Which end of a range a scan begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Largest key first.
    Backward,
}

/// The largest key and value a Kv takes, in bytes. The engine puts larger nodes in files it
/// never syncs, so the bounds are a rule of durability and not of taste.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in a key.
    pub key: usize,
    /// Bytes in a value.
    pub value: usize,
}

impl Limits {
    /// For the log: few keys, values up to 64 KiB.
    pub const LOG: Self = Self { key: 64, value: 64 * 1024 };
    /// For the history: many keys, values up to 6 KiB. The engine puts up to 16 values into a
    /// node of its tree, and 16 of 8 KiB are over the quarter of a segment that it allows.
    pub const STATE: Self = Self { key: 1024, value: 6 * 1024 };

    /// Refuses a batch with a key or a value over the bounds.
    ///
    /// # Errors
    /// [`Error::TooLarge`], naming the first that is.
    pub fn check(self, writes: &Writes) -> Result<(), Error> {
        for (key, value) in &writes.changes {
            let value = value.as_ref().map_or(0, Bytes::len);
            for (what, bytes, limit) in
                [("a key", key.len(), self.key), ("a value", value, self.value)]
            {
                if bytes > limit {
                    return Err(Error::TooLarge { what, bytes, limit });
                }
            }
        }
        Ok(())
    }
}

/// One batch of many. The engine's lock is held for a batch, and the log's flush waits for it.
const BATCH_ROWS: usize = 512;
const BATCH_BYTES: usize = 256 * 1024;

/// Changes that happen together or not at all.
#[derive(Debug, Default)]
pub struct Writes {
    pub(super) changes: Vec<(Vec<u8>, Option<Bytes>)>,
    bytes: usize,
}

impl Writes {
    /// Sets a key.
    pub fn put(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        let value = value.into();
        self.bytes += key.len() + value.len();
        self.changes.push((key, Some(value)));
    }

    /// Removes a key, which need not be there.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.bytes += key.len();
        self.changes.push((key, None));
    }

    /// How many keys it changes.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether it is time to write it, when more is to come that need not happen together.
    pub fn is_full(&self) -> bool {
        self.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Bytes of keys and values together.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// An ordered map of bytes that can be made durable. All calls may block on the disk.
pub trait Kv: Send + Sync + 'static {
    /// Makes the changes visible, all or none. They are durable only after the next
    /// [`Kv::flush_durable`]; a crash before it keeps a prefix of the writes in order.
    ///
    /// # Errors
    /// A bound of [`Limits`] is passed, or the engine failed.
    fn write(&self, writes: Writes) -> Result<(), Error>;

    /// The value of a key.
    ///
    /// # Errors
    /// The engine failed.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// At most `limit` pairs with `from <= key < to`, in the order of `direction`.
    ///
    /// # Errors
    /// The engine failed.
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, Error>;

    /// At most `limit` keys with `from <= key < to`, smallest first.
    ///
    /// # Errors
    /// The engine failed.
    fn keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, Error>;

    /// Returns once everything written before the call survives a power loss.
    ///
    /// # Errors
    /// The engine or the disk failed. It must not be tried again: the system may have dropped
    /// the pages it could not write, and would then report success.
    fn flush_durable(&self) -> Result<(), Error>;

    /// Bytes it takes on disk.
    fn bytes_on_disk(&self) -> u64;

    /// Checks that everything written is where it can be made durable.
    ///
    /// # Errors
    /// The engine put something in files that it never syncs.
    fn health(&self) -> Result<(), Error>;

    /// Whether calls reach a disk, and so belong on a thread that may block.
    fn blocks(&self) -> bool;

    /// How long the next flush is made to take, where a simulation plays the disk.
    fn delay(&self) -> Option<Duration> {
        None
    }
}

/// The smallest key above every key that begins with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // Nothing lies above a prefix of 0xff only; no key is that long.
    vec![u8::MAX; Limits::STATE.key + 1]
}
