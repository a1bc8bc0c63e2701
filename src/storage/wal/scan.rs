//! Reads a log from its files, and tells an end that was cut off from damage.

use std::fs;
use std::path::{Path, PathBuf};

use super::frame::{self, Group};
use super::index::Index;
use super::segment::{self, Header};
use super::synced::{Reach, Synced};
use super::{damaged, damaged_file, record, segment_path};
use crate::storage::Error;

/// A log that was read.
pub(super) struct Scanned {
    pub index: Index,
    pub segments: Vec<u64>,
    pub synced: Synced,
    /// The number of the last group, and the checksum of its header.
    pub group: u64,
    pub before: u32,
    /// Where the last segment ends.
    pub end: u64,
    /// What lies after that was being written when the power went.
    pub torn: bool,
}

/// A segment, its path and its header.
struct Piece {
    path: PathBuf,
    header: Header,
}

/// Reads everything, and checks it.
pub(super) fn scan(directory: &Path, owner: u64) -> Result<Scanned, Error> {
    let synced = Synced::open(directory)?;
    let segments = numbers(directory, synced.reach)?;
    let pieces = pieces(directory, &segments, synced.reach.log, owner)?;
    let mut reading = Reading { index: Index::default(), group: 0, before: 0, reach: synced.reach };
    let mut last = (0, false);
    for (place, piece) in pieces.iter().enumerate() {
        if place == 0 {
            (reading.group, reading.before) = (piece.header.first_group - 1, piece.header.before);
        }
        last = reading.segment(piece, pieces.get(place + 1))?;
    }
    let Reading { index, group, before, .. } = reading;
    if let Some((from, to)) = index.missing() {
        let first = segments.first().copied().unwrap_or_default();
        let text = format!("entries {from} to {to} are missing, with the segments before {first}");
        return Err(damaged_file(directory, text));
    }
    let (end, torn) = last;
    Ok(Scanned { index, segments, synced, group, before, end, torn })
}

/// The segments that are there; none may be missing.
fn numbers(directory: &Path, reach: Reach) -> Result<Vec<u64>, Error> {
    let numbers = segment::list(directory)?;
    let first = numbers.first().copied().unwrap_or(reach.segment);
    let last = numbers.last().copied().unwrap_or_default().max(reach.segment);
    match (first..=last).find(|number| !numbers.contains(number)) {
        Some(missing) => Err(damaged_file(
            &segment_path(directory, missing),
            "it is missing, and what was acknowledged is in it",
        )),
        None => Ok(numbers),
    }
}

/// The headers of all segments.
fn pieces(directory: &Path, numbers: &[u64], log: u64, owner: u64) -> Result<Vec<Piece>, Error> {
    let piece = |number: &u64| {
        let path = segment_path(directory, *number);
        let bytes = read_start(&path)?;
        let Some(header) = Header::read(&bytes) else {
            return Err(damaged(&path, 0, "the header of the segment can't be read"));
        };
        if header.log != log || header.owner != owner {
            return Err(damaged(&path, 0, "the segment is of another node's log"));
        }
        if header.number != *number || header.first_group == 0 {
            let text = format!("the segment says that it is number {}", header.number);
            return Err(damaged(&path, 0, text));
        }
        Ok(Piece { path, header })
    };
    numbers.iter().map(piece).collect()
}

fn read_start(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut start = Vec::with_capacity(segment::HEADER);
    let file = fs::File::open(path).map_err(|e| Error::file("open", path, e))?;
    let read = file.take(segment::HEADER as u64).read_to_end(&mut start);
    read.map_err(|e| Error::file("read", path, e))?;
    Ok(start)
}

struct Reading {
    index: Index,
    group: u64,
    before: u32,
    reach: Reach,
}

impl Reading {
    /// Reads a segment that is followed by `next`; gives where it ends, and whether something
    /// lies behind that which is to be cut off.
    fn segment(&mut self, piece: &Piece, next: Option<&Piece>) -> Result<(u64, bool), Error> {
        let Piece { path, header } = piece;
        if header.first_group != self.group + 1 || header.before != self.before {
            let text = "the segment does not go on where the one before it ended";
            return Err(damaged(path, 0, text));
        }
        let bytes = fs::read(path).map_err(|e| Error::file("read", path, e))?;
        let end = next.map(|next| next.header.before_end);
        let mut at = segment::HEADER as u64;
        loop {
            if end == Some(at) {
                return Ok((at, false));
            }
            match self.group(&bytes, at, header.number) {
                Ok(span) => at += span,
                Err(why) if end.is_some() || at == segment::HEADER as u64 => {
                    let number = self.group + 1;
                    return Err(damaged(path, at, format!("group {number} {why}")));
                }
                Err(why) => {
                    self.check_end(&bytes, at, why).map_err(|text| damaged(path, at, text))?;
                    let rest = bytes.get(at as usize..).unwrap_or_default();
                    return Ok((at, rest.iter().any(|byte| *byte != 0)));
                }
            }
        }
    }

    /// Reads the group that begins at `at`; gives its bytes.
    fn group(&mut self, bytes: &[u8], at: u64, segment: u64) -> Result<u64, &'static str> {
        let here = bytes.get(at as usize..).unwrap_or_default();
        let Some((group, checksum)) = Group::read(here) else {
            return Err(match here {
                [] => "is missing: the file ends here",
                _ if here.iter().take(frame::HEADER).all(|byte| *byte == 0) => {
                    "is missing: there are zeros"
                }
                _ => "has a header that can't be read",
            });
        };
        let follows = group.number == self.group + 1 && group.before == self.before;
        if group.log != self.reach.log || !follows {
            return Err("is another one, from another place or time");
        }
        let length = frame::HEADER + group.length as usize;
        let Some(body) = here.get(frame::HEADER..length) else {
            return Err("goes on beyond the end of the file");
        };
        if crc32fast::hash(body) != group.body {
            return Err("does not match its checksum");
        }
        let records = record::read(body).ok_or("holds a record that this version can't read")?;
        let body_at = at + frame::HEADER as u64;
        for record in records {
            if !self.index.take(record, segment, body_at, body) {
                return Err("does not follow from the ones before");
            }
        }
        (self.group, self.before) = (group.number, checksum);
        Ok(group.span())
    }

    /// Whether the log may end at `at`: nothing says that the next group was durable.
    fn check_end(&self, bytes: &[u8], at: u64, why: &str) -> Result<(), String> {
        let rest = bytes.get(at as usize + frame::ALIGN..).unwrap_or_default();
        let proven = frame::proven(rest, self.reach.log).max(Some(self.reach.group));
        let proven = proven.unwrap_or_default();
        if proven <= self.group {
            return Ok(());
        }
        let group = self.group + 1;
        Err(format!("group {group} {why}, and all groups up to {proven} were acknowledged"))
    }
}
