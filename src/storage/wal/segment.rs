//! The files of the log.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::segment_path;
use crate::storage::Error;
use crate::storage::sled::sync_directory;

/// Bytes of a segment's header.
pub(super) const HEADER: usize = 64;
/// A segment of this size is the last but one when the next group comes.
pub(super) const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Zeros are written ahead in steps of this: syncing what is written over them need not change
/// the file's size, nor where its bytes lie.
const AHEAD: u64 = 1024 * 1024;
const MAGIC: &[u8; 8] = b"CRNAPWL1";
/// A name that is not there yet: the segment is being made.
const UNFINISHED: &str = "unfinished";

/// What a segment says of itself and of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Which log it is of.
    pub log: u64,
    /// Its number, from 1.
    pub number: u64,
    /// The node whose log it is.
    pub owner: u64,
    /// The number of its first group.
    pub first_group: u64,
    /// Where the last group of the segment before ends; 0: it is the first.
    pub before_end: u64,
    /// The checksum of that group's header.
    pub before: u32,
}

impl Header {
    /// Its bytes.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER);
        out.put_slice(MAGIC);
        for value in [self.log, self.number, self.owner, self.first_group, self.before_end] {
            out.put_u64_le(value);
        }
        out.put_u32_le(self.before);
        out.put_slice(&[0; 8]);
        out.put_u32_le(crc32fast::hash(&out));
        out
    }

    /// Reads it; none: it is not one, or damaged.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER)?;
        let (content, mut checksum) = bytes.split_at_checked(HEADER - 4)?;
        let mut from = content.strip_prefix(MAGIC)?;
        if checksum.get_u32_le() != crc32fast::hash(content) {
            return None;
        }
        let mut next = || from.get_u64_le();
        let (log, number, owner, first_group, before_end) =
            (next(), next(), next(), next(), next());
        let before = from.get_u32_le();
        Some(Self { log, number, owner, first_group, before_end, before })
    }
}

/// A segment's file.
#[derive(Clone)]
pub(super) struct Segment {
    pub number: u64,
    pub file: Arc<File>,
    /// Its length.
    pub bytes: u64,
}

impl Segment {
    /// Makes a segment of a header and a first group. It has its name once it is durable.
    pub fn create(directory: &Path, header: Header, group: &[u8]) -> Result<Self, Error> {
        let path = directory.join(UNFINISHED);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&path).map_err(|e| Error::file("create", &path, e))?;
        let mut content = header.to_bytes();
        content.extend_from_slice(group);
        let bytes = content.len() as u64;
        let mut segment = Self { number: header.number, file: Arc::new(file), bytes: 0 };
        let written = segment
            .file
            .write_all_at(&content, 0)
            .and_then(|()| segment.reserve(bytes))
            .and_then(|()| segment.file.sync_all());
        written.map_err(|e| Error::file("write", &path, e))?;
        let named = segment_path(directory, header.number);
        fs::rename(&path, &named).map_err(|e| Error::file("rename", &path, e))?;
        sync_directory(directory)?;
        Ok(segment)
    }

    /// Opens one that is there, to write it.
    pub fn open(directory: &Path, number: u64) -> Result<Self, Error> {
        let path = segment_path(directory, number);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(|e| Error::file("open", &path, e))?;
        let bytes = file.metadata().map_err(|e| Error::file("open", &path, e))?.len();
        Ok(Self { number, file: Arc::new(file), bytes })
    }

    /// Writes zeros ahead, when what ends at `end` would come near the end of those there are.
    pub fn reserve(&mut self, end: u64) -> io::Result<()> {
        if end <= self.bytes {
            return Ok(());
        }
        // What lies before `end` is written by whoever reserves it.
        let zeros = vec![0; AHEAD as usize];
        self.file.write_all_at(&zeros, end)?;
        self.bytes = end + AHEAD;
        Ok(())
    }

    /// Cuts everything off after `end`.
    pub fn cut(&mut self, end: u64) -> io::Result<()> {
        self.file.set_len(end)?;
        self.bytes = end;
        Ok(())
    }

    /// Removes its file for good.
    pub fn remove(directory: &Path, number: u64) -> Result<(), Error> {
        let path = segment_path(directory, number);
        fs::remove_file(&path).map_err(|e| Error::file("remove", &path, e))?;
        sync_directory(directory)
    }
}

/// The numbers of the segments in a directory, ascending.
pub(super) fn list(directory: &Path) -> Result<Vec<u64>, Error> {
    let failed = |e| Error::file("list", directory, e);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
