//! The newest events, for watchers that come back and ask what they missed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::machine::Event;

/// Events kept.
const KEPT: usize = 10_000;

/// Events after the asked position are gone: the watcher must read everything anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("events are kept from after ({index}, {sub}) on")]
pub struct TooOld {
    /// The oldest position that can be asked for: its entry,
    pub index: u64,
    /// and its place within the entry's events.
    pub sub: u32,
}

struct Ring {
    events: VecDeque<Event>,
    /// The position of the newest event that is gone.
    floor: (u64, u32),
}

/// Events in the order they happened.
pub(super) struct Events {
    ring: Mutex<Ring>,
    newest: watch::Sender<(u64, u32)>,
}

impl Events {
    /// Without events; those up to `index` happened before the start and are gone.
    pub fn starting_at(index: Option<u64>) -> Self {
        let floor = index.map_or((0, 0), |index| (index, u32::MAX));
        let ring = Mutex::new(Ring { events: VecDeque::new(), floor });
        Self { ring, newest: watch::Sender::new(floor) }
    }

    /// Adds events, in order, and wakes watchers.
    pub fn publish(&self, new: Vec<Event>) {
        let Some(newest) = new.last().map(|event| (event.index, event.sub)) else {
            return;
        };
        {
            let mut ring = self.ring();
            ring.events.extend(new);
            while ring.events.len() > KEPT
                && let Some(gone) = ring.events.pop_front()
            {
                ring.floor = (gone.index, gone.sub);
            }
        }
        self.newest.send_replace(newest);
    }

    /// Forgets all: the machine was replaced by a checkpoint at `index`.
    pub fn restart_at(&self, index: u64) {
        let floor = (index, u32::MAX);
        {
            let mut ring = self.ring();
            ring.events.clear();
            ring.floor = floor;
        }
        self.newest.send_replace(floor);
    }

    /// The events after a position.
    pub fn since(&self, index: u64, sub: u32) -> Result<Vec<Event>, TooOld> {
        let ring = self.ring();
        if (index, sub) < ring.floor {
            let (index, sub) = ring.floor;
            return Err(TooOld { index, sub });
        }
        let from = ring.events.partition_point(|event| (event.index, event.sub) <= (index, sub));
        Ok(ring.events.iter().skip(from).cloned().collect())
    }

    /// Follows the position of the newest event.
    pub fn watch(&self) -> watch::Receiver<(u64, u32)> {
        self.newest.subscribe()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
