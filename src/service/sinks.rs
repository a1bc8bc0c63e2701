//! How far a sink is; pause it, let it go on, have it written again.

use serde::Serialize;

use super::definitions::{manages, seen};
use super::{Caller, Error, Meta, Service, Target, WriteOptions, Written};
use crate::adapters::position_of;
use crate::machine::prepare::Intent;
use crate::machine::{Op, State};
use crate::model::{DutyKey, Kind, Name, NodeId, Position, Timestamp};

/// How far a sink is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SinkStatus {
    /// Its name.
    pub name: Name,
    /// Everything up to here is there: entry of the log and place in it. More may be.
    pub position: String,
    /// Events that are not there yet, of all types and jobs.
    pub behind: u64,
    /// What is in the way; null: nothing.
    #[schema(required)]
    pub fault: Option<String>,
    /// Since when the node writes it, none does, or the fault is there.
    pub since: Timestamp,
    /// The node that writes; null: none does.
    #[schema(required)]
    pub node: Option<NodeId>,
    /// Nothing is written.
    pub paused: bool,
}

/// What is asked of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkEdit {
    /// Nothing is written, or it goes on.
    Pause(bool),
    /// Events after this place are written again; none: all that are kept.
    Rewind(Option<(u64, u32)>),
}

impl SinkStatus {
    fn of(state: &State, name: &Name) -> Result<Self, Error> {
        let key = DutyKey::sink(name.clone());
        let duty = state.duties.all.get(&key).ok_or_else(|| no_sink(name))?;
        Ok(SinkStatus {
            name: name.clone(),
            position: duty.position.to_string(),
            behind: state.events.last.saturating_sub(duty.position.number),
            fault: state.in_the_way(&key),
            since: duty.since,
            node: duty.holder.map(|(node, _)| node),
            paused: duty.paused,
        })
    }
}

fn written(value: SinkStatus, meta: Meta) -> Written<SinkStatus> {
    Written { value, created: false, changed: true, warnings: Vec::new(), meta }
}

fn no_sink(name: &Name) -> Error {
    Error::NotFound { what: "sink".into(), name: name.to_string() }
}

impl Service {
    /// Pauses a sink, lets it go on, or has it written again from a place on.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Invalid`, `Conflict`, `KeyReused`, `Unavailable`.
    pub async fn edit_sink(
        &self,
        c: &Caller,
        name: &Name,
        edit: SinkEdit,
        o: WriteOptions,
    ) -> Result<Written<SinkStatus>, Error> {
        let may = || c.permit(manages(Kind::Sink), Target::Cluster);
        may()?;
        let to = match edit {
            SinkEdit::Rewind(Some(place)) => Some(self.place_of_sink(place).await?),
            _ => None,
        };
        let intend = |state: &State| {
            let permit = may()?;
            seen(c, state, Kind::Sink, name.as_str())?.ok_or_else(|| no_sink(name))?;
            let name = name.clone();
            let op = match edit {
                SinkEdit::Pause(paused) => Op::PauseSink { name, paused },
                SinkEdit::Rewind(_) => {
                    let floor = state.events.floor();
                    let position = state.duties.all.get(&DutyKey::sink(name.clone()));
                    let position = position.map_or(floor, |duty| duty.position);
                    let to = to.unwrap_or(floor.min(position));
                    if !state.events.has_all_after(to) {
                        return Err(gone(state, to));
                    }
                    Op::RewindSink { name, to }
                }
            };
            Ok(permit.grants(Intent::Plain(Box::new(op))))
        };
        if o.dry_run {
            let state = self.consensus().state();
            let judged = self.judge(c, &state, intend(&state)?)?;
            return Ok(written(SinkStatus::of(&judged.after, name)?, judged.done.meta));
        }
        let done = self.submit(c, o.request, intend).await?;
        Ok(written(SinkStatus::of(&self.consensus().state(), name)?, done.meta))
    }

    /// The position of a place that is still kept.
    async fn place_of_sink(&self, place: (u64, u32)) -> Result<Position, Error> {
        let state = self.consensus().state();
        if !state.events.covers(place) {
            let position = Position { index: place.0, sub: place.1, number: 0 };
            return Err(gone(&state, position));
        }
        let newest = state.events.last;
        drop(state);
        Ok(position_of(self.consensus().history(), place, newest).await?)
    }
}

/// Events after a position are not there any more.
fn gone(state: &State, to: Position) -> Error {
    let floor = state.events.floor();
    let detail = format!("events after {to} are gone: those after {floor} are still there");
    Error::Conflict { code: "events-gone", detail }
}
