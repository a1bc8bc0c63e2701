//! The log: writes groups, reads entries.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};

use super::frame::{self, Group};
use super::index::{Index, Place};
use super::scan::{Scanned, scan};
use super::segment::{self, Header, SEGMENT_BYTES, Segment};
use super::synced::{Reach, Synced};
use super::{damaged, record, segment_path};
use crate::chance;
use crate::storage::Error;
use crate::storage::log::{LogDisk, Mark, Write};

/// Bytes of neighbouring entries that are read at a time.
const READ_BYTES: u64 = 1024 * 1024;
/// Entries this near to each other are neighbours.
const GAP_BYTES: u64 = 4096;

/// A write-ahead log in a directory of its own.
pub struct Wal {
    directory: PathBuf,
    owner: u64,
    /// Bytes after which a segment is followed by another.
    segment_bytes: u64,
    shared: RwLock<Shared>,
    pen: Mutex<Pen>,
    // Dropped last, so that the directory stays locked until the files are closed.
    _lock: Arc<dyn Send + Sync>,
}

/// What readers need.
struct Shared {
    index: Index,
    segments: BTreeMap<u64, Segment>,
}

/// What the writer needs.
struct Pen {
    segment: Segment,
    /// Where the next group begins.
    end: u64,
    /// The last group, and the checksum of its header.
    group: u64,
    before: u32,
    /// The last group that is durable.
    durable: u64,
    synced: Synced,
    /// A commit mark that nobody waits for, until there is something else to write.
    committed: Option<Bytes>,
    /// Something failed: nothing more is written.
    broken: bool,
}

impl Wal {
    /// Makes an empty log in a new directory, as one of node `owner`.
    ///
    /// # Errors
    /// The disk failed.
    pub fn create(directory: &Path, owner: u64, lock: Arc<dyn Send + Sync>) -> Result<Self, Error> {
        let made = fs::DirBuilder::new().mode(0o700).create(directory);
        made.map_err(|e| Error::file("create", directory, e))?;
        let drawn = chance::number();
        let log = drawn.map_err(|e| Error::Engine { op: "begin a log", reason: e.to_string() })?;
        let header = Header { log, number: 1, owner, first_group: 1, before_end: 0, before: 0 };
        let (group, before) = base(&header, &Index::default(), 0);
        let segment = Segment::create(directory, header, &group)?;
        let synced = Synced::create(directory, Reach { log, segment: 1, group: 1 })?;
        let end = (segment::HEADER + group.len()) as u64;
        let pen = Pen {
            segment: segment.clone(),
            end,
            group: 1,
            before,
            durable: 1,
            synced,
            committed: None,
            broken: false,
        };
        let segments = BTreeMap::from([(1, segment)]);
        let shared = RwLock::new(Shared { index: Index::default(), segments });
        let (directory, segment_bytes) = (directory.to_owned(), SEGMENT_BYTES);
        Ok(Self { directory, owner, segment_bytes, shared, pen: Mutex::new(pen), _lock: lock })
    }

    /// Opens the log of node `owner`. An end that was cut off is removed; damage is refused, and
    /// nothing is changed then.
    ///
    /// # Errors
    /// [`Error::Damaged`], with the file, the offset, and what is wrong; or the disk failed.
    pub fn open(directory: &Path, owner: u64, lock: Arc<dyn Send + Sync>) -> Result<Self, Error> {
        let Scanned { index, segments, synced, group, before, end, torn } = scan(directory, owner)?;
        let mut open = BTreeMap::new();
        for number in segments {
            open.insert(number, Segment::open(directory, number)?);
        }
        let last = open.last_entry();
        let mut last = last.ok_or(Error::Stopped)?;
        let segment = last.get_mut();
        let path = segment_path(directory, segment.number);
        if torn {
            let bytes = segment.bytes.saturating_sub(end);
            tracing::info!(file = %path.display(), at = end, bytes, "a write was cut off");
            segment.cut(end).map_err(|e| Error::file("cut", &path, e))?;
        }
        // What was read may be in memory only.
        segment.file.sync_all().map_err(|e| Error::file("sync", &path, e))?;
        let segment = segment.clone();
        let durable = group;
        let (committed, broken) = (None, false);
        let mut pen = Pen { segment, end, group, before, durable, synced, committed, broken };
        pen.note()?;
        let shared = RwLock::new(Shared { index, segments: open });
        let (directory, segment_bytes) = (directory.to_owned(), SEGMENT_BYTES);
        Ok(Self { directory, owner, segment_bytes, shared, pen: Mutex::new(pen), _lock: lock })
    }

    /// The same with smaller segments.
    #[cfg(test)]
    pub(super) fn with_segments_of(self, segment_bytes: u64) -> Self {
        Self { segment_bytes, ..self }
    }

