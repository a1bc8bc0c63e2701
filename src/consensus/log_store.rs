//! The log, as the consensus library wants it: a tail in memory over the log on disk.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{AnyError, EntryPayload, OptionalSend, RaftLogReader, StorageIOError};
use tokio::sync::oneshot;

use super::convert;
use super::tail::Tail;
use super::types::{Entry, LogId, StorageError, TypeConfig, Vote};
use crate::storage::{self, Done, Fatal, Log, LogWriter, Mark, Write};

/// Bytes of entries in one read for a follower.
const READ_BYTES_MAX: usize = 1024 * 1024;

struct Shared {
    log: Log,
    writer: LogWriter,
    tail: Mutex<Tail>,
    /// Index + 1 of the last durable entry; 0 when there is none.
    durable: AtomicU64,
    /// Bytes of records appended since the start.
    appended: AtomicU64,
    ends: Mutex<Ends>,
    fatal: Fatal,
}

#[derive(Clone, Copy, Default)]
struct Ends {
    purged: Option<LogId>,
    last: Option<LogId>,
    committed: Option<LogId>,
    vote: Option<Vote>,
}

/// The log of this node. Clones share it.
#[derive(Clone)]
pub(super) struct LogStore {
    shared: Arc<Shared>,
}

impl LogStore {
    /// Opens the log and checks its two ends.
    pub fn open(log: Log, fatal: Fatal) -> Result<Self, storage::Error> {
        let mark = |mark, what| {
            let record = log.mark(mark)?;
            record.map(convert::open_log_id).transpose().map_err(|e| damaged(what, e))
        };
        let purged = mark(Mark::Purged, "the log's purge mark")?;
        let committed = mark(Mark::Committed, "the log's commit mark")?;
        let vote = log.mark(Mark::Vote)?.map(convert::open_vote).transpose();
        let vote = vote.map_err(|e| damaged("the vote", e))?;
        let last = match log.last_index()? {
            Some(index) if Some(index) > purged.map(|id| id.index) => {
                let found = log.entries(index, index.saturating_add(1), usize::MAX)?;
                let entry = found.into_iter().next().map(|(_, record)| open_entry(index, record));
                entry.transpose()?.map(|entry| entry.log_id)
            }
            _ => purged,
        };
        let sweep = purged.map(|id| id.index);
        let writer = LogWriter::start(Arc::clone(log.kv()), sweep, fatal.clone());
        let writer = writer.map_err(|source| storage::Error::Engine {
            op: "start the log's writer",
            reason: source.to_string(),
        })?;
        let durable = AtomicU64::new(last.map_or(0, |id| id.index + 1));
        let ends = Mutex::new(Ends { purged, last, committed, vote });
        let (tail, appended) = Default::default();
        let shared = Shared { log, writer, tail, durable, appended, ends, fatal };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The last purged entry.
    pub fn purged(&self) -> Option<LogId> {
        self.ends().purged
    }

    /// The last entry, or the last purged one when there is none.
    pub fn last(&self) -> Option<LogId> {
        self.ends().last
    }

    /// The last entry known to be committed.
    pub fn committed(&self) -> Option<LogId> {
        self.ends().committed
    }

    /// Bytes of records appended since the start.
    pub fn appended_bytes(&self) -> u64 {
        self.shared.appended.load(Ordering::Relaxed)
    }

    /// Bytes the log takes on disk.
    pub fn bytes_on_disk(&self) -> u64 {
        self.shared.log.kv().bytes_on_disk()
    }

    /// Checks that everything written can be made durable.
    pub fn health(&self) -> Result<(), storage::Error> {
        self.shared.log.kv().health()
    }

    /// Makes everything durable and ends the writer.
    pub async fn stop(&self) -> Result<(), storage::Error> {
        self.write(Write::Stop).await
    }

    async fn write(&self, write: Write) -> Result<(), storage::Error> {
        let (sender, receiver) = oneshot::channel();
        let done: Done = Box::new(move |outcome| {
            // Nobody may wait any more; the write happened all the same.
            let _ = sender.send(outcome);
        });
        self.shared.writer.write(write, Some(done)).await;
        receiver.await.unwrap_or(Err(storage::Error::Stopped))
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.shared.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.shared.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, from: u64, to: u64, bytes_max: usize) -> Result<Vec<Entry>, StorageError> {
        let from = from.max(self.purged().map_or(0, |id| id.index + 1));
        let to = to.min(self.last().map_or(0, |id| id.index + 1));
        if from >= to {
            return Ok(Vec::new());
        }
        let (first, held) = {
            let tail = self.tail();
            let first = tail.first();
            let inside = first.is_some_and(|first| first <= from);
            (first, inside.then(|| tail.range(from, to, bytes_max)))
        };
        if let Some(held) = held {
            return Ok(held);
        }
        let stored_to = first.map_or(to, |first| first.min(to));
        let mut entries = self.read_stored(from, stored_to, bytes_max).await?;
        // Only when the stored part is complete may the tail follow it without a hole.
        let complete = match entries.last() {
            Some(last) => last.log_id.index + 1 == stored_to && bytes_max == usize::MAX,
            None => true,
        };
        if complete && stored_to < to {
            entries.extend(self.tail().range(stored_to, to, bytes_max));
        }
        Ok(entries)
    }

    async fn read_stored(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let log = self.shared.log.clone();
        let read = move || -> Result<Vec<Entry>, storage::Error> {
            let found = log.entries(from, to, bytes_max)?;
            found.into_iter().map(|(index, record)| open_entry(index, record)).collect()
        };
        let outcome = if self.shared.log.kv().blocks() {
            let joined = tokio::task::spawn_blocking(read).await;
            joined.map_err(|e| read_error(&e))?
        } else {
            read()
        };
        outcome.map_err(|e| {
            // An entry that can't be read must stop the node: skipping it would part the states.
            self.shared.fatal.raise(e.to_string());
            read_error(&e)
        })
    }
}

fn open_entry(index: u64, record: bytes::Bytes) -> Result<Entry, storage::Error> {
    convert::open_entry(record).map_err(|e| damaged(&format!("log entry {index}"), e))
}

fn damaged(what: &str, reason: impl ToString) -> storage::Error {
    storage::Error::Damaged { what: what.to_owned(), reason: reason.to_string() }
}

fn read_error(error: &(impl std::error::Error + 'static)) -> StorageError {
    StorageIOError::read_logs(AnyError::new(error)).into()
}

fn write_error(error: &storage::Error) -> StorageError {
    StorageIOError::write_logs(AnyError::new(error)).into()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let from = match range.start_bound() {
            Bound::Included(from) => *from,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(to) => *to,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to, usize::MAX).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        self.read(start, end, READ_BYTES_MAX).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let ends = *self.ends();
        Ok(LogState { last_purged_log_id: ends.purged, last_log_id: ends.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let saved = self.write(Write::Mark(Mark::Vote, convert::seal_vote(vote))).await;
        saved.map_err(|e| StorageIOError::write_vote(AnyError::new(&e)))?;
        self.ends().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        Ok(self.ends().vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        self.ends().committed = committed;
        if let Some(id) = &committed {
            // It may lag after a crash, so nobody waits and it goes with the next flush.
            let write = Write::Mark(Mark::Committed, convert::seal_log_id(id));
            self.shared.writer.write(write, None).await;
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        Ok(self.ends().committed)
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut last = None;
        {
            let durable = self.shared.durable.load(Ordering::Acquire).checked_sub(1);
            let mut tail = self.tail();
            for entry in entries {
                if let EntryPayload::Normal(payload) = &entry.payload {
                    payload.mark_appended();
                }
                let record = convert::seal_entry(&entry);
                bytes += record.len() as u64;
                last = Some(entry.log_id);
                records.push((entry.log_id.index, record.clone()));
                tail.push(entry, record.len());
            }
            tail.shrink(durable);
        }
        self.shared.appended.fetch_add(bytes, Ordering::Relaxed);
        let Some(last) = last else {
            callback.log_io_completed(Ok(()));
            return Ok(());
        };
        self.ends().last = Some(last);
        let shared = Arc::clone(&self.shared);
        let done: Done = Box::new(move |outcome| {
            if outcome.is_ok() {
                shared.durable.store(last.index + 1, Ordering::Release);
            }
            callback.log_io_completed(outcome.map_err(io::Error::other));
        });
        self.shared.writer.write(Write::Append { entries: records }, Some(done)).await;
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let since = log_id.index;
        let before = self.read(since.saturating_sub(1), since, usize::MAX).await?;
        self.tail().truncate(since);
        {
            let mut ends = self.ends();
            ends.last = before.last().map(|entry| entry.log_id).or(ends.purged);
        }
        self.shared.durable.fetch_min(since, Ordering::AcqRel);
        self.write(Write::Truncate { since }).await.map_err(|e| write_error(&e))
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.tail().purge(log_id.index);
        {
            let mut ends = self.ends();
            ends.purged = Some(log_id);
            ends.last = ends.last.max(Some(log_id));
        }
        let mark = convert::seal_log_id(&log_id);
        let write = Write::Purge { upto: log_id.index, mark };
        self.write(write).await.map_err(|e| write_error(&e))
    }
}
