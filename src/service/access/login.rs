//! From a password, or a refresh token, to tokens.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::jwt::{self, ACCESS_TTL, Kind, Ticket};
use super::{Origin, cut};
use crate::machine::apply::LOGIN_FAILED;
use crate::machine::command::AuditNote;
use crate::machine::state::{FORMAT_OF_SESSIONS, failures_of_user};
use crate::machine::{Command, Op, Reply};
use crate::model::limits::{LOGINS_PER_ADDRESS, LOGINS_PER_USER, PASSWORD_LEN_MAX};
use crate::model::{Actor, Role, Session, Span, Timestamp, User};
use crate::service::caller::Right;
use crate::service::{Caller, Error, Service};

/// How long the answer to a wrong login waits until it is counted on all nodes.
const COUNTED_WITHIN: Duration = Duration::from_secs(2);

/// What a login gives.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Issued {
    /// For `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `bearer`.
    pub token_type: &'static str,
    /// Seconds until the access token ends.
    pub expires_in: u64,
    /// For `POST /auth/refresh`.
    pub refresh_token: String,
    /// Seconds until the refresh token ends.
    pub refresh_expires_in: u64,
    /// What the user may do now.
    pub role: Role,
}

impl Service {
    /// Tokens for a name and a password. A password that was set, and a session that was ended,
    /// on another node counts here. When nobody leads, what this node knows lets in, but does not
    /// refuse.
    ///
    /// # Errors
    /// `Unauthenticated` when they do not fit, without saying which of the two; `Throttled`.
    pub async fn login(&self, user: &str, password: &str, from: &Origin) -> Result<Issued, Error> {
        let now = self.now();
        if let Err(refused) = self.take_turn(user, from, now) {
            // It costs whoever tries nothing, so it must not fill the audit either.
            let access = &self.0.access;
            match access.denials.take(&from.bucket(), now) {
                Ok(()) => self.note(from.actor(cut(user)), "login.throttled", user, json!({})),
                Err(_) => access.journal.skip(),
            }
            return Err(refused);
        }
        let ground = self.ground().await;
        if self.consensus().state().access.users.is_empty() {
            // No password is wrong yet, so nothing is counted.
            self.0.access.by_user.give_back(&cut(user), now);
            self.0.access.by_address.give_back(&from.bucket(), now);
            let why = "nobody can log in yet: the first admin of the cluster is being made";
            return Err(Error::unavailable(why, false));
        }
        // What failed on other nodes until now counts here.
        self.check_failures(&cut(user), &from.bucket(), now)?;
        let known = self.account(user);
        // Without a password there is nothing to hold it against, as without an account.
        let hash = known.map(|user| user.password.clone()).filter(|hash| !hash.is_empty());
        let fits = password.chars().count() <= PASSWORD_LEN_MAX
            && self.0.access.hashing.verify(password, hash.clone()).await?;
        // The state may have moved while the hash was computed.
        let present = self.account(user).filter(|user| Some(&user.password) == hash.as_ref());
        let Some(present) = present.filter(|_| fits) else {
            let confirmed = async { self.stands(ground?).await };
            if let Err(late) = confirmed.await {
                self.note(from.actor(cut(user)), LOGIN_FAILED, user, json!({}));
                return Err(late);
            }
            self.count_failure(from.actor(cut(user)), user, json!({})).await;
            return Err(Error::Unauthenticated("user name or password is wrong".into()));
        };
        self.0.access.by_user.give_back(&cut(user), now);
        self.0.access.by_address.give_back(&from.bucket(), now);
        let issued = self.issue(&present, Ticket::new(now, None)?)?;
        self.note(from.actor(user), "login", user, json!({ "role": present.role }));
        Ok(issued)
    }

    /// One try of this account and of this address. What failed on other nodes, or before
    /// this one started, counts by way of the state; what fails here counts at once.
    pub(super) fn take_turn(&self, user: &str, from: &Origin, now: Timestamp) -> Result<(), Error> {
        let access = &self.0.access;
        let (key, address) = (cut(user), from.bucket());
        let throttled = |retry_after| Error::Throttled { retry_after };
        self.check_failures(&key, &address, now)?;
        access.by_address.take(&address, now).map_err(throttled)?;
        access.by_user.take(&key, now).map_err(throttled)
    }

