//! A backup of this node: everything at one index, read while writes and fires go on.
//!
//! 1. An image of the history is begun: what later entries change in it is noted from here on.
//! 2. A checkpoint is made. It has an index, and the history is durable up to it.
//! 3. The image is fixed at that index, and checkpoint and rows are read at the caller's pace.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::convert::Head;
use super::handle::Handle;
use super::snapshot;
use crate::backup::{Counts, Header, Part};
use crate::machine::State;
use crate::storage::{self, Image, Pair, Source, off_thread};
use crate::wire::proto::HistoryRow;

/// Bytes in one part. Only a single row may be larger.
const PART_BYTES: usize = 1024 * 1024;
/// Rows read at a time.
const PAGE_ROWS: usize = 128;
/// Until the checkpoint is there.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether it is.
const AGAIN: Duration = Duration::from_millis(20);

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// One at a time is given by a node.
    #[error("this node is giving a backup already; wait for it, or ask another node")]
    Busy,
    /// The library did not make a checkpoint.
    #[error("no checkpoint came in time")]
    NoCheckpoint,
    /// Something can't be read.
    #[error(transparent)]
    Storage(#[from] storage::Error),
}

/// A backup under way: ask for the next part until there is none.
pub struct Backup {
    header: Header,
    blocks: bool,
    /// `None` while a part is made.
    reading: Option<Box<Reading>>,
}

impl Backup {
    /// What it is of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The next part, or `None` after the last.
    ///
    /// # Errors
    /// The checkpoint or the history can't be read, or too much changed meanwhile.
    pub async fn next(&mut self) -> Result<Option<Part>, storage::Error> {
        let Some(mut reading) = self.reading.take() else { return Err(storage::Error::Stopped) };
        let make = move || reading.next().map(|part| (reading, part));
        let (reading, part) = off_thread(self.blocks, "read a backup", make).await?;
        self.reading = Some(reading);
        Ok(part)
    }
}

struct Reading {
    checkpoint: Option<Box<dyn Read + Send>>,
    image: Image,
    /// Rows that did not fit the last part, last one first.
    unsent: Vec<Pair>,
    /// Where the next page begins; `None` when there is none.
    from: Option<Vec<u8>>,
}

impl Reading {
    fn next(&mut self) -> Result<Option<Part>, storage::Error> {
        if let Some(checkpoint) = &mut self.checkpoint {
            let mut piece = Vec::with_capacity(PART_BYTES);
            let read = checkpoint.take(PART_BYTES as u64).read_to_end(&mut piece);
            read.map_err(|e| storage::Error::Damaged {
                what: "the checkpoint of a backup".to_owned(),
                reason: e.to_string(),
            })?;
            if !piece.is_empty() {
                return Ok(Some(Part::Checkpoint(piece.into())));
            }
            self.checkpoint = None;
        }
        let rows = self.rows()?;
        Ok((!rows.is_empty()).then_some(Part::Rows(rows)))
    }

    fn rows(&mut self) -> Result<Vec<HistoryRow>, storage::Error> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        loop {
            while let Some((key, value)) = self.unsent.pop() {
                bytes += key.len() + value.len();
                if bytes > PART_BYTES && !rows.is_empty() {
                    self.unsent.push((key, value));
                    return Ok(rows);
                }
                rows.push(HistoryRow { key: Bytes::from(key), value });
            }
            let Some(from) = self.from.take() else { return Ok(rows) };
            let (mut page, next) = self.image.page(&from, PAGE_ROWS)?;
            self.from = next;
            page.reverse();
            self.unsent = page;
        }
    }
}

impl Handle {
    /// Begins a backup of this node at an index not before `least`, which is applied here. One
    /// at a time.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub async fn backup(&self, least: u64) -> Result<Backup, BackupError> {
        let running = &self.running;
        let image = running.history.image().ok_or(BackupError::Busy)?;
        let least = least.max(image.least()).max(*running.published.applied.borrow());
        let taken = timeout(PATIENCE, self.checkpoint_from(least)).await;
        let (index, source) = taken.map_err(|_| BackupError::NoCheckpoint)?;
        image.fix(index);
        let (blocks, read) = (image.blocks(), source.clone());
        let look = move || snapshot::read(&read);
        let (head, state) = off_thread(blocks, "read a checkpoint", look).await?;
        let header = self.header_of(&head, &state, index);
        let checkpoint = Some(source.open()?);
        let reading = Reading { checkpoint, image, unsent: Vec::new(), from: Some(Vec::new()) };
        Ok(Backup { header, blocks, reading: Some(Box::new(reading)) })
    }

    /// A checkpoint of an index not before `least`, once there is one.
    async fn checkpoint_from(&self, least: u64) -> (u64, Source) {
        let running = &self.running;
        loop {
            let newest = Arc::clone(&running.published).checkpoint().clone();
            if let Some((meta, source)) = newest
                && let Some(id) = meta.last_log_id
                && id.index >= least
            {
                return (id.index, source);
            }
            // One that is being made already may be of an earlier entry.
            let _ = running.raft.trigger().snapshot().await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn header_of(&self, head: &Head, state: &State, index: u64) -> Header {
        debug_assert_eq!(head.meta.last_log_id.map(|id| id.index), Some(index));
        let local = &self.running.local;
        let mut header = Header::new(local.cluster(), local.node, index);
        header.log_time = state.last_at;
        header.taken_at = self.running.clock.now();
        header.counts = Counts {
            jobs: state.jobs.len() as u64,
            users: state.access.users.len() as u64,
            open_runs: state.runs.len() as u64,
            closed_runs: state.counters.closed,
            audit: state.counters.audit,
        };
        header
    }
}
