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
    /// Those beyond this number are still to go to a sink.
    sunk: u64,
    /// Those up to this number go all the same.
    lost: u64,
}

impl Bounds {
    fn of(events: &EventRows, sunk: Option<u64>, now: Timestamp) -> Self {
        let (from, number, horizon) = if events.on {
            let number = events.last.saturating_sub(limits::EVENTS_KEPT_MAX);
            (events.from, number, now.minus(limits::EVENTS_AGE_MAX))
        } else {
            (u64::MAX, 0, Timestamp::ZERO)
        };
        let lost = events.last.saturating_sub(limits::EVENTS_LACKED_MAX);
        Bounds { from, number, horizon, sunk: sunk.unwrap_or(u64::MAX), lost }
    }

    fn covers(&self, index: u64, row: &EventRow) -> bool {
        let last = row.number + row.len() as u64 - 1;
        let old = last <= self.number || row.at < self.horizon;
        index < self.from || (old && last <= self.sunk) || last <= self.lost
    }
}

/// Removes what may go.
pub(super) async fn round(duties: &Term) -> Result<(), Error> {
    loop {
        let state = duties.consensus.state();
        let (events, sunk) = (state.events, state.sunk());
        drop(state);
        if events.is_none() {
            return Ok(());
        }
        let bounds = Bounds::of(&events, sunk, duties.clock.now());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(first: u64, last: u64, sunk: Option<u64>) -> Bounds {
        let events = EventRows { on: true, from: 1, first, last };
        // Every row is old.
        Bounds::of(&events, sunk, Timestamp::from_secs(10_000_000))
    }

    fn row(number: u64) -> EventRow {
        let at = 1;
        let row = serde_json::json!({ "n": number, "t": at, "e": [{ "k": "run.queued" }] });
        rmp_serde::from_slice(&rmp_serde::to_vec_named(&row).unwrap()).unwrap()
    }

    #[test]
    fn what_a_sink_lacks_stays_up_to_a_bound() {
        let many = limits::EVENTS_LACKED_MAX;
        assert!(bounds(1, 50, None).covers(9, &row(20)), "it is old, and nobody lacks it");
        assert!(bounds(1, 50, Some(20)).covers(9, &row(20)), "every sink has it");
        assert!(!bounds(1, 50, Some(19)).covers(9, &row(20)), "one lacks it");
        assert!(bounds(1, many + 20, Some(19)).covers(9, &row(20)), "there are too many");
        assert!(!bounds(1, many + 19, Some(19)).covers(9, &row(20)));
    }
}
