//! What is live of a definition: shown beside it, and set by the cluster. A kind that has
//! something names its fields in `Define::live`, and gives their values here.

use serde_json::{Map, Value, json};

use crate::machine::State;
use crate::machine::state::{Blocked, Duty, Monitor, Queue};
use crate::model::fields::Fields;
use crate::model::kind::queue::{QueueShare, QueueSpec};
use crate::model::{DutyKey, Kind, MonitorStatus, Name, Spec};
use crate::service::monitors::explained;
use crate::service::trigger_status::TriggerStatus;
use crate::service::waiting::held_back;

/// Runs that are looked at for one answer.
const WAITING_MAX: usize = 10_000;
/// Shares that are told.
const SHARES_MAX: usize = 100;

/// The live fields of a definition.
pub(super) fn fields(kind: Kind, state: &State, name: &Name) -> Map<String, Value> {
    let mut live = Map::new();
    if kind == Kind::Queue {
        let none = Queue::default();
        queue(state, state.queues.get(name).unwrap_or(&none), &mut live);
    }
    if kind == Kind::Sink {
        sink(state, name, &mut live);
    }
    if kind == Kind::Trigger {
        trigger(state, name, &mut live);
    }
    if kind == Kind::Window {
        let window = state.windows.get(name).copied().unwrap_or_default();
        live.insert("active".into(), window.active.into());
        live.insert("until".into(), json!(window.until));
        live.insert("deferred".into(), state.deferred(name).into());
    }
    if kind == Kind::Monitor {
        match state.monitors.named(name) {
            Some(known) => monitor(state, known, &mut live),
            None => no_monitor(state, &mut live),
        }
    }
    live
}

/// How far a sink is, and who writes it.
fn sink(state: &State, name: &Name, live: &mut Map<String, Value>) {
    let duty = state.duties.all.get(&DutyKey::sink(name.clone()));
    let of = |value: fn(&Duty) -> Value| duty.map_or(Value::Null, |duty| value(duty));
    let behind = duty.map_or(0, |duty| state.events.last.saturating_sub(duty.position.number));
    live.insert("position".into(), of(|duty| json!(duty.position.to_string())));
    live.insert("behind".into(), behind.into());
    live.insert("fault".into(), of(|duty| json!(duty.fault)));
    live.insert("since".into(), of(|duty| json!(duty.since)));
    live.insert("node".into(), of(|duty| json!(duty.holder.map(|(node, _)| node))));
    live.insert("paused".into(), duty.is_some_and(|duty| duty.paused).into());
}

/// How far a trigger is, and who reads it. One that was deleted since: a repeated request is
/// answered with it.
fn trigger(state: &State, name: &Name, live: &mut Map<String, Value>) {
    let status = TriggerStatus::of(state, name).map(|status| json!(status));
    let none = json!({ "position": "0-0", "refused": 0, "last_refused": null, "fault": null,
        "since": null, "node": null, "paused": false });
    if let Value::Object(fields) = status.unwrap_or(none) {
        live.extend(fields.into_iter().filter(|(field, _)| field != "name"));
    }
}

/// Where a monitor is.
fn monitor(state: &State, known: &Monitor, live: &mut Map<String, Value>) {
    let now = state.last_at;
    live.insert("status".into(), json!(known.status_at(now)));
    live.insert("since".into(), json!(known.since));
    live.insert("last_ping_at".into(), json!(known.last_at));
    live.insert("last_duration".into(), json!(known.took));
    live.insert("started_at".into(), json!(known.begun.map(|begun| begun.at)));
    live.insert("expected_at".into(), json!(known.expected.map(|expected| expected.at)));
    live.insert("deadline".into(), json!(known.deadline));
    live.insert("pings".into(), json!(known.pings));
    live.insert("excused_until".into(), json!(known.excused.map(|(_, until)| until)));
    live.insert("explanation".into(), json!(explained(state, known, now)));
    live.insert("ping_path".into(), Value::Null);
}

/// One that was deleted since: a repeated request is answered with it.
fn no_monitor(state: &State, live: &mut Map<String, Value>) {
    live.insert("status".into(), json!(MonitorStatus::New));
    live.insert("since".into(), json!(state.last_at));
    for field in
        ["last_ping_at", "last_duration", "started_at", "expected_at", "deadline", "excused_until"]
    {
        live.insert(field.into(), Value::Null);
    }
    live.insert("pings".into(), 0.into());
    live.insert("explanation".into(), "There is no such monitor any more.".into());
    live.insert("ping_path".into(), Value::Null);
}

/// Who waits in a queue, and what holds it back.
fn queue(state: &State, queue: &Queue, live: &mut Map<String, Value>) {
    let at = state.last_at;
    let governed = queue.governed.as_deref();
    let runs = governed.into_iter().flat_map(|governed| governed.line.ids());
    let oldest = runs.take(WAITING_MAX).filter_map(|id| state.runs.get(id)?.queued_at).min();
    let next = match queue.blocked(at) {
        Some(Blocked::Rate(_, until) | Blocked::Spread(until)) => Some(until),
        _ => None,
    };
    live.insert("busy".into(), queue.busy.into());
    live.insert("waiting".into(), queue.waiting().into());
    live.insert("oldest_at".into(), json!(oldest));
    live.insert("next_start_at".into(), json!(next));
    live.insert("blocked".into(), json!(held_back(queue, at)));
    let shares = governed.filter(|governed| governed.rules.fair_by.is_some());
    let shares = shares.map(|governed| {
        let mut shares = governed.line.shares(WAITING_MAX);
        shares.sort_by_key(|(_, waiting)| std::cmp::Reverse(*waiting));
        let shares = shares.into_iter().take(SHARES_MAX).map(|(share, waiting)| {
            let weight = governed.rules.weight(&share);
            json!(QueueShare { share: share.to_string(), waiting: waiting as u64, weight })
        });
        shares.collect::<Vec<Value>>()
    });
    live.insert("shares".into(), shares.unwrap_or_default().into());
}

/// What is there of a kind without a definition: queues that have runs in them and no limit.
pub(super) fn undefined(kind: Kind, state: &State) -> Vec<Spec> {
    if kind != Kind::Queue {
        return Vec::new();
    }
    let lacks = |name: &Name| state.definitions.get(kind, name.as_str()).is_none();
    let queues = state.queues.iter().filter(|(name, _)| lacks(name));
    let spec = |(name, queue): (&Name, &crate::machine::state::Queue)| {
        let (name, concurrency) = (name.clone(), queue.concurrency);
        Spec::Queue(QueueSpec { concurrency, ..QueueSpec::empty(name) }.into())
    };
    queues.map(spec).collect()
}
