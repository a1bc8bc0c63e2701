//! What the leader has to do now: fires that are due, waits that are over, queued runs that
//! may start.
//!
//! Owns: catch-up after a time without a leader (`due.rs`), fires that are decided before
//! they are due (`ahead.rs`), the choice of a node (`place.rs`), who does what one node does
//! for all (`duties.rs`). Pure but for the cache of
//! compiled schedules it is given: it reads a snapshot of the state and answers with
//! commands; `apply` judges them again.
//!
//! Its cost grows with what is due, not with what exists: it walks ordered indexes of the
//! state from their front and stops at the first entry that is not due.
//!
//! To add a duty: a function that appends to [`Plan::ops`] within [`OPS_MAX`], and an index
//! in the state that it can walk from the front.

mod ahead;
pub mod backfill;
mod due;
mod duties;
mod place;
mod windows;

use std::collections::BTreeSet;

use crate::model::{NodeId, RunId, Timestamp, limits};

use super::command::Op;
use super::prepare::timing::Compiled;
use super::state::{State, WatchKey};

pub use place::Slots;

/// Commands of one step, at most (a catch-up may go over it, to be whole).
pub const OPS_MAX: usize = 4_096;

/// Waits that are looked at in one step: fires never wait for a flood of retries.
const TIMERS_MAX: usize = OPS_MAX / 2;

/// What is looked at in one step since its time has come.
const WATCHED_MAX: usize = OPS_MAX / 8;

/// What to propose now, and when to look again.
#[derive(Debug, Default)]
pub struct Plan {
    /// Commands, in order.
    pub ops: Vec<Op>,
    /// When the next thing is due; none: nothing is in sight.
    pub wake_at: Option<Timestamp>,
}

/// What the leader knows beside the state.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Nodes that are up by the log and were not heard of for a moment. They get nothing new:
    /// they may be dead, and an attempt that is given to a dead node is lost.
    pub silent: BTreeSet<NodeId>,
    /// The leader's own node.
    pub own: Option<NodeId>,
    /// Fires are decided ahead where that is safe. Whoever switches it on also withdraws a
    /// planned start before an edit: see [`State::ahead`].
    pub early: bool,
}

/// Looks at `state` at `now`. When there is more than fits, `wake_at` is `now`.
pub fn plan(state: &State, now: Timestamp, compiled: &Compiled, around: &Around) -> Plan {
    let mut plan = Plan::default();
    let mut slots = Slots::of(state, &around.silent, now);
    timers(state, now, &mut plan);
    let timed = plan.ops.len();
    watch(state, now, &mut plan);
    let window = windows::look(state, now, &mut plan);
    let watched = plan.ops.len() - timed;
    let more = timed >= TIMERS_MAX || watched >= WATCHED_MAX;
    due::fires(state, now, compiled, &mut slots, &mut plan);
    let blocked = place::assign(state, now, &mut slots, &mut plan);
    duties::give(state, around, &mut plan);
    if around.early {
        ahead::starts(state, now, compiled, around.own, &mut slots, &mut plan);
    }
    let beat = beat(state, now, &mut plan);
    if more || plan.ops.len() >= OPS_MAX {
        plan.wake_at = Some(now);
        return plan;
    }
    // What is due now is in the plan: the first entry after it is next.
    let later = Timestamp::from_micros(now.micros() + 1);
    let fire = state.due.range((later, 0)..).next().map(|(at, _)| *at);
    let timer = state.timers.range((later, RunId(uuid::Uuid::nil()))..).next().map(|(at, _)| *at);
    let ahead = if around.early { ahead::wake_at(state, now) } else { None };
    let watched = (later, WatchKey::Late(RunId(uuid::Uuid::nil())));
    let watched = state.watch.range(watched..).next().map(|(at, _)| *at);
    let plan_wake = fire.into_iter().chain(timer).chain(ahead).chain(blocked).chain(watched);
    let plan_wake = plan_wake.chain(window);
    plan.wake_at = plan_wake.chain(beat).min();
    plan
}

/// Where there are monitors, the log shows that somebody led: see `apply/monitors.rs`. Gives when
/// it has to be shown next.
fn beat(state: &State, now: Timestamp, plan: &mut Plan) -> Option<Timestamp> {
    if state.monitors.is_empty() {
        return None;
    }
    if plan.ops.is_empty() && now.since(state.last_at) >= limits::BEAT {
        plan.ops.push(Op::Note { entries: Vec::new() });
    }
    Some(state.last_at.plus(limits::BEAT)).filter(|at| *at > now).or(Some(now.plus(limits::BEAT)))
}

/// What had to happen by now: `apply` looks whether it has.
fn watch(state: &State, now: Timestamp, plan: &mut Plan) {
    for (at, key) in state.watch.iter().take_while(|(at, _)| *at <= now).take(WATCHED_MAX) {
        plan.ops.push(Op::Watch { at: *at, key: *key });
    }
}

fn timers(state: &State, now: Timestamp, plan: &mut Plan) {
    for (_, run) in state.timers.iter().take_while(|(at, _)| *at <= now).take(TIMERS_MAX) {
        plan.ops.push(Op::Due { run: *run });
    }
}
