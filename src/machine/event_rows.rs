//! Rows of events: what happened in an entry, packed.
//!
//! A row stands under `e`, the index of its entry and the place of its first event in it. All
//! events of an entry are kept or none, in rows of some 6 KiB.

use serde::{Deserialize, Serialize};

use crate::model::{Event, Name, RunId, RunStatus, Timestamp};

/// Some events of one entry, in order. The names of the fields are short: there are many rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// The number of the first of them, of all that were kept ever.
    #[serde(rename = "n")]
    pub number: u64,
    /// When it happened, log time.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// The events.
    #[serde(rename = "e")]
    events: Vec<Packed>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Packed {
    #[serde(rename = "k")]
    kind: String,
    /// Microseconds after the first.
    #[serde(rename = "d", default, skip_serializing_if = "is_zero")]
    after: i64,
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    job: Option<Name>,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    status: Option<RunStatus>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    nominal: Option<Timestamp>,
}

fn is_zero(after: &i64) -> bool {
    *after == 0
}

/// About what an event takes in a row, in bytes.
pub(super) fn bytes_of(event: &Event) -> usize {
    let name = event.job.as_ref().map_or(0, |name| name.as_str().len());
    50 + event.kind.len() + name + event.reason.as_ref().map_or(0, String::len)
}

impl EventRow {
    /// Packs events of one entry that follow each other.
    pub(super) fn of(number: u64, events: &[Event]) -> Option<EventRow> {
        let at = events.first()?.at;
        let packed = |event: &Event| Packed {
            kind: event.kind.clone(),
            after: event.at.micros() - at.micros(),
            job: event.job.clone(),
            run: event.run_id,
            status: event.status,
            reason: event.reason.clone(),
            nominal: event.nominal_time,
        };
        Some(EventRow { number, at, events: events.iter().map(packed).collect() })
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty, reason = "no row is empty")]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// The events, the first of them at the place `(index, sub)`.
    pub fn unpack(self, (index, first): (u64, u32)) -> impl Iterator<Item = Event> {
        let at = self.at.micros();
        self.events.into_iter().zip(first..).map(move |(packed, sub)| Event {
            index,
            sub,
            at: Timestamp::from_micros(at + packed.after),
            kind: packed.kind,
            job: packed.job,
            run_id: packed.run,
            status: packed.status,
            nominal_time: packed.nominal,
            reason: packed.reason,
        })
    }
}

/// Key of the row whose first event is at that place.
pub fn event_key((index, sub): (u64, u32)) -> Vec<u8> {
    [b"e".as_slice(), &index.to_be_bytes(), &sub.to_be_bytes()].concat()
}

/// The place in the key of a row of events.
pub fn event_place(key: &[u8]) -> Option<(u64, u32)> {
    let index = key.get(1..9)?.try_into().ok()?;
    let sub = key.get(9..13)?.try_into().ok()?;
    Some((u64::from_be_bytes(index), u32::from_be_bytes(sub)))
}
