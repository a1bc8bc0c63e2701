//! Which format of the cluster a command needs, and the one place where a newer one is refused.
//!
//! A node that can't read a command stops, since to pass over it would part it from the others.
//! So the leader refuses what some member may not read, before it is written. Every command
//! and every field added later says here which format reads it: the patterns name all fields, so
//! that a new one does not build before it is said.

use super::command::{Op, PutDefinition, PutJob, PutMonitor, TakeEntries, TrimKey};
use super::prepare::Intent;
use super::reply::Rejection;
use super::state::{FORMAT, Offers, State};
use crate::model::job::Need;
use crate::model::{JobSpec, Kind};

/// Refuses what needs a newer format than the cluster has.
///
/// # Errors
/// [`Rejection::UpgradeNeeded`], with the field or the kind of command.
pub fn check(state: &State, op: &Op) -> Result<(), Rejection> {
    refused(state, need(op))
}

/// The same of an intent that is about to be sent to a leader who may not be able to read it. What
/// only its command needs is judged there.
///
/// # Errors
/// As [`check`].
pub fn check_intent(state: &State, intent: &Intent) -> Result<(), Rejection> {
    let need = match intent {
        Intent::PutJob { spec, mode: _, expected: _ } => of_job(spec),
        Intent::Put { spec, mode: _, expected: _ } => Some(spec.need()),
        Intent::PutMonitor { spec, mode: _, expected: _, key: _ } => Some(spec.need()),
        Intent::Ping { key: _, ping: _ } => Some(of_kind(Kind::Monitor)),
        Intent::Remove { kind, name: _, expected: _ } => Some(of_kind(*kind)),
        Intent::Plain(op) => need(op),
        Intent::SetEnabled { name: _, enabled: _, expected: _ }
        | Intent::DeleteJob { name: _, expected: _ }
        | Intent::Trigger { name: _, parameters: _, force: _, cause: _ } => None,
        Intent::TakeEntries { trigger: _, fence: _, entries: _ } => Some(of_kind(Kind::Trigger)),
    };
    refused(state, need)
}

/// What is told of a request that this node, which leads, can't read: whoever sent it is newer.
pub fn unreadable(state: &State) -> Rejection {
    let (has, what) = (state.format(), "what was asked".to_owned());
    Rejection::UpgradeNeeded { what, needs: FORMAT.max(has) + 1, has }
}

fn refused(state: &State, need: Option<Need>) -> Result<(), Rejection> {
    match need {
        Some(Need { what, format }) if format > state.format() => {
            Err(Rejection::UpgradeNeeded { what, needs: format, has: state.format() })
        }
        _ => Ok(()),
    }
}

