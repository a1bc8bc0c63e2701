//! From a password, or a refresh token, to tokens.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::jwt::{self, ACCESS_TTL, Kind};
use super::{Origin, cut};
use crate::machine::Op;
use crate::machine::apply::LOGIN_FAILED;
use crate::machine::state::failures_of_user;
use crate::model::limits::{LOGINS_PER_ADDRESS, LOGINS_PER_USER, PASSWORD_LEN_MAX};
use crate::model::{Role, Span, Timestamp, User};
use crate::service::{Caller, Error, Service};

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
        let known = self.account(user);
        // Without a password there is nothing to hold it against, as without an account.
        let hash = known.map(|user| user.password.clone()).filter(|hash| !hash.is_empty());
        let fits = password.chars().count() <= PASSWORD_LEN_MAX
            && self.0.access.hashing.verify(password, hash.clone()).await?;
        // The state may have moved while the hash was computed.
        let present = self.account(user).filter(|user| Some(&user.password) == hash.as_ref());
        let Some(present) = present.filter(|_| fits) else {
            self.note(from.actor(cut(user)), LOGIN_FAILED, user, json!({}));
            self.stands(ground?).await?;
            return Err(Error::Unauthenticated("user name or password is wrong".into()));
        };
        self.0.access.by_user.give_back(&cut(user), now);
        self.0.access.by_address.give_back(&from.bucket(), now);
        let issued = self.issue(&present, None)?;
        self.note(from.actor(user), "login", user, json!({ "role": present.role }));
        Ok(issued)
    }

    /// One try of this account and of this address. What failed on other nodes, or before
    /// this one started, counts by way of the state; what fails here counts at once.
    pub(super) fn take_turn(&self, user: &str, from: &Origin, now: Timestamp) -> Result<(), Error> {
        let access = &self.0.access;
        let (key, address) = (cut(user), from.bucket());
        let throttled = |retry_after| Error::Throttled { retry_after };
        let state = self.consensus().state();
        let failures = &state.access.failures;
        failures.check(&address, LOGINS_PER_ADDRESS, now).map_err(throttled)?;
        failures.check(&failures_of_user(&key), LOGINS_PER_USER, now).map_err(throttled)?;
        drop(state);
        access.by_address.take(&address, now).map_err(throttled)?;
        access.by_user.take(&key, now).map_err(throttled)
    }

    pub(super) fn account(&self, name: &str) -> Option<Arc<User>> {
        self.consensus().state().access.users.get(name).cloned()
    }

    /// Tokens for `user`; the session ends at `until` at the latest.
    pub(super) fn issue(&self, user: &User, until: Option<Timestamp>) -> Result<Issued, Error> {
        let now = self.now();
        let left = |ttl: Span| until.map_or(ttl, |until| ttl.min(until.since(now))).secs();
        let state = self.consensus().state();
        let keys = &self.opened_keys(&state)?;
        Ok(Issued {
            access_token: jwt::issue(keys, user, Kind::Access, now, until)?,
            token_type: "bearer",
            expires_in: left(ACCESS_TTL),
            refresh_token: jwt::issue(keys, user, Kind::Refresh, now, until)?,
            refresh_expires_in: left(jwt::REFRESH_TTL),
            role: user.role,
        })
    }

    /// New tokens for a refresh token.
    ///
    /// # Errors
    /// `Unauthenticated` when it is over, revoked or not one of ours.
    pub async fn refresh(&self, token: &str, from: &Origin) -> Result<Issued, Error> {
        let ground = self.ground().await;
        let (user, claims) = match self.user_of(token, Kind::Refresh) {
            Ok(known) => known,
            Err(refused) => {
                self.stands(ground?).await?;
                return Err(refused);
            }
        };
        let issued = self.issue(&user, claims.until.map(Timestamp::from_secs))?;
        let name = user.name.to_string();
        self.note(from.actor(&name), "login.refresh", &name, json!({ "role": user.role }));
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
        self.plain(&c.actor, Op::RevokeUser { name: c.user.clone() }).await.map(|_| ())
    }
}
