//! What happened in an entry is kept in the history, while somebody wants that.

use crate::machine::event_rows::{EventRow, bytes_of, event_key};
use crate::machine::history::{Output, PACKED_BYTES_MAX};
use crate::machine::state::State;
use crate::model::Event;

/// Keeps the events of the entry `index`: those of `out` from `told` on.
pub(super) fn keep(state: &mut State, index: u64, told: usize, out: &mut Output) {
    let wanted = state.wants_events();
    if wanted != state.events.on {
        state.events.on = wanted;
        // What an earlier while left is removed by retention.
        state.events.from = index;
        state.events.first = state.events.last + 1;
    }
    if !wanted {
        return;
    }
    let mut rows = Vec::new();
    for block in blocks(out.events.get(told..).unwrap_or_default()) {
        let (Some(first), Some(row)) = (block.first(), EventRow::of(state.events.last + 1, block))
        else {
            continue;
        };
        state.events.last += block.len() as u64;
        rows.push((event_key((first.index, first.sub)), row));
    }
    for (key, row) in rows {
        out.put(key, &row);
    }
}

/// Cuts events into rows.
fn blocks(events: &[Event]) -> impl Iterator<Item = &[Event]> {
    let mut bytes = 0;
    events.chunk_by(move |_, event| {
        bytes += bytes_of(event);
        if bytes > PACKED_BYTES_MAX {
            bytes = 0;
        }
        bytes != 0
    })
}