/// What of a command needs the newest format; none: the first format reads all of it.
///
/// Commands are read with unknown fields left out. A field added to one that is there already needs
/// no newer format to be read, but one to act: `apply` looks at the state's format for that.
#[allow(clippy::too_many_lines, reason = "an arm a command")]
pub fn need(op: &Op) -> Option<Need> {
    let (what, format) = match op {
        Op::PutJob(put) => return of_definition(put),
        Op::Bootstrap { signing_key: _, admin: _ } => return None,
        Op::DeleteJob { no: _, based_on: _, pinned: _, settled: _ } => return None,
        Op::Fire { no: _, version: _, scheduled_for: _, next: _, place: _, start_at: _ } => {
            return None;
        }
        Op::Skip { no: _, version: _, range: _, next: _ } => return None,
        Op::Trigger(trigger) => match trigger.kept {
            Some(_) => ("a run that goes on from another", 6),
            None => return None,
        },
        Op::PauseFlow { run: _, paused: _ } => ("a pause of a workflow's run", 6),
        Op::Due { run: _ } | Op::Cancel { run: _ } => return None,
        Op::Assign { run: _, attempt: _, place: _ } | Op::Refuse { run: _, error: _ } => {
            return None;
        }
        Op::Started { run: _, attempt: _, fence: _, started_at: _ } => return None,
        Op::Ended { run: _, attempt: _, fence: _, end: _ } => return None,
        Op::Unbegun { run: _, attempt: _, fence: _ } | Op::Withdraw { run: _ } => return None,
        Op::LockBusy { run: _, attempt: _, fence: _, held: _, why: _ } => ("a lock", 7),
        Op::Output { run: _, attempt: _, fence: _, chunks: _ } => return None,
        Op::NodeUp { node: _, boot: _, address: _, api: _, slots: _, labels: _ } => return None,
        Op::NodeDraining { node: _, boot: _ } | Op::NodeLost { node: _, boot: _ } => return None,
        Op::NodeRemoved { node: _ } | Op::SetQueue { name: _, concurrency: _ } => return None,
        Op::CreateUser { user: _, session: _ } | Op::RevokeUser { name: _ } => return None,
        Op::SetRole { name: _, role: _, scope: _ } | Op::DeleteUser { name: _ } => return None,
        Op::SetPassword { name: _, password: _, session: _ } => return None,
        Op::CreateToken { token: _, session: _ } | Op::DeleteToken { id: _ } => return None,
        Op::TokenUsed { id: _ } | Op::RotateKey { signing_key: _, revoke: _ } => return None,
        Op::Note { entries: _ } | Op::RaiseFormat { to: _ } => return None,
        Op::Trim { keys } => {
            let forgets = |key: &TrimKey| matches!(key, TrimKey::Forget { no: _ });
            let of_events =
                |key: &TrimKey| matches!(key, TrimKey::Events { rows: _, from: _, first: _ });
            let of_backfills = |key: &TrimKey| matches!(key, TrimKey::Backfilled { runs: _ });
            if keys.iter().any(of_backfills) {
                return Some(Need { what: "a backfill".to_owned(), format: 6 });
            }
            let of_alerts =
                |key: &TrimKey| matches!(key, TrimKey::Alerts { notices: _, incidents: _ });
            match (keys.iter().any(forgets), keys.iter().any(of_events)) {
                _ if keys.iter().any(of_alerts) => ("notices that are kept", 6),
                (true, _) => ("the past of a deleted job", 5),
                (_, true) => ("events that are kept", 5),
                _ => return None,
            }
        }
        Op::PutSecretKey { key: _, after: _ } => ("a key of secrets", 2),
        Op::DropSecretKey { id: _ } => ("a key of secrets", 2),
        Op::PutSecret { name: _, jobs: _, sealed: _, expected: None } => ("a secret", 2),
        Op::PutSecret { name: _, jobs: _, sealed: _, expected: Some(_) }
        | Op::DeleteSecret { name: _, expected: Some(_) } => ("a condition on a secret", 5),
        Op::ResealSecret { name: _, version: _, sealed: _, replaced: _ } => ("a secret", 2),
        Op::DeleteSecret { name: _, expected: None } => ("a secret", 2),
        Op::Put(put) => {
            let PutDefinition { spec, based_on: _, pinned: _ } = &**put;
            return Some(spec.need());
        }
        Op::Remove { kind, name: _, based_on: _, pinned: _ } => {
            return Some(of_kind(*kind));
        }
        Op::PutMonitor(put) => {
            let PutMonitor { put, key: _, last: _, expected: _ } = &**put;
            return Some(put.spec.need());
        }
        Op::Ping(_) => ("a monitor", 6),
        Op::EditMonitor { no: _, edit: _ } => ("a monitor", 6),
        Op::StartBackfill(_) => ("a backfill", 6),
        Op::EditBackfill { id: _, edit: _ } => ("a backfill", 6),
        Op::BackfillStep { id: _, cursor: _, times: _, next: _, passed: _ } => ("a backfill", 6),
        Op::Restored(_) => ("a restored cluster", 2),
        Op::ExternalLogin { user: _ } => ("a login by a provider", 3),
        Op::NodeOffers { node: _, boot: _, offers } => {
            let Offers { keep_events: _, sink_files: _, redis } = offers;
            ("what a node offers", if *redis { 6 } else { 5 })
        }
        Op::PauseSink { name: _, paused: _ } => ("a sink", 6),
        Op::RewindSink { name: _, to: _ } => ("a sink", 6),
        Op::TakeEntries(taken) => {
            let TakeEntries { trigger: _, fence: _, entries: _ } = &**taken;
            ("a trigger", 7)
        }
        Op::EditTrigger { name: _, edit: _ } => ("a trigger", 7),
        Op::GiveDuty { key: _, former: _, place: _ } => ("a duty", 5),
        Op::DutyMoved { key: _, fence: _, position: _, fault: _ } => ("a duty", 5),
        Op::Window { name: _, version: _, active: _, until: _ } => ("a window", 6),
        Op::Watch { at: _, key: _ } => ("what has not happened by a time", 6),
        Op::Delivered { channel: _, seqs: _, fence: _, outcome: _ } => ("a notice", 6),
        Op::Acknowledge { incident: _ } => ("an incident", 6),
        Op::RetryNotice { seq: _, dead: _ } => ("a notice", 6),
        Op::Push(_) => ("a push", 8),
        Op::Beaten { fence: _, beaten: _ } => ("a heartbeat of a job", 8),
        Op::SealKey { id: _, sealed: _ } => ("a sealed signing key", 5),
        Op::RefreshSession { id: _, session: _, generation: _, until: _, tabs: _ } => {
            ("a refresh token that is good once", 5)
        }
        Op::TokensUsed { ids: _ } => ("the use of API tokens", 3),
    };
    Some(Need { what: what.to_owned(), format })
}

fn of_definition(put: &PutJob) -> Option<Need> {
    let PutJob { spec, based_on: _, pinned: _, next: _, settled: _, verb: _ } = put;
    of_job(spec)
}

fn of_kind(kind: Kind) -> Need {
    Need { what: format!("a {}", kind.as_str()), format: kind.since() }
}

fn of_job(spec: &JobSpec) -> Option<Need> {
    let need = spec.need()?;
    Some(Need { what: format!("the field {}", need.what), ..need })
}
