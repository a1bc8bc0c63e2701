//! The history as it was at one index, while it goes on: what a backup reads.
//!
//! A Kv has no snapshots of its own. So while an image lives, every row that entries after its
//! index write or remove is noted first with what stood under its key, and a page that is read
//! from the Kv is put right by these notes. What is noted costs memory, so it has a bound; past it
//! the image is given up, never the writes.
//!
//! An image is begun before its index is known: whoever begins it makes a checkpoint next, and
//! that has an index of its own, at or after [`Image::least`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::generation::Generation;
use super::kv::Pair;
use super::overlay::{Overlay, Rows};
use super::{Error, rows};

/// Bytes of notes that an image may take.
const NOTES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// What a note costs beyond its bytes.
const NOTE_OVERHEAD: usize = 96;

/// What stood under a key before an entry touched it.
enum Before {
    /// It is still what the Kv holds.
    InKv,
    Known(Option<Bytes>),
}

#[derive(Default)]
struct Kept {
    /// Known once the checkpoint is.
    index: Option<u64>,
    /// By key: the entries that touched it, first one first. Once the index is known, one each.
    touched: BTreeMap<Vec<u8>, Vec<(u64, Before)>>,
    bytes: usize,
    given_up: bool,
}

/// What the history notes for an image.
#[derive(Default)]
pub(super) struct Notes(Mutex<Kept>);

impl Notes {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An entry is about to be recorded. `overlay` is as it was before.
    pub fn record(&self, index: u64, new: &[(Vec<u8>, Option<Vec<u8>>)], overlay: &Overlay) {
        let mut kept = self.kept();
        if kept.given_up {
            return;
        }
        let fixed = kept.index.is_some();
        for (key, _) in new {
            if fixed && kept.touched.contains_key(key) {
                continue;
            }
            let before = overlay.get(key).map_or(Before::InKv, Before::Known);
            kept.bytes += key.len() + NOTE_OVERHEAD + size(&before);
            kept.touched.entry(key.clone()).or_default().push((index, before));
        }
        kept.bound();
    }

    /// Rows are about to be written to the Kv: what it holds under their keys is noted first.
    pub fn before_write(&self, kv: &dyn super::Kv, new: &Rows) -> Result<(), Error> {
        let unknown: Vec<Vec<u8>> = {
            let kept = self.kept();
            let in_kv = |key: &&Vec<u8>| {
                let notes = kept.touched.get(*key);
                notes.is_some_and(|all| all.iter().any(|(_, b)| matches!(b, Before::InKv)))
            };
            new.keys().filter(in_kv).cloned().collect()
        };
        for key in unknown {
            let held = rows::get(kv, &key)?;
            let mut kept = self.kept();
            kept.bytes += held.as_ref().map_or(0, Bytes::len);
            for (_, before) in kept.touched.get_mut(&key).into_iter().flatten() {
                if matches!(before, Before::InKv) {
                    *before = Before::Known(held.clone());
                }
            }
            kept.bound();
        }
        Ok(())
    }
}

impl Kept {
    fn bound(&mut self) {
        if self.bytes > NOTES_BYTES_MAX {
            self.given_up = true;
            self.touched.clear();
        }
    }
}

fn size(before: &Before) -> usize {
    match before {
        Before::Known(Some(value)) => value.len(),
        Before::Known(None) | Before::InKv => 0,
    }
}

/// The history at one index. Dropped, nothing is noted any more.
pub struct Image {
    notes: Arc<Notes>,
    generation: Generation,
    least: u64,
}

impl Image {
    pub(super) fn new(notes: Arc<Notes>, generation: Generation, least: u64) -> Self {
        Self { notes, generation, least }
    }

    /// The first index that it can stand for: earlier entries have been recorded before it began.
    pub fn least(&self) -> u64 {
        self.least
    }

    /// Says which index it stands for. Everything up to it must be durable.
    pub fn fix(&self, index: u64) {
        debug_assert!(index >= self.least);
        let mut kept = self.notes.kept();
        kept.index = Some(index);
        kept.touched.retain(|_, notes| {
            notes.retain(|(touched, _)| *touched > index);
            notes.truncate(1);
            !notes.is_empty()
        });
    }

    /// Whether reading it reaches a disk.
    pub fn blocks(&self) -> bool {
        self.generation.kv().blocks()
    }

    /// Some rows with keys from `from` on, in order, and where the next page begins; none: that
    /// was the last.
    ///
    /// # Errors
    /// The engine failed, a row is damaged, or too much changed since the image began.
    pub fn page(&self, from: &[u8], limit: usize) -> Result<(Vec<Pair>, Option<Vec<u8>>), Error> {
        // The Kv first: what is written after this was noted before.
        let found = self.generation.rows(from, limit)?;
        let last = found.last().filter(|_| found.len() == limit);
        let next = last.map(|(key, _)| [key, &[0][..]].concat());
        let mut page: BTreeMap<Vec<u8>, Bytes> =
            found.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let kept = self.notes.kept();
        if kept.given_up {
            let reason = "the history changed too much while it was read; try at a quieter time";
            return Err(Error::Engine { op: "back the history up", reason: reason.to_owned() });
        }
        let end = next.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        for (key, notes) in kept.touched.range::<[u8], _>((Bound::Included(from), end)) {
            match notes.first() {
                Some((_, Before::Known(Some(value)))) => {
                    page.insert(key.clone(), value.clone());
                }
                Some((_, Before::Known(None))) => {
                    page.remove(key);
                }
                Some((_, Before::InKv)) | None => {}
            }
        }
        Ok((page.into_iter().collect(), next))
    }
}
