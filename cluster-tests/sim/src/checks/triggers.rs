//! An entry of a stream starts one run at most, and none that was not taken.

use std::collections::BTreeMap;

use cronapi::model::{DutyKey, EntryId, Name, RunId};

use crate::history::History;
use crate::operators::triggers::TRIGGER;

pub fn check(history: &History<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut started: BTreeMap<EntryId, RunId> = BTreeMap::new();
    for run in history.runs.values() {
        let by = run.requested_by.as_deref().and_then(|by| by.strip_prefix("trigger:"));
        let Some(id) = by.and_then(|by| EntryId::parse(by.strip_prefix(TRIGGER)?.get(1..)?)) else {
            continue;
        };
        if let Some(other) = started.insert(id, run.id) {
            broken.push(format!("entry {id} started {other} and {}", run.id));
        }
        if run.parameters.map().get("entry").and_then(serde_json::Value::as_u64) != Some(id.0) {
            broken.push(format!("entry {id} started {} with {:?}", run.id, run.parameters));
        }
    }
    let (Some(state), Ok(name)) = (history.state(), Name::parse(TRIGGER)) else { return broken };
    let at = state.duties.all.get(&DutyKey::trigger(name));
    let at = at.map_or_else(EntryId::default, |duty| duty.position.into());
    let beyond = started.range(at..).filter(|(id, _)| **id > at);
    broken.extend(beyond.map(|(id, run)| format!("{run} is of entry {id}, read up to {at}")));
    broken
}
