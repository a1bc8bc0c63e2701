//! Events that are kept in the history: from which entry on, and how many.

use serde::{Deserialize, Serialize};

use super::State;
use crate::model::{Kind, Position};

/// What event rows need.
pub const FORMAT_OF_EVENT_ROWS: u32 = 5;

/// Which events the history holds. Rows are written while [`State::wants_events`] says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRows {
    /// Rows are written.
    pub on: bool,
    /// The first entry of which every event is there.
    pub from: u64,
    /// The number of the first event that is there, counted from 1.
    pub first: u64,
    /// The number of the newest event that was written ever.
    pub last: u64,
}

impl EventRows {
    /// Nothing was ever written.
    pub fn is_none(&self) -> bool {
        *self == EventRows::default()
    }

    /// Events that are there.
    pub fn kept(&self) -> u64 {
        (self.last + 1).saturating_sub(self.first)
    }

    /// Whether every event after the place `(index, sub)` is there.
    pub fn covers(&self, (index, sub): (u64, u32)) -> bool {
        self.on && (index >= self.from || (index + 1 == self.from && sub == u32::MAX))
    }
}

impl EventRows {
    /// Whether every event after this position is there. Its number says so even when its own
    /// entry is gone.
    pub fn has_all_after(&self, position: Position) -> bool {
        self.on && position.number + 1 >= self.first
    }

    /// The place before the oldest event that is there.
    pub fn floor(&self) -> Position {
        let (index, number) = (self.from.saturating_sub(1), self.first.saturating_sub(1));
        Position { index, sub: u32::MAX, number }
    }
}

impl State {
    /// Whether the events of an entry are kept: a node was started so, or there is a sink.
    pub fn wants_events(&self) -> bool {
        self.format() >= FORMAT_OF_EVENT_ROWS
            && (self.nodes.values().any(|node| node.offers.keep_events)
                || self.definitions.count(Kind::Sink) > 0)
    }
}
