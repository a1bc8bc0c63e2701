//! History rows that are applied and not yet durable: what reads see before the Kv has them.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::kv::Direction;

/// What a row costs beyond its bytes, in the bound on memory.
const ROW_OVERHEAD: usize = 64;

/// Rows by key; `None` says the row was deleted.
pub(super) type Rows = BTreeMap<Vec<u8>, Option<Bytes>>;

/// Rows not yet durable, in two layers: those being written, and newer ones.
#[derive(Default)]
pub(super) struct Overlay {
    active: Rows,
    active_bytes: usize,
    writing: Arc<Rows>,
    writing_bytes: usize,
    /// The index that `active` and everything below it cover.
    applied: Option<u64>,
}

/// The part of a range that an overlay answers.
pub(super) struct Slice {
    /// Rows of the range, deletions too, in the scan's order.
    pub rows: Rows,
    /// Set when the overlay alone has enough: rows beyond this key are not needed.
    pub enough_at: Option<Vec<u8>>,
}

impl Overlay {
    /// Adds the rows of the entry at `index`.
    pub fn record(&mut self, index: u64, rows: impl Iterator<Item = (Vec<u8>, Option<Bytes>)>) {
        for (key, value) in rows {
            self.active_bytes += cost(&key, value.as_ref());
            let key_bytes = key.len();
            if let Some(old) = self.active.insert(key, value) {
                let old = ROW_OVERHEAD + key_bytes + old.map_or(0, |v| v.len());
                self.active_bytes = self.active_bytes.saturating_sub(old);
            }
        }
        self.applied = Some(index);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.active_bytes + self.writing_bytes
    }

    /// Rows not yet handed to a writer.
    pub fn waiting(&self) -> usize {
        self.active.len()
    }

    /// The index covered.
    pub fn applied(&self) -> Option<u64> {
        self.applied
    }

    /// Hands the rows over to be written. They stay visible until [`Overlay::written`].
    pub fn begin_writing(&mut self) -> Arc<Rows> {
        self.writing = Arc::new(std::mem::take(&mut self.active));
        self.writing_bytes = std::mem::take(&mut self.active_bytes);
        Arc::clone(&self.writing)
    }

    /// What was handed over is durable.
    pub fn written(&mut self) {
        self.writing = Arc::default();
        self.writing_bytes = 0;
    }

    /// A row, if the overlay knows of it; the inner `None` says it was deleted.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.active.get(key).or_else(|| self.writing.get(key)).cloned()
    }

    /// The rows with `from <= key < to`, until `limit` live ones are found.
    pub fn slice(&self, from: &[u8], to: &[u8], direction: Direction, limit: usize) -> Slice {
        let mut rows = Rows::new();
        let mut live = 0;
        if from >= to {
            return Slice { rows, enough_at: None };
        }
        let range = (Bound::Included(from), Bound::Excluded(to));
        let mut newer = self.active.range::<[u8], _>(range);
        let mut older = self.writing.range::<[u8], _>(range);
        let step = |layer: &mut Range<'_, Vec<u8>, Option<Bytes>>| {
            let found = match direction {
                Direction::Forward => layer.next(),
                Direction::Backward => layer.next_back(),
            };
            found.map(|(key, value)| (key.clone(), value.clone()))
        };
        let (mut new, mut old) = (step(&mut newer), step(&mut older));
        while live < limit {
            let first = match (&new, &old) {
                (None, None) => {
                    return Slice { rows, enough_at: None };
                }
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some((a, _)), Some((b, _))) if direction == Direction::Forward => a <= b,
                (Some((a, _)), Some((b, _))) => a >= b,
            };
            let taken = if first {
                std::mem::replace(&mut new, step(&mut newer))
            } else {
                std::mem::replace(&mut old, step(&mut older))
            };
            let Some((key, value)) = taken else { break };
            // The newer layer comes first for an equal key, and wins.
            if rows.contains_key(&key) {
                continue;
            }
            live += usize::from(value.is_some());
            if live == limit {
                rows.insert(key.clone(), value);
                return Slice { rows, enough_at: Some(key) };
            }
            rows.insert(key, value);
        }
        Slice { rows, enough_at: None }
    }
}

fn cost(key: &[u8], value: Option<&Bytes>) -> usize {
    ROW_OVERHEAD + key.len() + value.map_or(0, Bytes::len)
}
