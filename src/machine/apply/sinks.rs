//! Sinks: each has a duty, which begins with the sink and goes on from where it is when the sink
//! changes.

use serde_json::json;

use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::Duty;
use crate::model::fields::Fields;
use crate::model::kind::sink::{SinkSpec, SinkType, SinkWhat};
use crate::model::{DutyKey, DutyKind, Invalid, Kind, Name, Position, Spec};

use super::Cx;

/// From here on the sink `redis` tells what jobs and runs are, too.
const FORMAT_OF_STATE: u32 = 8;

impl Cx<'_> {
    /// The place before this entry: what happens from here on comes after it.
    fn before_this_entry(&self) -> Position {
        let index = self.index.saturating_sub(1);
        Position { index, sub: u32::MAX, number: self.s.events.last }
    }

    /// A sink is there, or says something else: whoever writes begins anew with what it says now.
    pub(super) fn sink_put(&mut self, name: &Name, there: bool) {
        let key = DutyKey::sink(name.clone());
        if there {
            self.begin_duty(&key, |cx| {
                let begin = cx.before_this_entry();
                Duty { begin: Some(begin), ..Duty::new(begin, cx.at) }
            });
        } else {
            self.end_duty(&key);
            self.sink_leaves_incidents(name, "its sink was deleted");
        }
    }

    /// The first node that was started with the address of a Redis makes the sink of it. Removed by
    /// somebody, it stays so until a node gets the address that did not have it.
    pub(super) fn define_redis_sink(&mut self) {
        let Ok(name) = Name::parse("redis") else { return };
        let definitions = &self.s.definitions;
        let there = definitions.get(Kind::Sink, name.as_str()).is_some();
        if there || definitions.count(Kind::Sink) >= Kind::Sink.most() {
            return;
        }
        let mut spec = SinkSpec { r#type: Some(SinkType::Redis), ..SinkSpec::empty(name) };
        if self.s.format() >= FORMAT_OF_STATE {
            spec.what = vec![SinkWhat::Events, SinkWhat::State];
        }
        self.define(None, &Spec::Sink(spec.into()));
    }

    pub(super) fn pause_sink(&mut self, name: &Name, paused: bool) -> Answer {
        let key = DutyKey::sink(name.clone());
        let duty = self.s.duties.all.get(&key);
        let duty = duty.ok_or_else(|| Rejection::no_definition(Kind::Sink, name))?;
        if duty.paused == paused {
            return Ok(Reply::Done);
        }
        self.edit_duty(&key, |duty| duty.paused = paused);
        if paused {
            self.sink_leaves_incidents(name, "its sink was paused");
        }
        let change = json!({ "paused": { "before": !paused, "after": paused } });
        self.audit(if paused { "sink.pause" } else { "sink.resume" }, name.as_str(), change);
        Ok(Reply::Done)
    }

    /// Events after a place that is kept go to the sink again.
    pub(super) fn rewind_sink(&mut self, name: &Name, to: Position) -> Answer {
        let key = DutyKey::sink(name.clone());
        let duty = self.s.duties.all.get(&key);
        let duty = duty.ok_or_else(|| Rejection::no_definition(Kind::Sink, name))?;
        let before = duty.position;
        if to > before {
            let detail = format!("is ahead of the sink, which is at {before}");
            return Err(Rejection::Invalid(vec![Invalid::new("position", detail)]));
        }
        if !self.s.events.covers(to.place()) {
            return Err(Rejection::Stale);
        }
        self.edit_duty(&key, |duty| {
            duty.position = to;
            duty.begin = duty.begin.map(|begin| begin.min(to));
        });
        // Whoever writes is ahead of it, and is not listened to any more.
        self.free_duty(&key);
        let place = |at: Position| at.to_string();
        let change = json!({ "position": { "before": place(before), "after": place(to) } });
        self.audit("sink.rewind", name.as_str(), change);
        Ok(Reply::Done)
    }

    /// What the cluster before told its sinks is not known here, and goes under its name: sinks
    /// begin here.
    pub(super) fn begin_sinks_anew(&mut self) {
        let begin = self.before_this_entry();
        let sinks = self.s.duties.all.keys().filter(|key| key.kind == DutyKind::Sink);
        let sinks: Vec<DutyKey> = sinks.cloned().collect();
        for key in sinks {
            self.edit_duty(&key, |duty| (duty.position, duty.begin) = (begin, Some(begin)));
        }
    }
}
