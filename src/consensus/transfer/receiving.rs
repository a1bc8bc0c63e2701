//! What came of a transfer so far: stored, and nothing that a reader would meet.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;

use super::super::carried::Received;
use super::super::convert::vote_in;
use super::super::convert::{self, Head};
use super::super::snapshot;
use super::super::types::{SnapshotMeta, Vote};
use super::{Error, PART_BYTES, malformed};
use crate::storage::{self, Checkpoints, Draft, Generation, Generations};
use crate::wire::proto;
use proto::install_part::Part;

/// Bytes of rows after which what came is made durable, so that the end is no burst.
const FLUSH_BYTES: usize = 16 * 1024 * 1024;

enum Stage {
    Checkpoint,
    Rows,
    Ended,
}

pub(super) struct Receiving {
    vote: Vote,
    meta: SnapshotMeta,
    stage: Stage,
    draft: Draft,
    generation: Generation,
    /// How much came.
    taken: proto::InstallEnd,
    last_key: Bytes,
    unflushed: usize,
}

impl Receiving {
    /// Takes a message; the first must be the head, and only that.
    pub fn take(
        receiving: Option<Box<Self>>,
        part: Part,
        begun: bool,
        (checkpoints, generations): (&Checkpoints, &Arc<Generations>),
    ) -> Result<Box<Self>, Error> {
        match (receiving, part) {
            (None, Part::Head(head)) if !begun => {
                Ok(Box::new(Self::begin(head, checkpoints, generations)?))
            }
            (None, _) if begun => Err(malformed("it goes on after its end or a failure")),
            (None, _) => Err(malformed("it does not begin with its head")),
            (Some(mut receiving), part) => receiving.add(part).map(|()| receiving),
        }
    }

    fn begin(
        head: proto::InstallHead,
        checkpoints: &Checkpoints,
        generations: &Arc<Generations>,
    ) -> Result<Self, Error> {
        let vote = vote_in(&head.vote.ok_or(malformed("no vote"))?);
        let Head { meta, .. } = convert::head_in(head.meta.ok_or(malformed("no head"))?)?;
        if meta.last_log_id.is_none() {
            return Err(malformed("a checkpoint of nothing"));
        }
        let (taken, last_key, unflushed) = Default::default();
        let draft = checkpoints.receive()?;
        let generation = generations.create()?;
        let stage = Stage::Checkpoint;
        Ok(Self { vote, meta, stage, draft, generation, taken, last_key, unflushed })
    }

    fn add(&mut self, part: Part) -> Result<(), Error> {
        match (&self.stage, part) {
            (Stage::Checkpoint, Part::Checkpoint(bytes)) => self.add_bytes(&bytes),
            (Stage::Checkpoint | Stage::Rows, Part::Rows(rows)) => {
                self.stage = Stage::Rows;
                self.add_rows(rows.rows)
            }
            (Stage::Checkpoint | Stage::Rows, Part::End(sent)) => {
                self.stage = Stage::Ended;
                if sent == self.taken {
                    return Ok(());
                }
                let reason = format!("{sent:?} was sent, and {:?} came", self.taken);
                Err(Error::Malformed(reason))
            }
            _ => Err(malformed("its messages are out of order")),
        }
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.is_empty() || bytes.len() > PART_BYTES {
            return Err(malformed("a piece of the checkpoint is empty or too large"));
        }
        self.taken.checkpoint_bytes += bytes.len() as u64;
        self.draft.write_all(bytes).map_err(|source| {
            let path = "a received checkpoint".into();
            Error::Storage(storage::Error::File { op: "write", path, source })
        })
    }

    fn add_rows(&mut self, rows: Vec<proto::HistoryRow>) -> Result<(), Error> {
        let bytes: usize = rows.iter().map(|row| row.key.len() + row.value.len()).sum();
        if rows.is_empty() || (bytes > PART_BYTES && rows.len() > 1) {
            return Err(malformed("a message of rows is empty or too large"));
        }
        for row in &rows {
            if row.key <= self.last_key {
                return Err(malformed("its rows are out of order"));
            }
            self.last_key = row.key.clone();
        }
        self.taken.rows += rows.len() as u64;
        self.generation.fill(rows.into_iter().map(|row| (row.key, row.value)))?;
        self.unflushed += bytes;
        if self.unflushed >= FLUSH_BYTES {
            self.unflushed = 0;
            self.generation.kv().flush_durable()?;
        }
        Ok(())
    }

    /// Makes the history durable, and of the bytes a checkpoint of this node that names it.
    pub fn finish(
        mut self,
        checkpoints: &Checkpoints,
    ) -> Result<(Vote, SnapshotMeta, Received), Error> {
        if !matches!(self.stage, Stage::Ended) {
            return Err(malformed("its end is missing"));
        }
        self.generation.complete(self.meta.last_log_id.map_or(0, |id| id.index))?;
        let head =
            Head { meta: self.meta.clone(), installed: true, generation: self.generation.number() };
        let (name, sealed) = (snapshot::name(self.meta.last_log_id), convert::seal_head(&head));
        let mut state = None;
        let mut unpublished = None;
        self.draft.finish()?.read(|sent, body| {
            let sent = convert::open_head(sent.clone()).map_err(|e| e.to_string())?;
            if sent.meta != self.meta {
                return Err("its head is not the one that was announced".to_owned());
            }
            // What the decoder reads is copied, behind a head of our own.
            let prepared = checkpoints.prepare(&name, &sealed, |out| {
                let copied = rmp_serde::from_read(Copying { from: body, to: out });
                state = Some(copied.map_err(io::Error::other)?);
                Ok(())
            });
            unpublished = Some(prepared.map_err(|e| e.to_string())?);
            Ok(())
        })?;
        match (state, unpublished) {
            (Some(state), Some(checkpoint)) => {
                let received = Received { checkpoint, state, generation: self.generation };
                Ok((self.vote, self.meta, received))
            }
            _ => Err(malformed("its checkpoint is missing")),
        }
    }
}

/// Copies what is read.
struct Copying<'a> {
    from: &'a mut dyn Read,
    to: &'a mut dyn Write,
}

impl Read for Copying<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let taken = self.from.read(into)?;
        self.to.write_all(&into[..taken])?;
        Ok(taken)
    }
}
