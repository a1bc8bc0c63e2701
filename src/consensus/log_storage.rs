//! The log as the consensus library wants it.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{AnyError, EntryPayload, OptionalSend, RaftLogReader, StorageIOError};

use super::convert;
use super::log_store::{LogStore, following_on};
use super::types::{Entry, LogId, StorageError, TypeConfig, Vote};
use crate::storage::{self, Done, Mark, Write};

/// Bytes of entries in one read for a follower.
const READ_BYTES_MAX: usize = 1024 * 1024;

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
        let entries = self.read(start, end, READ_BYTES_MAX).await?;
        // The library sends what it gets as following on `start - 1`. When that is purged it gets
        // nothing, looks again where the follower is, and sends a checkpoint.
        Ok(following_on(start, entries))
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
        let flush = self.shared.flushes.begin();
        let done: Done = Box::new(move |outcome| {
            drop(flush);
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
        let covered = self.shared.purge_guard.wait_for(log_id.index, &self.shared.fatal).await;
        covered.map_err(|e| write_error(&e))?;
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
