//! Who comes in: login, tokens, users, and the audit of all of it.
//!
//! Owns: passwords, the tokens' form, throttling, the making of a [`Caller`], the use cases
//! of users, API tokens and the audit. Does not own: what a role may do
//! (`caller.rs`), nor what becomes of a command (`machine::apply::access`).
//!
//! ```text
//! login ──> throttle ──> argon2id, in turn ──> JWT {sub, uid, epoch, sid, kind, exp}
//! refresh token ──> Op::RefreshSession: good once ──> the next JWTs of that login
//! provider (oidc/) ──> code, ID token ──> account ──> the same JWT
//! request ──> JWT or crn_… ──> State: user there? uid, epoch equal? role now ──> Caller
//! logins, denials, uses ──> journal: bounded queue ──> Op::Note, Op::TokensUsed
//! login that failed ──> Op::Note ──> State: failures ──> throttle of every node
//! ```
//!
//! Invariants:
//! - No token carries rights: role and scope are looked up in the state at each request, so
//!   a change counts at once on every node.
//! - An unknown user costs a login as much as a known one.
//! - Only hashes are kept: argon2id of passwords, SHA-256 of the secrets of API tokens.
//!
//! To add a way in: a function that ends in [`Caller`], beside `authenticate.rs`.

mod audit;
mod authenticate;
mod export;
mod journal;
mod jwt;
mod keys;
mod login;
mod oidc;
mod password;
mod seen;
mod throttle;
mod token_text;
mod tokens;
mod users;

use std::sync::Arc;

use serde_json::{Value, json};

use self::journal::Journal;
use self::password::Hashing;
use super::caller::Right;
use super::{Caller, Error, Meta, RequestKey, Service};
use crate::clock::Clock;
use crate::consensus;
use crate::machine::command::AuditNote;
use crate::machine::prepare::{Intent, prepare};
use crate::machine::state::{FORMAT_OF_ACCESS, failures_of_address};
use crate::machine::{Op, Reply};
use crate::model::limits::{LOGINS_PER_ADDRESS, LOGINS_PER_USER};
use crate::model::rate::Rate;
use crate::model::{Actor, Span, TraceParent};

pub use self::audit::{AuditFilter, AuditVerdict};
pub use self::export::AuditExport;
pub use self::jwt::{ACCESS_TTL, REFRESH_TTL, new_signing_key, random_id};
pub use self::keys::{KeyView, Rotation};
pub use self::keys::{made_signing_key, seal_next};
pub use self::login::Issued;
pub use self::oidc::{Begun, GroupRole, Oidc, OidcOptions, Returned};
pub use self::password::{generate_password, hash_password};
pub use self::seen::AccessSeen;
pub(in crate::service) use self::throttle::Throttle;
pub use self::tokens::{NewToken, TokenCreated, TokenView};
pub(in crate::service) use self::users::check_scope;
pub use self::users::{NewUser, UserView};

/// Denials of one address that are kept in the audit; the others are counted.
const DENIALS: Rate = Rate { burst: 30, every: Span::from_secs(2) };

/// Where a request comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Address of the caller.
    pub from: Option<String>,
    /// Id of the request.
    pub request_id: Option<String>,
    /// The trace that it belongs to.
    pub trace: Option<TraceParent>,
}

impl Origin {
    fn actor(&self, name: impl Into<String>) -> Actor {
        let (from, request_id) = (self.from.clone(), self.request_id.clone());
        Actor { name: name.into(), from, request_id, trace: self.trace.clone() }
    }

    /// The bucket of failures that the address counts in.
    fn bucket(&self) -> String {
        failures_of_address(self.from.as_deref().unwrap_or("unknown"))
    }
}

/// What of access lives in this process only.
pub(super) struct Access {
    hashing: Hashing,
    by_user: Throttle,
    by_address: Throttle,
    denials: Throttle,
    journal: Journal,
}

