//! Monitors: when the next ping is due. What needs zones is worked out here, once for each ping and
//! each change of a definition; `apply` only compares instants.

use crate::machine::command::{Op, Ping, PutMonitor, SendPing};
use crate::machine::reply::Rejection;
use crate::machine::state::State;
use crate::model::kind::monitor::MonitorSpec;
use crate::model::monitor::{Expected, KeyHash, MonitorStatus, PingKind};
use crate::model::{Invalid, Kind, Name, Spec, Timestamp};
use crate::schedule::{Definition, Schedule};

use super::{PutMode, definitions};

pub(super) fn put(
    state: &State,
    spec: Spec,
    mode: PutMode,
    version: Option<u64>,
    key: Option<KeyHash>,
    now: Timestamp,
) -> Result<Op, Rejection> {
    let expected = match &spec {
        Spec::Monitor(monitor) => {
            let anchor = created_at(state, &monitor.name).unwrap_or(now);
            let schedule = compiled(monitor, anchor).map_err(Rejection::Invalid)?;
            // Those that await a ping await it by the new definition from here on.
            let live = state.monitors.named(&monitor.name);
            let live = live.filter(|live| live.status == MonitorStatus::Up);
            let last = live.and_then(|live| live.last_at);
            last.and_then(|last| next(monitor, schedule.as_ref(), last))
        }
        _ => None,
    };
    let put = definitions::put(state, spec, mode, version)?;
    let key = key.filter(|_| put.based_on.is_none());
    let last = state.monitors.named(put.spec.name()).and_then(|live| live.last_at);
    Ok(Op::PutMonitor(Box::new(PutMonitor { put, key, last, expected })))
}

pub(super) fn ping(
    state: &State,
    key: &KeyHash,
    ping: Ping,
    now: Timestamp,
) -> Result<Op, Rejection> {
    let unknown = || Rejection::NotFound { what: "monitor".into(), name: "of that key".into() };
    let live = state.monitors.keyed(key).ok_or_else(unknown)?;
    let defined = state.definitions.get(Kind::Monitor, live.name.as_str()).ok_or_else(unknown)?;
    let Spec::Monitor(spec) = &defined.spec else { return Err(unknown()) };
    let expected = match ping.kind {
        PingKind::Success => {
            let schedule = compiled(spec, defined.created_at).unwrap_or_default();
            next(spec, schedule.as_ref(), now)
        }
        PingKind::Start | PingKind::Fail | PingKind::Log => None,
    };
    let (no, version) = (live.no, defined.version);
    Ok(Op::Ping(Box::new(SendPing { no, version, expected, ping })))
}

fn created_at(state: &State, name: &Name) -> Option<Timestamp> {
    state.definitions.get(Kind::Monitor, name.as_str()).map(|defined| defined.created_at)
}

/// The schedule of a monitor; none: it has none.
fn compiled(spec: &MonitorSpec, anchor: Timestamp) -> Result<Option<Schedule>, Vec<Invalid>> {
    let Some(expr) = spec.expr.as_deref() else { return Ok(None) };
    let definition = Definition {
        name: spec.name.as_str(),
        expr,
        timezone: spec.timezone.as_deref().unwrap_or_default(),
        anchor: anchor.secs(),
        start_at: None,
        end_at: None,
        dst_gap: Default::default(),
        dst_fold: None,
    };
    let faults = |found: Vec<crate::schedule::Fault>| {
        found.into_iter().map(|fault| Invalid::new(fault.field, fault.detail)).collect()
    };
    Schedule::parse(&definition).map(Some).map_err(faults)
}

/// When a ping is due after one at `last`.
fn next(spec: &MonitorSpec, schedule: Option<&Schedule>, last: Timestamp) -> Option<Expected> {
    let at = match (spec.every, schedule) {
        (Some(every), _) => last.plus(every),
        (None, Some(schedule)) => Timestamp::from_secs(schedule.next_after(last.secs())?),
        (None, None) => return None,
    };
    Some(Expected { at, deadline: at.plus(spec.grace()) })
}
