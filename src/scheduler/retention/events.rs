//! Events that nobody waits for any more, or that are too many: oldest first.

use crate::machine::command::TrimKey;
use crate::machine::event_rows::{EventRow, event_place};
use crate::machine::history::unpack;
use crate::machine::state::EventRows;
use crate::model::{Timestamp, limits};
use crate::storage::{Direction, Error, Scan};

use super::super::Term;
use super::trim;

/// Rows that are read at a time.
const PAGE: usize = 500;

/// Which events may go.
struct Bounds {
    /// Those of entries before it: they are of a while that is over.
    from: u64,
    /// Those up to this number: there are too many.
    number: u64,
    /// Those from before this time.
    horizon: Timestamp,
}

impl Bounds {
    fn of(events: &EventRows, now: Timestamp) -> Self {
        if !events.on {
            return Bounds { from: u64::MAX, number: 0, horizon: Timestamp::ZERO };
        }
        let number = events.last.saturating_sub(limits::EVENTS_KEPT_MAX);
        Bounds { from: events.from, number, horizon: now.minus(limits::EVENTS_AGE_MAX) }
    }

    fn covers(&self, index: u64, row: &EventRow) -> bool {
        let last = row.number + row.len() as u64 - 1;
        index < self.from || last <= self.number || row.at < self.horizon
    }
}

/// Removes what may go.
pub(super) async fn round(duties: &Term) -> Result<(), Error> {
    loop {
        let events = duties.consensus.state().events;
        if events.is_none() {
            return Ok(());
        }
        let bounds = Bounds::of(&events, duties.clock.now());
        let scan = Scan::prefix(b"e", Direction::Forward, PAGE);
        let rows = duties.consensus.history().scan(scan).await?;
        let found = rows
            .iter()
            .filter_map(|(key, value)| Some((event_place(key)?, unpack::<EventRow>(value).ok()?)));
        let Some(key) = excess(found, &bounds) else { return Ok(()) };
        if !trim(duties, vec![key]).await || rows.len() < PAGE {
            return Ok(());
        }
    }
}

/// The first of these rows, as far as they may go. Of an entry all may go or none: what is left of
/// one goes with the next step.
fn excess(found: impl Iterator<Item = ((u64, u32), EventRow)>, bounds: &Bounds) -> Option<TrimKey> {
    let gone = found.take_while(|((index, _), row)| bounds.covers(*index, row));
    let (mut rows, mut from, mut first) = (Vec::new(), 0, 0);
    for (place, row) in gone {
        rows.push(place);
        from = place.0 + 1;
        first = row.number + row.len() as u64;
    }
    (!rows.is_empty()).then_some(TrimKey::Events { rows, from, first })
}
