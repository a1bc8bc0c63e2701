//! The feed of closed runs, walked backwards: the run that ended last comes first.
//!
//! Blocks of the feed hold ids. The runs themselves are read in pieces that grow, so that a page of
//! ten reads few and a walk over thousands does not go to the disk for each.

use std::collections::VecDeque;
use std::sync::Arc;

use super::paging::bound;
use super::{Error, Service};
use crate::machine::history::{block_first, feed_key, run_key, unpack};
use crate::model::{Run, RunId};
use crate::storage::{Direction, Scan};

/// Blocks of the feed read at a time.
const BLOCKS: usize = bound(64, 2);
/// Runs read at a time, at first and at most.
const PIECE: usize = bound(16, 2);
const PIECE_MAX: usize = bound(512, 4);

/// A closed run at its place in the feed.
pub(super) struct Closed {
    /// Its number in the feed.
    pub n: u64,
    /// None: it was not asked for, or retention took it before its place in the feed.
    pub run: Option<Run>,
}

/// A walk back through the feed.
pub(super) struct Feed<'a> {
    service: &'a Service,
    /// Whether a run is to be read.
    wanted: Box<dyn Fn(RunId) -> bool + Send + Sync + 'a>,
    below: u64,
    /// Where blocks are read next; none: there are no more.
    scan: Option<Scan>,
    ids: VecDeque<(u64, RunId)>,
    read: VecDeque<Closed>,
    piece: usize,
}

impl<'a> Feed<'a> {
    /// The runs numbered below `below`.
    pub fn new(
        service: &'a Service,
        below: u64,
        wanted: impl Fn(RunId) -> bool + Send + Sync + 'a,
    ) -> Self {
        let scan = Scan::prefix(b"f", Direction::Backward, BLOCKS).after(&feed_key(below));
        let (ids, read) = Default::default();
        let wanted = Box::new(wanted);
        Self { service, wanted, below, scan: Some(scan), ids, read, piece: PIECE }
    }

    /// The next one back; none: there are no more.
    pub async fn next(&mut self) -> Result<Option<Closed>, Error> {
        while self.read.is_empty() {
            if self.ids.is_empty() && !self.blocks().await? {
                return Ok(None);
            }
            self.runs().await?;
        }
        Ok(self.read.pop_front())
    }

    /// Reads blocks; false: there are no more.
    async fn blocks(&mut self) -> Result<bool, Error> {
        let Some(scan) = self.scan.take() else { return Ok(false) };
        let blocks = self.service.consensus().history().scan(scan.clone()).await?;
        if let Some((last, _)) = blocks.last().filter(|_| blocks.len() == BLOCKS) {
            self.scan = Some(scan.after(last));
        }
        for (key, value) in &blocks {
            let first = block_first(key).unwrap_or_default();
            let ids: Vec<RunId> = unpack(value)?;
            let numbered = ids.into_iter().enumerate().rev();
            let numbered = numbered.map(|(at, id)| (first + at as u64, id));
            self.ids.extend(numbered.filter(|(n, _)| *n < self.below));
        }
        Ok(self.scan.is_some() || !self.ids.is_empty())
    }

    /// Reads the next piece of runs.
    async fn runs(&mut self) -> Result<(), Error> {
        let piece: Vec<(u64, RunId)> = self.ids.drain(..self.piece.min(self.ids.len())).collect();
        self.piece = (self.piece * 2).min(PIECE_MAX);
        let wanted = |(_, id): &&(u64, RunId)| (self.wanted)(*id);
        let keys: Vec<Vec<u8>> = piece.iter().filter(wanted).map(|(_, id)| run_key(*id)).collect();
        let mut rows =
            self.service.consensus().history().get_all(Arc::from(keys)).await?.into_iter();
        for (n, id) in piece {
            let row = if (self.wanted)(id) { rows.next().flatten() } else { None };
            self.read.push_back(Closed { n, run: row.map(|row| unpack(&row)).transpose()? });
        }
        Ok(())
    }
}
