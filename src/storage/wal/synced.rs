//! `synced`: how far the log was durable when it was last noted, for the group that has no other
//! after it. Two slots, a page apart, are written in turn, so that one is always whole.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};

use super::damaged_file;
use crate::storage::Error;

const FILE: &str = "synced";
const SLOT: usize = 64;
/// Between the beginnings of the two: no sector, and no page, holds both.
const APART: u64 = 4096;
const MAGIC: &[u8; 8] = b"CRNAPSY1";

/// How far the log was durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Which log.
    pub log: u64,
    /// Its newest segment.
    pub segment: u64,
    /// The last group.
    pub group: u64,
}

/// The file.
pub(super) struct Synced {
    file: File,
    path: PathBuf,
    /// Counts what is written; the slot with the higher count holds.
    count: u64,
    pub reach: Reach,
}

impl Synced {
    /// Makes it.
    pub fn create(directory: &Path, reach: Reach) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&path).map_err(|e| Error::file("create", &path, e))?;
        let mut synced = Self { file, path, count: 0, reach };
        synced.note(reach)?;
        synced.note(reach)?;
        synced.file.sync_all().map_err(|e| Error::file("sync", &synced.path, e))?;
        Ok(synced)
    }

    /// Opens the one that is there.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(damaged_file(
                    &path,
                    "it is missing: it says how far the log was synced",
                ));
            }
            Err(e) => return Err(Error::file("open", &path, e)),
        };
        let mut slots = [None; 2];
        for (slot, at) in slots.iter_mut().zip([0, APART]) {
            let mut bytes = [0; SLOT];
            match file.read_exact_at(&mut bytes, at) {
                Ok(()) => *slot = read(&bytes),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(e) => return Err(Error::file("read", &path, e)),
            }
        }
        match slots.into_iter().flatten().max_by_key(|(count, _)| *count) {
            Some((count, reach)) => Ok(Self { file, path, count, reach }),
            None => Err(damaged_file(&path, "neither of its two slots can be read")),
        }
    }

    /// Notes how far the log is durable.
    pub fn note(&mut self, reach: Reach) -> Result<(), Error> {
        let count = self.count + 1;
        let at = if count.is_multiple_of(2) { 0 } else { APART };
        let written = self.file.write_all_at(&bytes(count, reach), at);
        let written = written.and_then(|()| self.file.sync_data());
        written.map_err(|e| Error::file("write", &self.path, e))?;
        (self.count, self.reach) = (count, reach);
        Ok(())
    }
}

fn bytes(count: u64, reach: Reach) -> Vec<u8> {
    let mut out = Vec::with_capacity(SLOT);
    out.put_slice(MAGIC);
    for value in [count, reach.log, reach.segment, reach.group] {
        out.put_u64_le(value);
    }
    out.resize(SLOT - 4, 0);
    out.put_u32_le(crc32fast::hash(&out));
    out
}

fn read(bytes: &[u8]) -> Option<(u64, Reach)> {
    let (content, mut checksum) = bytes.split_at_checked(SLOT - 4)?;
    let mut from = content.strip_prefix(MAGIC)?;
    if checksum.get_u32_le() != crc32fast::hash(content) {
        return None;
    }
    let mut next = || from.get_u64_le();
    let (count, log, segment, group) = (next(), next(), next(), next());
    Some((count, Reach { log, segment, group }))
}
