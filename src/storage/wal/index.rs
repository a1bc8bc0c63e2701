//! Where each entry lies, and the marks: what is in memory of the log.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::record::Record;
use crate::storage::log::{Mark, Write};

/// Where an entry lies, and the checksum of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub segment: u64,
    pub offset: u64,
    pub length: u32,
    pub checksum: u32,
}

/// The entries that are there, and the marks.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// The index of the first place; without places, of the next entry. None: any may come.
    first: Option<u64>,
    places: VecDeque<Place>,
    /// The last entry that was purged.
    pub purged: Option<u64>,
    pub marks: BTreeMap<Mark, Bytes>,
}

impl Index {
    /// The index of the next entry; none: any may come.
    pub fn next(&self) -> Option<u64> {
        self.first.map(|first| first + self.places.len() as u64)
    }

    /// The index of the last entry.
    pub fn last(&self) -> Option<u64> {
        self.next().filter(|_| !self.places.is_empty()).map(|next| next - 1)
    }

    /// The places of the entries with `from <= index < to`.
    pub fn range(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, Place)> {
        let first = self.first.unwrap_or_default();
        let skip = from.saturating_sub(first) as usize;
        let places = (first + skip as u64..).zip(self.places.iter().skip(skip).copied());
        places.take_while(move |(index, _)| *index < to)
    }

    /// The oldest segment with an entry in it.
    pub fn oldest_segment(&self) -> Option<u64> {
        self.places.front().map(|place| place.segment)
    }

    /// Adds an entry; says whether it follows the last one.
    pub fn push(&mut self, index: u64, place: Place) -> bool {
        match self.next() {
            Some(next) if index > next && !self.places.is_empty() => return false,
            // An entry that is written again ends the log, as a truncation would.
            Some(next) if index < next => self.truncate(index),
            Some(next) if index == next => {}
            _ => self.first = Some(index),
        }
        self.places.push_back(place);
        true
    }

    /// Removes the entries from `since` on.
    pub fn truncate(&mut self, since: u64) {
        let Some(first) = self.first else { return };
        if since < first {
            self.places.clear();
            self.first = Some(since);
        } else {
            self.places.truncate((since - first) as usize);
        }
    }

    /// Removes the entries up to `upto`.
    pub fn purge(&mut self, upto: u64) {
        self.purged = self.purged.max(Some(upto));
        let Some(first) = self.first else { return };
        let gone = (upto + 1).saturating_sub(first);
        if gone >= self.places.len() as u64 {
            let next = first + self.places.len() as u64;
            self.places.clear();
            self.first = Some(next.max(upto + 1));
        } else {
            self.places.drain(..gone as usize);
            self.first = Some(first + gone);
        }
    }

    /// Whether the entries of a group follow the last one, and each other.
    pub fn follows(&self, group: &[Write]) -> bool {
        let mut next = self.next().filter(|_| !self.places.is_empty());
        let mut sound = true;
        for write in group {
            match write {
                Write::Append { entries } => {
                    for (index, _) in entries {
                        sound &= next.is_none_or(|next| *index <= next);
                        next = Some(index + 1);
                    }
                }
                Write::Truncate { since } => next = next.map(|next| next.min(*since)),
                // What comes may then begin anywhere.
                Write::Purge { upto, .. } => next = next.filter(|next| *next > upto + 1),
                Write::Mark(..) | Write::Stop => {}
            }
        }
        sound
    }

    /// A group that was written, whose entries lie at `places`.
    pub fn apply(&mut self, group: &[Write], places: Vec<(u64, Place)>) {
        let mut places = places.into_iter();
        for write in group {
            match write {
                Write::Append { entries } => {
                    for (index, place) in places.by_ref().take(entries.len()) {
                        self.push(index, place);
                    }
                }
                Write::Mark(mark, bytes) => {
                    self.marks.insert(*mark, bytes.clone());
                }
                Write::Truncate { since } => self.truncate(*since),
                Write::Purge { upto, mark } => {
                    self.marks.insert(Mark::Purged, mark.clone());
                    self.purge(*upto);
                }
                Write::Stop => {}
            }
        }
    }

    /// A record that was read; its body begins at `body` of `segment`. False:
    /// it does not follow what was there.
    pub fn take(&mut self, record: Record, segment: u64, body: u64, bytes: &[u8]) -> bool {
        match record {
            Record::Entry { index, at, length } => {
                let entry = bytes.get(at..at + length as usize).unwrap_or_default();
                let checksum = crc32fast::hash(entry);
                let offset = body + at as u64;
                return self.push(index, Place { segment, offset, length, checksum });
            }
            Record::Mark(mark, bytes) => {
                self.marks.insert(mark, bytes);
            }
            Record::Truncate { since } => self.truncate(since),
            Record::Purge { upto, mark } => {
                self.marks.insert(Mark::Purged, mark);
                self.purge(upto);
            }
            Record::Base { next, purged } => {
                if self.first.is_none() && self.places.is_empty() {
                    (self.first, self.purged) = (next, purged);
                }
                return self.next() == next && self.purged == purged;
            }
        }
        true
    }

    /// Entries that must be there and are not: the first and the last of them.
    pub fn missing(&self) -> Option<(u64, u64)> {
        let first = self.first?;
        // The first entry of a new log is 0 or 1.
        let needed = self.purged.map_or(1, |purged| purged + 1);
        (first > needed).then(|| (needed, first - 1))
    }
}
