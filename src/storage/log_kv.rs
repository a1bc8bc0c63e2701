//! A log in a Kv: entries in parts under their index, and the marks.
//!
//! `e` + index (8 bytes, big-endian) + part (2 bytes) -> a part; the first one begins with the
//! entry's length in 4 bytes. `m` + name -> a mark. One batch writes all parts of an entry, so an
//! entry is there whole or not at all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::Error;
use super::kv::{Direction, Kv, Writes};
use super::log::{LogDisk, Mark, Write};

/// Bytes of an entry in one part; with the length it stays below the Kv's bound on values.
const PART_BYTES: usize = 65_000;
/// Parts read at a time.
const PAGE: usize = 256;
/// Purged keys removed at a time, between writes, so that no write waits long for it.
const SWEEP: usize = 128;

const ENTRY: u8 = b'e';
const MARK: u8 = b'm';

fn mark_key(mark: Mark) -> Vec<u8> {
    let name: &[u8] = match mark {
        Mark::Vote => b"vote",
        Mark::Purged => b"purged",
        Mark::Committed => b"committed",
    };
    [&[MARK], name].concat()
}

/// The log in a Kv.
pub struct KvLog {
    kv: Arc<dyn Kv>,
    /// The last purged index whose keys may still be there.
    sweep: Mutex<Option<u64>>,
}

impl KvLog {
    /// Over the Kv that holds it.
    pub fn over(kv: Arc<dyn Kv>) -> Arc<dyn LogDisk> {
        Arc::new(Self { kv, sweep: Mutex::default() })
    }

    fn sweep(&self) -> MutexGuard<'_, Option<u64>> {
        self.sweep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self, write: Write, pending: &mut Writes) -> Result<(), Error> {
        match write {
            Write::Append { entries } => {
                for (index, record) in entries {
                    put_entry(pending, index, &record);
                }
            }
            Write::Mark(mark, bytes) => pending.put(mark_key(mark), bytes),
            Write::Truncate { since } => {
                // It must see the entries that are still pending.
                self.kv.write(std::mem::take(pending))?;
                let keys = self.kv.keys(&key(since, 0), &end(), usize::MAX)?;
                keys.into_iter().for_each(|key| pending.delete(key));
            }
            Write::Purge { upto, mark } => {
                pending.put(mark_key(Mark::Purged), mark);
                self.purged_before(upto);
            }
            Write::Stop => {}
        }
        Ok(())
    }
}

impl LogDisk for KvLog {
    fn write(&self, group: Vec<Write>) -> Result<(), Error> {
        let mut pending = Writes::default();
        for write in group {
            self.prepare(write, &mut pending)?;
        }
        if pending.is_empty() { Ok(()) } else { self.kv.write(pending) }
    }

    fn sync(&self) -> Result<(), Error> {
        self.kv.flush_durable()
    }

    fn mark(&self, mark: Mark) -> Result<Option<Bytes>, Error> {
        self.kv.get(&mark_key(mark))
    }

    fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<(u64, Bytes)>, Error> {
        let mut found: Vec<(u64, Bytes)> = Vec::new();
        let mut bytes = 0;
        let mut next = key(from, 0);
        let end = key(to, 0);
        let mut open: Option<Partial> = None;
        loop {
            let page = self.kv.scan(&next, &end, Direction::Forward, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            next = [last.as_slice(), &[0]].concat();
            let whole = page.len() < PAGE;
            for (key, part) in page {
                let (index, number) = parse(&key)?;
                if number == 0 {
                    finish(&mut found, open.take())?;
                    if bytes >= bytes_max && !found.is_empty() {
                        return Ok(found);
                    }
                    open = Some(Partial::begin(index, part)?);
                } else if let Some(open) = &mut open {
                    open.push(index, number, &part)?;
                } else {
                    return Err(damaged(index, "its first part is missing"));
                }
                bytes += open.as_ref().map_or(0, |o| o.last);
            }
            if whole {
                break;
            }
        }
        finish(&mut found, open)?;
        Ok(found)
    }

    fn last_index(&self) -> Result<Option<u64>, Error> {
        let last = self.kv.scan(&[ENTRY], &[ENTRY + 1], Direction::Backward, 1)?;
        last.first().map(|(key, _)| parse(key).map(|(index, _)| index)).transpose()
    }

    fn purged_before(&self, upto: u64) {
        let mut sweep = self.sweep();
        *sweep = sweep.max(Some(upto));
    }

    /// A crash meanwhile loses nothing: the mark alone decides.
    fn tidy(&self) -> Result<bool, Error> {
        let Some(upto) = *self.sweep() else { return Ok(false) };
        let end = key(upto.saturating_add(1), 0);
        let mut keys = self.kv.keys(&key(0, 0), &end, SWEEP)?;
        let more = keys.len() == SWEEP;
        if more && let Some(last) = keys.last().cloned() {
            // Parts of the last entry may be missing from this page: it goes with the next.
            keys.retain(|key| !same_entry(key, &last));
        }
        let mut writes = Writes::default();
        keys.into_iter().for_each(|key| writes.delete(key));
        self.kv.write(writes)?;
        if !more {
            *self.sweep() = None;
        }
        Ok(more)
    }

    fn settle(&self) -> Result<(), Error> {
        Ok(())
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

    fn delay(&self) -> Option<Duration> {
        self.kv.delay()
    }
}

/// An entry whose parts are being read.
struct Partial {
    index: u64,
    parts: u16,
    last: usize,
    total: usize,
    bytes: BytesMut,
    single: Option<Bytes>,
}

impl Partial {
    fn begin(index: u64, part: Bytes) -> Result<Self, Error> {
        let Some((head, body)) = part.split_first_chunk::<4>() else {
            return Err(damaged(index, "its length is missing"));
        };
        let total = u32::from_be_bytes(*head) as usize;
        let last = body.len();
        let single = (last == total).then(|| part.slice(4..));
        let bytes = if single.is_some() { BytesMut::new() } else { BytesMut::from(body) };
        Ok(Self { index, parts: 1, last, total, bytes, single })
    }

    fn push(&mut self, index: u64, number: u16, part: &[u8]) -> Result<(), Error> {
        if index != self.index || number != self.parts {
            return Err(damaged(index, "a part is missing"));
        }
        self.parts += 1;
        self.last = part.len();
        self.bytes.put(part);
        Ok(())
    }
}

fn finish(found: &mut Vec<(u64, Bytes)>, open: Option<Partial>) -> Result<(), Error> {
    let Some(open) = open else { return Ok(()) };
    let bytes = open.single.unwrap_or_else(|| open.bytes.freeze());
    if bytes.len() != open.total {
        return Err(damaged(open.index, "its length is wrong"));
    }
    found.push((open.index, bytes));
    Ok(())
}

/// Adds an entry to a batch, in as many parts as it needs.
fn put_entry(writes: &mut Writes, index: u64, record: &[u8]) {
    let mut parts = record.chunks(PART_BYTES);
    let mut first = BytesMut::with_capacity(4 + record.len().min(PART_BYTES));
    first.put_u32(record.len() as u32);
    first.put(parts.next().unwrap_or_default());
    writes.put(key(index, 0), first.freeze());
    for (number, part) in (1..).zip(parts) {
        writes.put(key(index, number), Bytes::copy_from_slice(part));
    }
}

/// The key of a part of an entry.
fn key(index: u64, part: u16) -> Vec<u8> {
    [&[ENTRY], &index.to_be_bytes()[..], &part.to_be_bytes()[..]].concat()
}

/// Whether two keys are parts of one entry.
fn same_entry(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.get(..9) == b.get(..9)
}

/// Above every entry.
fn end() -> Vec<u8> {
    vec![ENTRY + 1]
}

fn parse(key: &[u8]) -> Result<(u64, u16), Error> {
    let parts = key.split_first().and_then(|(_, rest)| rest.split_first_chunk::<8>());
    match parts.and_then(|(index, part)| Some((index, <[u8; 2]>::try_from(part).ok()?))) {
        Some((index, part)) => Ok((u64::from_be_bytes(*index), u16::from_be_bytes(part))),
        None => Err(Error::Damaged {
            what: "the log".to_owned(),
            reason: format!("a key of {} bytes", key.len()),
        }),
    }
}

fn damaged(index: u64, reason: &str) -> Error {
    Error::Damaged { what: format!("log entry {index}"), reason: reason.to_owned() }
}
