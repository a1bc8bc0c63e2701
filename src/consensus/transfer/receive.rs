//! The receiving end of a transfer: one at a time, the newest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::carried::Carried;
use super::super::types::{Snapshot, Vote};
use super::receiving::Receiving;
use super::{Error, malformed};
use crate::storage::{Checkpoints, Generations, off_thread};
use crate::wire::proto;

/// Where transfers arrive. Cheap to clone.
#[derive(Clone)]
pub struct Transfers {
    checkpoints: Arc<Checkpoints>,
    generations: Arc<Generations>,
    slot: Arc<Mutex<Slot>>,
}

/// The transfer that is under way.
#[derive(Default)]
struct Slot {
    /// Its number; those before it were replaced.
    number: u64,
    /// `None` before its head came, while a message is being taken, and after its end.
    receiving: Option<Box<Receiving>>,
}

impl Transfers {
    /// Of a node that keeps its checkpoints and its history there.
    pub fn new(checkpoints: Arc<Checkpoints>, generations: Arc<Generations>) -> Self {
        Self { checkpoints, generations, slot: Arc::default() }
    }

    /// The node's checkpoints.
    pub fn checkpoints(&self) -> Arc<Checkpoints> {
        Arc::clone(&self.checkpoints)
    }

    /// The node's generations of history.
    pub fn generations(&self) -> Arc<Generations> {
        Arc::clone(&self.generations)
    }

    /// Begins to receive. One that is under way is given up: its sender began anew, or is no
    /// leader any more.
    pub fn begin(&self) -> Incoming {
        let mut slot = self.slot();
        slot.number += 1;
        slot.receiving = None;
        Incoming { number: slot.number, begun: false, transfers: self.clone() }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A checkpoint being received: give it every message, then finish it. Dropped before that, it
/// leaves nothing behind.
pub struct Incoming {
    number: u64,
    begun: bool,
    transfers: Transfers,
}

impl Incoming {
    /// Takes the next message. It is stored on return, so the sender is held back by the disk.
    ///
    /// # Errors
    /// See [`Error`]; the transfer is over then.
    pub async fn take(&mut self, part: proto::InstallPart) -> Result<(), Error> {
        let Some(part) = part.part else { return Err(malformed("a message of an unknown kind")) };
        let receiving = self.lift()?;
        let begun = std::mem::replace(&mut self.begun, true);
        let to = self.transfers.clone();
        let take = move || {
            let to = (&*to.checkpoints, &to.generations);
            Ok(Receiving::take(receiving, part, begun, to))
        };
        let blocks = self.transfers.checkpoints.blocks();
        let taken = off_thread(blocks, "receive a checkpoint", take).await?;
        let receiving = taken?;
        let mut slot = self.transfers.slot();
        if slot.number != self.number {
            return Err(Error::Replaced);
        }
        slot.receiving = Some(receiving);
        Ok(())
    }

    /// Checks that everything came, and makes it durable: what the library is given next.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn finish(self) -> Result<(Vote, Snapshot), Error> {
        let Some(receiving) = self.lift()? else {
            return Err(malformed("it ends before its head"));
        };
        let checkpoints = self.transfers.checkpoints();
        let finish = move || Ok(receiving.finish(&checkpoints));
        let blocks = self.transfers.checkpoints.blocks();
        let finished = off_thread(blocks, "finish a received checkpoint", finish).await?;
        let (vote, meta, received) = finished?;
        if self.transfers.slot().number != self.number {
            return Err(Error::Replaced);
        }
        Ok((vote, Snapshot { meta, snapshot: Box::new(Carried::Received(Box::new(received))) }))
    }

    /// What came so far.
    fn lift(&self) -> Result<Option<Box<Receiving>>, Error> {
        let mut slot = self.transfers.slot();
        if slot.number != self.number {
            return Err(Error::Replaced);
        }
        Ok(slot.receiving.take())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let mut slot = self.transfers.slot();
        if slot.number == self.number {
            slot.receiving = None;
            // A message that is being taken just now is dropped as it ends.
            slot.number += 1;
        }
    }
}
