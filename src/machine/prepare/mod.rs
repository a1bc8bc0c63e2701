//! What a caller wants becomes a command: the leader's half of a decision.
//!
//! Owns: everything that needs the clock, the time zones or a JSON Schema: next nominal
//! times, what an edit leaves undecided, parameters held against their schema. The result
//! is pinned to the version it was computed on; `apply` refuses it as [`Rejection::Stale`]
//! when that moved, and the caller prepares again.
//!
//! To add an intent: a variant here, an arm in [`prepare`], the rest as in
//! `docs/checklists/command.md`.

mod definitions;
mod jobs;
mod known;
mod monitors;
pub mod parameters;
pub mod restore;
mod schedules;
mod schema;
pub mod timing;
mod trigger;
pub mod windows;

pub use self::trigger::Given;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{
    Actor, EntryId, Fence, Invalid, JobSpec, KeyHash, Kind, Name, Parameters, RunId, Spec,
    Timestamp,
};

use super::command::{Command, Op, Ping, RequestKey};
use super::needs;
use super::reply::Rejection;
use super::state::State;

/// How a definition is meant to be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PutMode {
    /// It must not exist.
    Create,
    /// It must exist.
    Update,
    /// Either.
    Upsert,
}

/// What a caller wants. It carries no time. Nodes send it to the leader with named fields,
/// so a field is added and changed as one of a command is.
#[allow(missing_docs, reason = "the text of a variant covers its fields")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Intent {
    /// Create or replace a definition; `expected` is the version of `If-Match`.
    PutJob { spec: Arc<JobSpec>, mode: PutMode, expected: Option<u64> },
    /// Pause or resume; the reason is for the audit.
    SetEnabled { name: Name, enabled: bool, expected: Option<u64> },
    /// Remove a definition.
    DeleteJob { name: Name, expected: Option<u64> },
    /// Create or replace a definition of a kind that is not a job.
    Put { spec: Spec, mode: PutMode, expected: Option<u64> },
    /// The same of a monitor, with the hash of the key that it gets when it is new.
    PutMonitor { spec: Spec, mode: PutMode, expected: Option<u64>, key: Option<KeyHash> },
    /// Work tells a monitor of itself.
    Ping { key: KeyHash, ping: Box<Ping> },
    /// Remove one.
    Remove { kind: Kind, name: Name, expected: Option<u64> },
    /// Start a run.
    Trigger { name: Name, parameters: Parameters, force: bool, cause: Option<RunId> },
    /// Take entries of a stream, in its order.
    TakeEntries { trigger: Name, fence: Fence, entries: Vec<(EntryId, Given)> },
    /// A step that needs no preparation.
    Plain(Box<Op>),
}

impl Intent {
    /// Whether somebody wants it, and the audit has to say who.
    pub fn needs_actor(&self) -> bool {
        match self {
            Intent::PutJob { .. }
            | Intent::SetEnabled { .. }
            | Intent::DeleteJob { .. }
            | Intent::Put { .. }
            | Intent::PutMonitor { .. }
            | Intent::Remove { .. }
            | Intent::Trigger { .. } => true,
            Intent::Ping { .. } | Intent::TakeEntries { .. } => false,
            Intent::Plain(op) => op.needs_actor(),
        }
    }

    /// Whether its preparation may take a while: parameters are held against a schema.
    pub fn is_dear(&self, state: &State) -> bool {
        let has = |spec: &JobSpec| spec.parameters_schema.is_some();
        match self {
            Intent::PutJob { spec, .. } => has(spec),
            Intent::Trigger { name, .. } => state.job(name.as_str()).is_some_and(|j| has(&j.spec)),
            Intent::TakeEntries { trigger, .. } => {
                let job = state.trigger(trigger.as_str()).and_then(|spec| spec.job.as_ref());
                let job = job.and_then(|name| state.job(name.as_str()));
                job.is_some_and(|job| has(&job.spec))
            }
            Intent::SetEnabled { .. }
            | Intent::DeleteJob { .. }
            | Intent::Put { .. }
            | Intent::PutMonitor { .. }
            | Intent::Ping { .. }
            | Intent::Remove { .. }
            | Intent::Plain(_) => false,
        }
    }
}

/// Turns `intent` into a command at `now`, the leader's clock: after a clock ran ahead and
/// was set back, log time stands still for a while, but new schedules follow the clock.
///
/// # Errors
/// What can be told without the log: faulty fields, missing jobs, wrong versions, a format that
/// some member may not read.
pub fn prepare(
    state: &State,
    intent: Intent,
    now: Timestamp,
    actor: Option<Actor>,
    request: Option<RequestKey>,
) -> Result<Command, Rejection> {
    let op = match intent {
        Intent::PutJob { spec, mode, expected } => jobs::put(state, spec, mode, expected, now)?,
        Intent::SetEnabled { name, enabled, expected } => {
            jobs::set_enabled(state, &name, enabled, expected, now)?
        }
        Intent::DeleteJob { name, expected } => jobs::delete(state, &name, expected, now)?,
        Intent::Trigger { name, parameters, force, cause } => {
            let run = trigger::run_of(state, &name, &parameters, force, cause, now)?;
            Op::Trigger(Box::new(run))
        }
        Intent::TakeEntries { trigger, fence, entries } => {
            trigger::take(state, trigger, fence, entries, now)?
        }
        Intent::Put { spec: spec @ Spec::Monitor(_), mode, expected } => {
            monitors::put(state, spec, mode, expected, None, now)?
        }
        Intent::Put { spec, mode, expected } => {
            windows::check(&spec, now)?;
            Op::Put(Box::new(definitions::put(state, spec, mode, expected)?))
        }
        Intent::PutMonitor { spec, mode, expected, key } => {
            monitors::put(state, spec, mode, expected, key, now)?
        }
        Intent::Ping { key, ping } => monitors::ping(state, &key, *ping, now)?,
        Intent::Remove { kind, name, expected } => {
            definitions::remove(state, kind, name, expected)?
        }
        Intent::Plain(op) => *op,
    };
    needs::check(state, &op)?;
    Ok(Command { at: now, actor, request, op })
}

/// Checks a definition as a write would, changing nothing. For previews and dry runs.
pub fn check(spec: &JobSpec, created_at: Timestamp, now: Timestamp) -> Result<(), Vec<Invalid>> {
    let mut faults = Vec::new();
    jobs::check(spec, created_at, now, &mut faults);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
