//! The next step of a backfill: which times come next in its order, and which of them need a run.
//! What became of them is read from the history by the leader's service.

use crate::machine::command::Op;
use crate::machine::past::Past;
use crate::machine::prepare::timing::Timing;
use crate::machine::state::Backfill;
use crate::model::{BackfillOrder, Timestamp};

/// Nominal times that are looked at in one step.
const LOOKED_MAX: usize = 256;

/// The next times in its order, and whether they are the last ones.
pub struct Ahead {
    /// The times.
    pub times: Vec<Timestamp>,
    /// None of the range comes after them.
    pub all: bool,
}

impl Ahead {
    /// The least range that holds them; none: there are none.
    pub fn range(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = (self.times.iter().min()?, self.times.iter().max()?);
        Some((*first, after(*last)))
    }
}

/// The times that come next.
pub fn ahead(backfill: &Backfill, timing: &Timing) -> Ahead {
    let (mut times, mut at) = (Vec::new(), backfill.cursor);
    while times.len() < LOOKED_MAX {
        let found = match backfill.order {
            BackfillOrder::Oldest => timing
                .next_from(at)
                .map(|next| next.nominal)
                .filter(|nominal| *nominal < backfill.to),
            BackfillOrder::Newest => timing.last_between(backfill.from, at),
        };
        let Some(found) = found else { return Ahead { times, all: true } };
        times.push(found);
        at = match backfill.order {
            BackfillOrder::Oldest => after(found),
            BackfillOrder::Newest => found,
        };
    }
    Ahead { times, all: false }
}

/// The next step, as far as times are decided and there is room for runs; none: it has to wait.
pub fn step(
    backfill: &Backfill,
    timing: &Timing,
    past: &Past,
    ahead: &Ahead,
    (room, now): (usize, Timestamp),
) -> Option<Op> {
    let newest_first = backfill.order == BackfillOrder::Newest;
    let (mut times, mut passed, mut next) = (Vec::new(), 0, backfill.cursor);
    let mut whole = true;
    for at in &ahead.times {
        // The schedule decides it first.
        if *at > now || past.is_undecided(*at) || times.len() == room {
            whole = false;
            break;
        }
        if !timing.is_off(*at) && backfill.which.takes(past.became(*at)) {
            times.push(*at);
        } else {
            passed += 1;
        }
        next = if newest_first { *at } else { after(*at) };
    }
    if whole && ahead.all {
        next = if newest_first { backfill.from } else { backfill.to };
    }
    let (id, cursor) = (backfill.id, backfill.cursor);
    (next != cursor).then_some(Op::BackfillStep { id, cursor, times, next, passed })
}

fn after(nominal: Timestamp) -> Timestamp {
    Timestamp::from_micros(nominal.micros() + 1_000_000)
}