    /// Whether one more try is allowed after what failed on all nodes.
    fn check_failures(&self, user: &str, address: &str, now: Timestamp) -> Result<(), Error> {
        let throttled = |retry_after| Error::Throttled { retry_after };
        let state = self.consensus().state();
        let failures = &state.access.failures;
        failures.check(address, LOGINS_PER_ADDRESS, now).map_err(throttled)?;
        failures.check(&failures_of_user(user), LOGINS_PER_USER, now).map_err(throttled)
    }

    /// Counts a failure for all nodes before it is told: the next try, wherever, is held against
    /// it. Without a leader it counts here, and goes into the log when there is one.
    pub(super) async fn count_failure(&self, actor: Actor, user: &str, change: Value) {
        let at = self.now();
        let (action, target) = (LOGIN_FAILED.to_owned(), cut(user));
        let note = AuditNote { at, actor, action, target, change };
        let op = Op::Note { entries: vec![note.clone()] };
        let command = Command { at, actor: None, request: None, op };
        let written = tokio::time::timeout(COUNTED_WITHIN, self.consensus().submit(command));
        match written.await {
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) if error.ambiguous() => {}
            Ok(Err(_)) => self.0.access.journal.note(note),
        }
    }

    pub(super) fn account(&self, name: &str) -> Option<Arc<User>> {
        self.consensus().state().access.users.get(name).cloned()
    }

    /// Tokens for `user`, in that login.
    pub(super) fn issue(&self, user: &User, ticket: Ticket) -> Result<Issued, Error> {
        let now = self.now();
        let left = |ttl: Span| ttl.min(ticket.until.since(now)).secs();
        let state = self.consensus().state();
        let keys = &self.opened_keys(&state)?;
        Ok(Issued {
            access_token: jwt::issue(keys, user, Kind::Access, now, ticket)?,
            token_type: "bearer",
            expires_in: left(ACCESS_TTL),
            refresh_token: jwt::issue(keys, user, Kind::Refresh, now, ticket)?,
            refresh_expires_in: left(jwt::REFRESH_TTL),
            role: user.role,
        })
    }

    /// New tokens for a refresh token, which is used up. When it was used up before, somebody
    /// else has it too: the session ends. With `tabs` it may be another tab of the same browser,
    /// for a short while.
    ///
    /// # Errors
    /// `Unauthenticated` when it is over, used up, revoked or not one of ours; or as any write.
    pub async fn refresh(&self, token: &str, tabs: bool, from: &Origin) -> Result<Issued, Error> {
        let ground = self.ground().await;
        let (user, claims) = match self.user_of(token, Kind::Refresh) {
            Ok(known) => known,
            Err(refused) => {
                self.stands(ground?).await?;
                return Err(refused);
            }
        };
        let ticket = claims.ticket();
        let name = user.name.to_string();
        let actor = from.actor(&name);
        if self.consensus().state().format() < FORMAT_OF_SESSIONS {
            // Some node knows no sessions: tokens are good until they expire.
            let issued = self.issue(&user, ticket)?;
            self.note(actor, "login.refresh", &name, json!({ "role": user.role }));
            return Ok(issued);
        }
        let session = Session { user: user.name.clone(), uid: claims.uid, epoch: claims.epoch };
        let (id, generation, until) = (ticket.id, ticket.generation, ticket.until);
        let op = Op::RefreshSession { id, session, generation, until, tabs };
        if self.plain_reply(Right::proved(&actor), op).await? == Reply::SessionEnded {
            let detail =
                "the refresh token was used before, so its session has ended; log in again";
            return Err(Error::Unauthenticated(detail.into()));
        }
        let issued = self.issue(&user, Ticket { generation: generation + 1, ..ticket })?;
        self.note(actor, "login.refresh", &name, json!({ "role": user.role }));
        Ok(issued)
    }

    /// Refuses every access and refresh token that the caller was ever given, on every
    /// node, from here on.
    ///
    /// # Errors
    /// As any write; `Forbidden` with an API token, which is deleted instead.
    pub async fn logout(&self, c: &Caller) -> Result<(), Error> {
        if c.via_token.is_some() {
            return Err(Error::Forbidden(
                "an API token has no session to end; delete the token instead".into(),
            ));
        }
        self.plain(c.own(), Op::RevokeUser { name: c.user.clone() }).await.map(|_| ())
    }
}