impl Access {
    pub(super) fn start(consensus: consensus::Handle, clock: Arc<dyn Clock>) -> Self {
        Access {
            hashing: Hashing::new(),
            by_user: Throttle::new(LOGINS_PER_USER),
            by_address: Throttle::new(LOGINS_PER_ADDRESS),
            denials: Throttle::new(DENIALS),
            journal: Journal::start(consensus, clock),
        }
    }
}

impl Service {
    /// Notes in the audit that `action` on `target` was denied: to `who`, or to somebody
    /// not known. Never waits; what a flood brings is counted only.
    pub fn denied(&self, from: &Origin, who: Option<&Caller>, action: &str, target: &str) {
        let now = self.now();
        let access = &self.0.access;
        if access.denials.take(&from.bucket(), now).is_err() {
            access.journal.skip();
            return;
        }
        let actor = match who {
            Some(caller) => caller.actor.clone(),
            None => from.actor("anonymous"),
        };
        let change = json!({ "refused": action });
        self.note(actor, "access.denied", target, change);
    }

    /// Notes in the audit what a caller said about a write.
    pub fn remark(&self, c: &Caller, action: &str, target: &str, change: Value) {
        self.note(c.actor.clone(), action, target, change);
    }

    /// Refuses what a node of an older version could not read.
    fn format_of_access(&self, what: &str) -> Result<(), Error> {
        if self.consensus().state().format() >= FORMAT_OF_ACCESS {
            return Ok(());
        }
        let detail = format!(
            "some node of the cluster is of a version that does not know {what}: upgrade all nodes \
             first; a second after the last one it can be done"
        );
        Err(Error::Conflict { code: "upgrade-needed", detail })
    }

    fn note(&self, actor: Actor, action: &str, target: &str, change: Value) {
        let at = self.now();
        let (action, target) = (action.to_owned(), cut(target));
        self.0.access.journal.note(AuditNote { at, actor, action, target, change });
    }

    /// Submits a step that needs no preparation; gives the index it is applied at.
    pub(in crate::service) async fn plain(&self, right: Right<'_>, op: Op) -> Result<u64, Error> {
        self.carry_out(right, op, None).await.map(|(meta, _)| meta.index)
    }

    /// The same; gives the answer.
    async fn plain_reply(&self, right: Right<'_>, op: Op) -> Result<Reply, Error> {
        self.carry_out(right, op, None).await.map(|(_, reply)| reply)
    }

    /// A removal, once for each `Idempotency-Key`: what was removed is not there when it comes
    /// again, and the first answer holds all the same.
    async fn remove_once(
        &self,
        c: &Caller,
        right: Right<'_>,
        op: Op,
        request: Option<RequestKey>,
    ) -> Result<Meta, Error> {
        if let Some(meta) = self.removed_before(c, request)? {
            return Ok(meta);
        }
        self.carry_out(right, op, request).await.map(|(meta, _)| meta)
    }

    fn removed_before(
        &self,
        c: &Caller,
        request: Option<RequestKey>,
    ) -> Result<Option<Meta>, Error> {
        let state = self.consensus().state();
        Ok(self.replay(c, &state, request)?.map(|done| done.meta))
    }

    /// A step that needs no preparation, once for each `Idempotency-Key`; gives the answer and
    /// where it stands.
    pub(in crate::service) async fn carry_out(
        &self,
        right: Right<'_>,
        op: Op,
        request: Option<RequestKey>,
    ) -> Result<(Meta, Reply), Error> {
        let state = self.consensus().state();
        let intent = Intent::Plain(Box::new(op));
        let command = prepare(&state, intent, self.now(), Some(right.actor().clone()), request)?;
        let committed = self.consensus().submit(command).await?;
        let (reply, replayed) = committed.answer?.unwrap_replay();
        Ok((Meta { index: committed.index, replayed }, reply))
    }
}

/// The first characters of a text that a stranger sent.
fn cut(text: &str) -> String {
    text.chars().take(256).collect()
}
