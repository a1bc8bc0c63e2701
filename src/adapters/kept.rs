//! Events that are kept in the history, in log order, each with its number.

use crate::machine::event_rows::{EventRow, event_key, event_place};
use crate::machine::history::unpack;
use crate::model::{Event, Position};
use crate::storage::{self, Direction, History, Scan};

/// Rows that are read at a time to find a place.
const PAGE: usize = 64;

/// Events can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The history does not answer.
    #[error(transparent)]
    Storage(#[from] storage::Error),
    /// A row is none.
    #[error("a row of events can't be read: {0}")]
    Row(#[from] rmp_serde::decode::Error),
}

/// An event, and its number among all that were kept ever.
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// The event.
    pub event: Event,
}

impl Kept {
    /// Everything up to this event.
    pub fn position(&self) -> Position {
        Position { index: self.event.index, sub: self.event.sub, number: self.number }
    }
}

/// Some events after a place, of so many rows, and whether there may be more. Whoever asks looks
/// at the state before and after: what is not covered any more may be missing.
///
/// # Errors
/// The history can't be read.
pub async fn kept_after(
    history: &History,
    after: (u64, u32),
    rows_max: usize,
) -> Result<(Vec<Kept>, bool), Unreadable> {
    let mut from = event_key((after.0, 0));
    loop {
        let mut scan = Scan::prefix(b"e", Direction::Forward, rows_max);
        scan.from = from;
        let rows = history.scan(scan).await?;
        let more = rows.len() == rows_max;
        let mut events = Vec::new();
        for (key, value) in &rows {
            let row: EventRow = unpack(value)?;
            let Some(place) = event_place(key) else { continue };
            let numbers = row.number..;
            let all = numbers.zip(row.unpack(place)).map(|(number, event)| Kept { number, event });
            events.extend(all.filter(|kept| (kept.event.index, kept.event.sub) > after));
        }
        match rows.last() {
            // All of one large entry that was seen before.
            Some((last, _)) if events.is_empty() && more => from = [&last[..], &[0]].concat(),
            _ => return Ok((events, more)),
        }
    }
}

/// The position that a place has: how many events are up to it. `newest` is the number of the
/// newest event that there is.
///
/// # Errors
/// The history can't be read.
pub async fn position_of(
    history: &History,
    (index, sub): (u64, u32),
    newest: u64,
) -> Result<Position, Unreadable> {
    let (next, _) = kept_after(history, (index, sub), PAGE).await?;
    let number = next.first().map_or(newest, |next| next.number.saturating_sub(1));
    Ok(Position { index, sub, number })
}
