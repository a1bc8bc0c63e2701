//! The log of this node: a tail in memory over the log on disk. `log_storage` shows it to the
//! consensus library.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::{AnyError, StorageIOError};
use tokio::sync::oneshot;

use super::convert;
use super::pace::Flushes;
use super::purge_guard::PurgeGuard;
use super::tail::Tail;
use super::types::{Entry, LogId, StorageError, Vote};
use crate::storage::{self, Done, Fatal, Log, LogWriter, Mark, Write, off_thread};

pub(super) struct Shared {
    pub(super) log: Log,
    pub(super) writer: LogWriter,
    pub(super) tail: Mutex<Tail>,
    /// Index + 1 of the last durable entry; 0 when there is none.
    pub(super) durable: AtomicU64,
    /// Bytes of records appended since the start.
    pub(super) appended: AtomicU64,
    /// Times that it was made durable since the start.
    pub(super) flushed: Arc<AtomicU64>,
    pub(super) ends: Mutex<Ends>,
    pub(super) purge_guard: PurgeGuard,
    pub(super) fatal: Fatal,
    /// How long what is written takes to become durable.
    pub(super) flushes: Arc<Flushes>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Ends {
    pub(super) purged: Option<LogId>,
    pub(super) last: Option<LogId>,
    pub(super) committed: Option<LogId>,
    pub(super) vote: Option<Vote>,
}

/// The log of this node. Clones share it.
#[derive(Clone)]
pub(super) struct LogStore {
    pub(super) shared: Arc<Shared>,
}

impl LogStore {
    /// Opens the log and checks its two ends. It is purged only as far as `purge_guard` reaches.
    pub fn open(log: Log, purge_guard: PurgeGuard, fatal: Fatal) -> Result<Self, storage::Error> {
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
                let found = log.read(index, index.saturating_add(1), usize::MAX)?;
                let entry = found.into_iter().next().map(|(_, record)| open_entry(index, record));
                entry.transpose()?.map(|entry| entry.log_id)
            }
            _ => purged,
        };
        let sweep = purged.map(|id| id.index);
        let flushed = Arc::<AtomicU64>::default();
        let writer = LogWriter::start(Arc::clone(&log), sweep, fatal.clone(), &flushed);
        let writer = writer.map_err(|source| storage::Error::Engine {
            op: "start the log's writer",
            reason: source.to_string(),
        })?;
        let durable = AtomicU64::new(last.map_or(0, |id| id.index + 1));
        let ends = Mutex::new(Ends { purged, last, committed, vote });
        let (tail, appended, flushes) = Default::default();
        let shared = Shared {
            log,
            writer,
            tail,
            durable,
            appended,
            flushed,
            ends,
            purge_guard,
            fatal,
            flushes,
        };
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

    /// How long what is written takes to become durable.
    pub fn flushes(&self) -> Arc<Flushes> {
        Arc::clone(&self.shared.flushes)
    }

    /// Times that it was made durable since the start.
    pub fn flushed(&self) -> u64 {
        self.shared.flushed.load(Ordering::Relaxed)
    }

    /// Bytes the log takes on disk.
    pub fn bytes_on_disk(&self) -> u64 {
        self.shared.log.bytes_on_disk()
    }

    /// Checks that everything written can be made durable.
    pub fn health(&self) -> Result<(), storage::Error> {
        self.shared.log.health()
    }

    /// Makes everything durable and ends the writer.
    pub async fn stop(&self) -> Result<(), storage::Error> {
        self.write(Write::Stop).await
    }

    /// Writes, and waits until it is durable.
    pub(super) async fn write(&self, write: Write) -> Result<(), storage::Error> {
        let (sender, receiver) = oneshot::channel();
        let flush = self.shared.flushes.begin();
        let done: Done = Box::new(move |outcome| {
            drop(flush);
            // Nobody may wait any more; the write happened all the same.
            let _ = sender.send(outcome);
        });
        self.shared.writer.write(write, Some(done)).await;
        receiver.await.unwrap_or(Err(storage::Error::Stopped))
    }

    pub(super) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.shared.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ends(&self) -> MutexGuard<'_, Ends> {
        self.shared.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entries with `from <= index < to`, until `bytes_max` is passed.
    pub(super) async fn read(
        &self,
        from: u64,
        to: u64,
        bytes_max: usize,
    ) -> Result<Vec<Entry>, StorageError> {
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
        let log = Arc::clone(&self.shared.log);
        let read = move || -> Result<Vec<Entry>, storage::Error> {
            let found = log.read(from, to, bytes_max)?;
            found.into_iter().map(|(index, record)| open_entry(index, record)).collect()
        };
        let outcome = off_thread(self.shared.log.blocks(), "read the log", read).await;
        outcome.map_err(|e| {
            // An entry that can't be read must stop the node: skipping it would part the states.
            self.shared.fatal.raise(e.to_string());
            read_error(&e)
        })
    }
}

/// Those of the entries that follow on each other without a hole, from `from` on.
pub(super) fn following_on(from: u64, mut entries: Vec<Entry>) -> Vec<Entry> {
    let whole = entries.iter().zip(from..).take_while(|(entry, at)| entry.log_id.index == *at);
    let whole = whole.count();
    entries.truncate(whole);
    entries
}

fn open_entry(index: u64, record: bytes::Bytes) -> Result<Entry, storage::Error> {
    convert::open_entry(record).map_err(|e| damaged(&format!("log entry {index}"), e))
}

fn damaged(what: &str, reason: impl ToString) -> storage::Error {
    storage::Error::Damaged { what: what.to_owned(), reason: reason.to_string() }
}

fn read_error(error: &storage::Error) -> StorageError {
    StorageIOError::read_logs(AnyError::new(error)).into()
}
