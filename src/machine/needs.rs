//! Which format of the cluster a command needs, and the one place where a newer one is refused.
//!
//! A node that can't read a command stops, since to pass over it would part it from the others.
//! So the leader refuses what some member may not read, before it is written. Every command
//! and every field added later says here which format reads it: the patterns name all fields, so
//! that a new one does not build before it is said.

use super::command::{Op, PutDefinition, PutJob, TrimKey};
use super::reply::Rejection;
use super::state::State;
use crate::model::job::Need;

/// Refuses what needs a newer format than the cluster has.
///
/// # Errors
/// [`Rejection::UpgradeNeeded`], with the field or the kind of command.
pub fn gate(state: &State, op: &Op) -> Result<(), Rejection> {
    match need(op) {
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
pub fn need(op: &Op) -> Option<Need> {
    let (what, format) = match op {
        Op::PutJob(put) => return of_definition(put),
        Op::Bootstrap { signing_key: _, admin: _ } => return None,
        Op::DeleteJob { no: _, based_on: _, pinned: _, settled: _ } => return None,
        Op::Fire { no: _, version: _, scheduled_for: _, next: _, place: _, start_at: _ } => {
            return None;
        }
        Op::Skip { no: _, version: _, range: _, next: _ } => return None,
        Op::Trigger(_) | Op::Due { run: _ } | Op::Cancel { run: _ } => return None,
        Op::Assign { run: _, attempt: _, place: _ } | Op::Refuse { run: _, error: _ } => {
            return None;
        }
        Op::Started { run: _, attempt: _, fence: _, started_at: _ } => return None,
        Op::Ended { run: _, attempt: _, fence: _, end: _ } => return None,
        Op::Unbegun { run: _, attempt: _, fence: _ } | Op::Withdraw { run: _ } => return None,
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
            match (keys.iter().any(forgets), keys.iter().any(of_events)) {
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
            return Some(Need { what: format!("a {}", kind.as_str()), format: kind.since() });
        }
        Op::Restored(_) => ("a restored cluster", 2),
        Op::ExternalLogin { user: _ } => ("a login by a provider", 3),
        Op::NodeOffers { node: _, boot: _, offers: _ } => ("what a node offers", 5),
        Op::GiveDuty { key: _, former: _, place: _ } => ("a duty", 5),
        Op::DutyMoved { key: _, fence: _, position: _, fault: _ } => ("a duty", 5),
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
    let need = spec.need()?;
    Some(Need { what: format!("the field {}", need.what), ..need })
}
