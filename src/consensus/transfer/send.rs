//! The sending end of a transfer.

use std::io::Read;

use bytes::Bytes;

use super::super::convert::vote_out;
use super::super::convert::{self, Head};
use super::super::types::{Snapshot, SnapshotMeta, Vote};
use super::{Carried, PART_BYTES, malformed};
use crate::storage::{self, Generation, Pair, off_thread};
use crate::wire::proto;
use proto::install_part::Part;

/// Rows read at a time. Some are a hundred times larger than most, so it is not many.
const PAGE_ROWS: usize = 128;

/// A checkpoint being sent: ask it for the next message until there is none.
pub struct Outgoing {
    blocks: bool,
    /// `None` while a message is being made.
    sending: Option<Box<Sending>>,
}

impl Outgoing {
    /// Begins to send a snapshot of this node.
    ///
    /// # Errors
    /// Its file can't be opened, or it is no snapshot of this node.
    pub fn new(vote: &Vote, snapshot: Snapshot) -> Result<Self, super::Error> {
        let Carried::Own { checkpoint, history } = *snapshot.snapshot else {
            return Err(malformed("what is being received can't be sent"));
        };
        // Both stay readable when newer ones take their places.
        let (checkpoint, generation) = (checkpoint.open()?, history.generation());
        let step = Step::Head { vote: *vote, meta: Box::new(snapshot.meta) };
        let blocks = generation.kv().blocks();
        let (unsent, from, sent) = Default::default();
        let sending = Sending { step, checkpoint, generation, unsent, from, sent };
        Ok(Self { blocks, sending: Some(Box::new(sending)) })
    }

    /// The next message, or `None` after the last.
    ///
    /// # Errors
    /// The checkpoint or the history can't be read.
    pub async fn next(&mut self) -> Result<Option<proto::InstallPart>, storage::Error> {
        let Some(mut sending) = self.sending.take() else { return Err(storage::Error::Stopped) };
        let make = move || sending.next().map(|part| (sending, part));
        let (sending, part) = off_thread(self.blocks, "send a checkpoint", make).await?;
        self.sending = Some(sending);
        Ok(part.map(|part| proto::InstallPart { part: Some(part) }))
    }
}

enum Step {
    Head { vote: Vote, meta: Box<SnapshotMeta> },
    Checkpoint,
    Rows,
    Done,
}

struct Sending {
    step: Step,
    checkpoint: Box<dyn Read + Send>,
    generation: Generation,
    /// Rows that were read and did not fit the last message, last one first.
    unsent: Vec<Pair>,
    /// Where the next page begins; `None` when there is none.
    from: Option<Vec<u8>>,
    sent: proto::InstallEnd,
}

impl Sending {
    fn next(&mut self) -> Result<Option<Part>, storage::Error> {
        match &self.step {
            Step::Head { vote, meta } => {
                let vote = Some(vote_out(vote));
                let meta = SnapshotMeta::clone(meta);
                let meta = convert::head_out(&Head { meta, installed: false, generation: 0 });
                self.step = Step::Checkpoint;
                Ok(Some(Part::Head(proto::InstallHead { vote, meta: Some(meta) })))
            }
            Step::Checkpoint => {
                let mut piece = Vec::with_capacity(PART_BYTES);
                let read = self.checkpoint.by_ref().take(PART_BYTES as u64).read_to_end(&mut piece);
                read.map_err(|e| storage::Error::Damaged {
                    what: "the checkpoint that is being sent".to_owned(),
                    reason: e.to_string(),
                })?;
                if piece.is_empty() {
                    self.from = Some(Vec::new());
                    self.step = Step::Rows;
                    return self.next();
                }
                self.sent.checkpoint_bytes += piece.len() as u64;
                Ok(Some(Part::Checkpoint(piece.into())))
            }
            Step::Rows => {
                let rows = self.rows()?;
                if rows.is_empty() {
                    self.step = Step::Done;
                    return Ok(Some(Part::End(self.sent)));
                }
                self.sent.rows += rows.len() as u64;
                Ok(Some(Part::Rows(proto::HistoryRows { rows })))
            }
            Step::Done => Ok(None),
        }
    }

    /// As many rows as fit a message; none when there are no more.
    fn rows(&mut self) -> Result<Vec<proto::HistoryRow>, storage::Error> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        loop {
            while let Some((key, value)) = self.unsent.pop() {
                bytes += key.len() + value.len();
                if bytes > PART_BYTES && !rows.is_empty() {
                    self.unsent.push((key, value));
                    return Ok(rows);
                }
                rows.push(proto::HistoryRow { key: key.into(), value });
            }
            let Some(from) = self.from.take() else { return Ok(rows) };
            let page = self.generation.rows(&from, PAGE_ROWS)?;
            if let Some((last, _)) = page.last().filter(|_| page.len() == PAGE_ROWS) {
                self.from = Some([last, &[0][..]].concat());
            }
            let still_there = |(key, value): (Vec<u8>, Option<Bytes>)| Some((key, value?));
            self.unsent = page.into_iter().rev().filter_map(still_there).collect();
        }
    }
}
