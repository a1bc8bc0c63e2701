//! Layout of the history Kv: a row under its key, and the pieces of a row too large for one value.
//!
//! `h` + key -> 0 + value, or 1 + length (4 bytes) when the value is in pieces.
//! `c` + key + number (4 bytes, big-endian) -> a piece. `m` + name -> a mark.
//! Rows are immutable: a key is put once, or again with the same value, until it is deleted.
//! A row may be deleted while it is read: its pieces go in one batch with its head, so a reader
//! that misses a piece asks for the head again, and knows that the row is gone or was put anew.

use bytes::{BufMut, Bytes, BytesMut};

use super::Error;
use super::kv::{Direction, Kv, Limits, Pair, Writes};

/// Bytes of a value kept in one piece.
pub(super) const PIECE_BYTES: usize = 6_000;
/// Room that the layout needs in a key.
const KEY_OVERHEAD: usize = 5;

const ROW: u8 = b'h';
const PIECE: u8 = b'c';
const APPLIED: &[u8] = b"mhistory_applied";

const WHOLE: u8 = 0;
const IN_PIECES: u8 = 1;

/// Refuses a row that can't be stored.
pub(super) fn check(key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
    let bounds = [
        ("a history key", key.len(), Limits::STATE.key - KEY_OVERHEAD),
        ("a history value", value.map_or(0, <[u8]>::len), u32::MAX as usize),
    ];
    match bounds.into_iter().find(|(_, bytes, limit)| bytes > limit) {
        Some((what, bytes, limit)) => Err(Error::TooLarge { what, bytes, limit }),
        None => Ok(()),
    }
}

/// Adds a row to a batch.
pub(super) fn put(writes: &mut Writes, key: &[u8], value: &Bytes) {
    if value.len() <= PIECE_BYTES {
        let mut whole = BytesMut::with_capacity(1 + value.len());
        whole.put_u8(WHOLE);
        whole.put(value.as_ref());
        writes.put(row_key(key), whole.freeze());
        return;
    }
    let mut head = BytesMut::with_capacity(5);
    head.put_u8(IN_PIECES);
    head.put_u32(value.len() as u32);
    writes.put(row_key(key), head.freeze());
    for (number, piece) in (0..).zip(value.chunks(PIECE_BYTES)) {
        writes.put(piece_key(key, number), Bytes::copy_from_slice(piece));
    }
}

/// Adds the removal of a row to a batch, with its pieces if it has any.
pub(super) fn delete(kv: &dyn Kv, writes: &mut Writes, key: &[u8]) -> Result<(), Error> {
    let row = row_key(key);
    if let Some(length) = kv.get(&row)?.as_deref().and_then(length_in_pieces) {
        let pieces = length.div_ceil(PIECE_BYTES) as u32;
        (0..pieces).for_each(|number| writes.delete(piece_key(key, number)));
    }
    writes.delete(row);
    Ok(())
}

/// Adds the index that the history is complete up to.
pub(super) fn put_applied(writes: &mut Writes, index: u64) {
    writes.put(APPLIED.to_vec(), index.to_be_bytes().to_vec());
}

/// The index that the history is complete up to, or `None` when nothing was ever written.
pub(super) fn applied(kv: &dyn Kv) -> Result<Option<u64>, Error> {
    let Some(bytes) = kv.get(APPLIED)? else {
        return Ok(None);
    };
    match <[u8; 8]>::try_from(bytes.as_ref()) {
        Ok(index) => Ok(Some(u64::from_be_bytes(index))),
        Err(_) => Err(damaged("the history's applied index", "its length is wrong")),
    }
}

/// The value of a row.
pub(super) fn get(kv: &dyn Kv, key: &[u8]) -> Result<Option<Bytes>, Error> {
    match kv.get(&row_key(key))? {
        Some(stored) => value_of(kv, key, &stored),
        None => Ok(None),
    }
}

/// A row that was found, and its value unless it was deleted while it was read.
pub(super) type Found = (Vec<u8>, Option<Bytes>);

/// At most `limit` rows with `from <= key < to`; fewer only when there are no more.
pub(super) fn scan(
    kv: &dyn Kv,
    from: &[u8],
    to: &[u8],
    direction: Direction,
    limit: usize,
) -> Result<Vec<Found>, Error> {
    let stored = kv.scan(&row_key(from), &row_key(to), direction, limit)?;
    let plain = |(row, stored): Pair| {
        let key = row.get(1..).unwrap_or_default().to_vec();
        let value = value_of(kv, &key, &stored)?;
        Ok((key, value))
    };
    stored.into_iter().map(plain).collect()
}

/// Tries to read the pieces of a row that is written, removed and written again meanwhile.
const READS_MAX: usize = 8;

fn value_of(kv: &dyn Kv, key: &[u8], head: &Bytes) -> Result<Option<Bytes>, Error> {
    let mut head = head.clone();
    for _ in 0..READS_MAX {
        if head.first() == Some(&WHOLE) {
            return Ok(Some(head.slice(1..)));
        }
        let Some(length) = length_in_pieces(&head) else {
            return Err(damaged("a history row", "its head is unknown"));
        };
        let mut value = BytesMut::with_capacity(length);
        // One by one: pieces of another row may lie between those of this one.
        for number in 0..length.div_ceil(PIECE_BYTES) as u32 {
            let piece = kv.get(&piece_key(key, number))?;
            value.put(piece.unwrap_or_default());
        }
        if value.len() == length {
            return Ok(Some(value.freeze()));
        }
        match kv.get(&row_key(key))? {
            Some(now) => head = now,
            None => return Ok(None),
        }
    }
    Err(damaged("a history row", "a piece is missing"))
}

fn length_in_pieces(stored: &[u8]) -> Option<usize> {
    let (kind, rest) = stored.split_first()?;
    let length = <[u8; 4]>::try_from(rest).ok()?;
    (*kind == IN_PIECES).then_some(u32::from_be_bytes(length) as usize)
}

fn row_key(key: &[u8]) -> Vec<u8> {
    [&[ROW], key].concat()
}

fn piece_key(key: &[u8], number: u32) -> Vec<u8> {
    [&[PIECE], key, &number.to_be_bytes()[..]].concat()
}

fn damaged(what: &str, reason: &str) -> Error {
    Error::Damaged { what: what.to_owned(), reason: reason.to_owned() }
}