    fn pen(&self) -> MutexGuard<'_, Pen> {
        self.pen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared<T>(&self, look: impl FnOnce(&Shared) -> T) -> T {
        look(&self.shared.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        change(&mut self.shared.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes a group; if that fails, nothing is written any more.
    fn append(&self, pen: &mut Pen, group: &[Write]) -> Result<(), Error> {
        if pen.broken {
            return Err(Error::Stopped);
        }
        if !self.shared(|shared| shared.index.follows(group)) {
            let reason = "an entry does not follow the last one".to_owned();
            return Err(Error::Engine { op: "append", reason });
        }
        pen.broken = true;
        if pen.end >= self.segment_bytes {
            self.begin_segment(pen)?;
        }
        let (bytes, places) = pen.group_of(group);
        let path = segment_path(&self.directory, pen.segment.number);
        let end = pen.end + bytes.len() as u64;
        let written = pen.segment.reserve(end);
        let written = written.and_then(|()| pen.segment.file.write_all_at(&bytes, pen.end));
        written.map_err(|e| Error::file("write", &path, e))?;
        pen.end = end;
        let (number, length) = (pen.segment.number, pen.segment.bytes);
        self.change(|shared| {
            shared.index.apply(group, places);
            if let Some(segment) = shared.segments.get_mut(&number) {
                segment.bytes = length;
            }
        });
        pen.broken = false;
        Ok(())
    }

    /// Ends the segment, and begins the next one.
    fn begin_segment(&self, pen: &mut Pen) -> Result<(), Error> {
        let path = segment_path(&self.directory, pen.segment.number);
        // All of it is durable before anything of the next one is.
        let (file, end) = (&pen.segment.file, pen.end);
        let ended = file.set_len(end).and_then(|()| file.sync_all());
        ended.map_err(|e| Error::file("sync", &path, e))?;
        let header = Header {
            log: pen.synced.reach.log,
            number: pen.segment.number + 1,
            owner: self.owner,
            first_group: pen.group + 1,
            before_end: end,
            before: pen.before,
        };
        let (group, before) = self.shared(|shared| base(&header, &shared.index, pen.before));
        let segment = Segment::create(&self.directory, header, &group)?;
        self.change(|shared| {
            if let Some(before) = shared.segments.get_mut(&pen.segment.number) {
                before.bytes = end;
            }
            shared.segments.insert(header.number, segment.clone());
        });
        pen.segment = segment;
        pen.end = (segment::HEADER + group.len()) as u64;
        (pen.group, pen.before) = (header.first_group, before);
        pen.durable = pen.group;
        pen.note()
    }

    fn make_durable(&self, pen: &mut Pen) -> Result<(), Error> {
        if pen.broken {
            return Err(Error::Stopped);
        }
        if pen.durable == pen.group {
            return Ok(());
        }
        pen.broken = true;
        let path = || segment_path(&self.directory, pen.segment.number);
        pen.segment.file.sync_data().map_err(|e| Error::file("sync", &path(), e))?;
        pen.durable = pen.group;
        pen.broken = false;
        Ok(())
    }

    /// The next segment that nothing in it is needed of.
    fn unneeded(&self) -> Option<(u64, bool)> {
        self.shared(|shared| {
            let current = shared.segments.last_key_value().map(|(number, _)| *number)?;
            let needed = shared.index.oldest_segment().unwrap_or(current).min(current);
            let mut unneeded = shared.segments.range(..needed);
            let (number, _) = unneeded.next()?;
            Some((*number, unneeded.next().is_some()))
        })
    }

    /// Reads neighbouring entries of one segment.
    fn read_run(&self, run: &Run, found: &mut Vec<(u64, Bytes)>) -> Result<(), Error> {
        let (Some((_, first)), Some(file)) = (run.places.first(), &run.file) else { return Ok(()) };
        let path = segment_path(&self.directory, first.segment);
        let mut bytes = BytesMut::zeroed((run.end() - first.offset) as usize);
        let read = file.read_exact_at(&mut bytes, first.offset);
        read.map_err(|e| Error::file("read", &path, e))?;
        let bytes = bytes.freeze();
        for (index, place) in &run.places {
            let at = (place.offset - first.offset) as usize;
            let entry = bytes.slice(at..at + place.length as usize);
            if crc32fast::hash(&entry) != place.checksum {
                let text = format!("entry {index} does not match its checksum");
                return Err(damaged(&path, place.offset, text));
            }
            found.push((*index, entry));
        }
        Ok(())
    }
}

/// Neighbouring entries of one segment.
#[derive(Default)]
struct Run {
    file: Option<Arc<File>>,
    places: Vec<(u64, Place)>,
}

impl Run {
    fn end(&self) -> u64 {
        self.places.last().map_or(0, |(_, place)| place.offset + u64::from(place.length))
    }

    fn takes(&self, place: &Place) -> bool {
        let Some((_, first)) = self.places.first() else { return false };
        let end = self.end();
        place.segment == first.segment
            && (end..=end + GAP_BYTES).contains(&place.offset)
            && end - first.offset < READ_BYTES
    }
}

impl Pen {
    /// The bytes of the next group, and where its entries will lie.
    fn group_of(&mut self, writes: &[Write]) -> (Vec<u8>, Vec<(u64, Place)>) {
        let mut bytes = vec![0; frame::HEADER];
        let mut places = Vec::new();
        let (segment, end) = (self.segment.number, self.end);
        for write in writes {
            record::put(&mut bytes, write, |index, at, entry| {
                let checksum = crc32fast::hash(entry);
                let (offset, length) = (end + at as u64, entry.len() as u32);
                places.push((index, Place { segment, offset, length, checksum }));
            });
        }
        if let Some(mark) = self.committed.take()
            && !writes.iter().any(|write| matches!(write, Write::Mark(Mark::Committed, _)))
        {
            record::put_mark(&mut bytes, Mark::Committed, &mark);
        }
        self.group += 1;
        let (log, number) = (self.synced.reach.log, self.group);
        self.before = seal(&mut bytes, log, number, self.durable, self.before);
        (bytes, places)
    }

    /// Notes how far everything is durable.
    fn note(&mut self) -> Result<(), Error> {
        let (segment, group) = (self.segment.number, self.durable);
        let reach = Reach { segment, group, ..self.synced.reach };
        if reach == self.synced.reach { Ok(()) } else { self.synced.note(reach) }
    }
}

/// Puts the header before a body; gives the header's checksum.
fn seal(bytes: &mut Vec<u8>, log: u64, number: u64, synced: u64, before: u32) -> u32 {
    let body = bytes.get(frame::HEADER..).unwrap_or_default();
    let (length, body) = (body.len() as u32, crc32fast::hash(body));
    let group = Group { length, log, number, synced, before, body };
    bytes.resize(frame::padded(bytes.len()), 0);
    group.write(bytes)
}

/// The group that a segment begins with, and the checksum of its header.
fn base(header: &Header, index: &Index, before: u32) -> (Vec<u8>, u32) {
    let mut bytes = vec![0; frame::HEADER];
    record::put_base(&mut bytes, index.next(), index.purged);
    for (mark, value) in &index.marks {
        record::put_mark(&mut bytes, *mark, value);
    }
    let synced = header.first_group - 1;
    let checksum = seal(&mut bytes, header.log, header.first_group, synced, before);
    (bytes, checksum)
}

impl LogDisk for Wal {
    fn write(&self, group: Vec<Write>) -> Result<(), Error> {
        let mut pen = self.pen();
        let last = group.iter().rev().find_map(|write| match write {
            Write::Mark(Mark::Committed, mark) => Some(mark.clone()),
            _ => None,
        });
        let lazy = |write: &Write| matches!(write, Write::Mark(Mark::Committed, _));
        if !group.iter().all(lazy) {
            return self.append(&mut pen, &group);
        }
        if let Some(mark) = last {
            self.change(|shared| shared.index.marks.insert(Mark::Committed, mark.clone()));
            pen.committed = Some(mark);
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        self.make_durable(&mut self.pen())
    }

    fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<(u64, Bytes)>, Error> {
        let mut runs: Vec<Run> = Vec::new();
        self.shared(|shared| {
            let mut bytes = 0;
            for (index, place) in shared.index.range(from, to) {
                if bytes >= bytes_max && bytes > 0 {
                    break;
                }
                bytes += place.length as usize;
                match runs.last_mut() {
                    Some(run) if run.takes(&place) => run.places.push((index, place)),
                    _ => {
                        let segment = shared.segments.get(&place.segment);
                        let file = segment.map(|segment| Arc::clone(&segment.file));
                        runs.push(Run { file, places: vec![(index, place)] });
                    }
                }
            }
        });
        let mut found = Vec::new();
        for run in &runs {
            self.read_run(run, &mut found)?;
        }
        Ok(found)
    }

    fn mark(&self, mark: Mark) -> Result<Option<Bytes>, Error> {
        Ok(self.shared(|shared| shared.index.marks.get(&mark).cloned()))
    }

    fn last_index(&self) -> Result<Option<u64>, Error> {
        Ok(self.shared(|shared| shared.index.last()))
    }

    fn purged_before(&self, _upto: u64) {
        // It is in the log.
    }

    fn tidy(&self) -> Result<bool, Error> {
        let pen = self.pen();
        // What says that they are not needed must be durable first.
        if pen.broken || pen.durable != pen.group {
            return Ok(false);
        }
        let Some((number, more)) = self.unneeded() else { return Ok(false) };
        Segment::remove(&self.directory, number)?;
        self.change(|shared| shared.segments.remove(&number));
        Ok(more)
    }

    fn settle(&self) -> Result<(), Error> {
        let mut pen = self.pen();
        if pen.broken {
            return Err(Error::Stopped);
        }
        pen.note()?;
        // It may lag, so it is not synced: the next group takes it along.
        if pen.committed.is_some() { self.append(&mut pen, &[]) } else { Ok(()) }
    }

    fn bytes_on_disk(&self) -> u64 {
        self.shared(|shared| shared.segments.values().map(|segment| segment.bytes).sum())
    }

    fn health(&self) -> Result<(), Error> {
        Ok(())
    }

    fn blocks(&self) -> bool {
        true
    }
}
