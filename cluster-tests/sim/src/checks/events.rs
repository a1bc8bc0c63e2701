//! Events that are kept: each that was told since they are, once, in order, numbered without a gap.

use std::collections::BTreeMap;

use cronapi::machine::Event;

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let Some(end) = &history.end else { return Vec::new() };
    let rows = end.state.events;
    let mut broken = Vec::new();
    if history.plan.keep_events != rows.on {
        broken.push(format!("wanted: {}, kept: {rows:?}", history.plan.keep_events));
    }
    if !rows.on {
        return broken;
    }
    let (mut number, mut last) = (rows.first, (0, 0));
    let mut kept: BTreeMap<(u64, u32), &Event> = BTreeMap::new();
    let since = rows.from..=end.index;
    for (own, event) in end.kept.iter().filter(|(_, event)| since.contains(&event.index)) {
        let place = (event.index, event.sub);
        if *own != number || place <= last {
            broken.push(format!("event {own} at {place:?} comes as {number} after {last:?}"));
        }
        (number, last) = (own + 1, place);
        kept.insert(place, event);
    }
    if number != rows.last + 1 {
        broken.push(format!("{} events of {rows:?}", end.kept.len()));
    }
    let told = history.inner.events.iter();
    let told = told.filter(|(place, _)| since.contains(&place.0));
    for (place, event) in told {
        match kept.get(place) {
            Some(same) if *same == event => {}
            Some(other) => broken.push(format!("{event:?} is kept as {other:?}")),
            None => broken.push(format!("{event:?} is not kept")),
        }
    }
    broken
}
