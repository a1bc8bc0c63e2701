//! What is in the body of a group.

use bytes::{Buf, BufMut, Bytes};

use crate::storage::log::{Mark, Write};

const ENTRY: u8 = 1;
const MARK: u8 = 2;
const TRUNCATE: u8 = 3;
const PURGE: u8 = 4;
const BASE: u8 = 5;

/// Bytes of an entry's record before the entry.
const ENTRY_HEAD: usize = 1 + 8 + 4;

/// A record that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// An entry, and where in the body it lies.
    Entry {
        index: u64,
        at: usize,
        length: u32,
    },
    Mark(Mark, Bytes),
    Truncate {
        since: u64,
    },
    Purge {
        upto: u64,
        mark: Bytes,
    },
    /// Where a segment begins: the index that comes next, if any is known, and the last one
    /// that was purged.
    Base {
        next: Option<u64>,
        purged: Option<u64>,
    },
}

fn mark_number(mark: Mark) -> u8 {
    match mark {
        Mark::Vote => 1,
        Mark::Purged => 2,
        Mark::Committed => 3,
    }
}

/// Adds a write; gives where in `body` each of its entries lies.
pub(super) fn put(body: &mut Vec<u8>, write: &Write, mut placed: impl FnMut(u64, usize, &Bytes)) {
    match write {
        Write::Append { entries } => {
            for (index, record) in entries {
                body.reserve(ENTRY_HEAD + record.len());
                body.put_u8(ENTRY);
                body.put_u64_le(*index);
                body.put_u32_le(record.len() as u32);
                placed(*index, body.len(), record);
                body.put_slice(record);
            }
        }
        Write::Mark(mark, bytes) => put_mark(body, *mark, bytes),
        Write::Truncate { since } => {
            body.put_u8(TRUNCATE);
            body.put_u64_le(*since);
        }
        Write::Purge { upto, mark } => {
            body.put_u8(PURGE);
            body.put_u64_le(*upto);
            body.put_u32_le(mark.len() as u32);
            body.put_slice(mark);
        }
        Write::Stop => {}
    }
}

/// Adds a mark.
pub(super) fn put_mark(body: &mut Vec<u8>, mark: Mark, bytes: &Bytes) {
    body.put_u8(MARK);
    body.put_u8(mark_number(mark));
    body.put_u32_le(bytes.len() as u32);
    body.put_slice(bytes);
}

/// Adds the record that a segment begins with.
pub(super) fn put_base(body: &mut Vec<u8>, next: Option<u64>, purged: Option<u64>) {
    body.put_u8(BASE);
    for value in [next, purged] {
        body.put_u8(u8::from(value.is_some()));
        body.put_u64_le(value.unwrap_or_default());
    }
}

/// Reads all records of a body whose checksum is right; none: it is of a newer version.
pub(super) fn read(body: &[u8]) -> Option<Vec<Record>> {
    let mut rest = body;
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(read_one(&mut rest, body.len())?);
    }
    Some(records)
}

fn read_one(rest: &mut &[u8], whole: usize) -> Option<Record> {
    let record = match rest.try_get_u8().ok()? {
        ENTRY => {
            let index = rest.try_get_u64_le().ok()?;
            let length = rest.try_get_u32_le().ok()?;
            let at = whole - rest.len();
            take(rest, length as usize)?;
            Record::Entry { index, at, length }
        }
        MARK => {
            let mark = match rest.try_get_u8().ok()? {
                1 => Mark::Vote,
                2 => Mark::Purged,
                3 => Mark::Committed,
                _ => return None,
            };
            Record::Mark(mark, counted(rest)?)
        }
        TRUNCATE => Record::Truncate { since: rest.try_get_u64_le().ok()? },
        PURGE => {
            let upto = rest.try_get_u64_le().ok()?;
            Record::Purge { upto, mark: counted(rest)? }
        }
        BASE => {
            let (next, purged) = (optional(rest)?, optional(rest)?);
            Record::Base { next, purged }
        }
        _ => return None,
    };
    Some(record)
}

fn optional(rest: &mut &[u8]) -> Option<Option<u64>> {
    let there = rest.try_get_u8().ok()? == 1;
    let value = rest.try_get_u64_le().ok()?;
    Some(there.then_some(value))
}

fn counted(rest: &mut &[u8]) -> Option<Bytes> {
    let length = rest.try_get_u32_le().ok()? as usize;
    take(rest, length).map(Bytes::copy_from_slice)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}
