//! Reads of a range of the history: what is durable, merged with what is not yet.

use super::kv::{self, Direction, Kv, Pair};
use super::overlay::{Rows, Slice};
use super::{Error, rows};

/// Rows read from the Kv at a time when deleted ones may lie between.
const PAGE: usize = 256;

/// A range of the history.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The first key that may be found.
    pub from: Vec<u8>,
    /// Above the last key that may be found.
    pub to: Vec<u8>,
    /// Which end comes first.
    pub direction: Direction,
    /// Rows at most.
    pub limit: usize,
}

impl Scan {
    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8], direction: Direction, limit: usize) -> Self {
        Self { from: prefix.to_vec(), to: kv::end_of(prefix), direction, limit }
    }

    /// Goes on behind `key`, the last one already seen.
    #[must_use]
    pub fn after(mut self, key: &[u8]) -> Self {
        match self.direction {
            Direction::Forward => self.from = [key, &[0]].concat(),
            Direction::Backward => self.to = key.to_vec(),
        }
        self
    }
}

/// Merges the overlay's part with the Kv's. The overlay is read first: a row that moves to the Kv
/// meanwhile is then seen twice, and never missed.
pub(super) fn scan(scan: Scan, slice: Slice, kv: &dyn Kv) -> Result<Vec<Pair>, Error> {
    let Scan { mut from, mut to, direction, limit } = scan;
    let mut fresh = slice.rows;
    if let Some(last) = slice.enough_at {
        match direction {
            Direction::Forward => to = [&last[..], &[0]].concat(),
            Direction::Backward => from = last,
        }
    }
    let mut found = Vec::new();
    while found.len() < limit {
        let page = rows::scan(kv, &from, &to, direction, PAGE.min(limit))?;
        let full = page.len() == PAGE.min(limit);
        for (key, value) in page {
            take_before(&mut fresh, &key, direction, &mut found);
            match fresh.remove(&key) {
                Some(Some(newer)) => found.push((key.clone(), newer)),
                Some(None) => {}
                None => found.extend(value.map(|value| (key.clone(), value))),
            }
            match direction {
                Direction::Forward => from = [&key[..], &[0]].concat(),
                Direction::Backward => to = key,
            }
        }
        if !full {
            break;
        }
    }
    take_rest(fresh, direction, &mut found);
    found.truncate(limit);
    Ok(found)
}

/// Moves the live rows that come before `key`.
fn take_before(fresh: &mut Rows, key: &[u8], direction: Direction, found: &mut Vec<Pair>) {
    let behind = match direction {
        Direction::Forward => fresh.split_off(key),
        Direction::Backward => {
            let above = fresh.split_off(&[key, &[0]].concat());
            std::mem::replace(fresh, above)
        }
    };
    take_rest(std::mem::replace(fresh, behind), direction, found);
}

fn take_rest(fresh: Rows, direction: Direction, found: &mut Vec<Pair>) {
    let live = fresh.into_iter().filter_map(|(key, value)| Some((key, value?)));
    match direction {
        Direction::Forward => found.extend(live),
        Direction::Backward => found.extend(live.rev()),
    }
}
