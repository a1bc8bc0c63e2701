//! From what stands behind `Authorization: Bearer` to a caller.

use std::sync::Arc;

use super::journal::USE_NOTED_EVERY;
use super::jwt::{self, Claims, Kind};
use super::{Origin, token_text};
use crate::consensus::Ground;
use crate::model::{ApiToken, Scope, Session, Timestamp, User};
use crate::service::{Caller, Error, Service};

impl Service {
    /// The caller that `bearer` stands for: an access token or an API token. Account, role
    /// and scope are those of now.
    ///
    /// # Errors
    /// `Unauthenticated`, with what to do about it.
    pub async fn authenticate(&self, bearer: &str, from: &Origin) -> Result<Caller, Error> {
        if bearer.starts_with(token_text::PREFIX) {
            return self.by_api_token(bearer, from);
        }
        let (user, claims) = self.user_of(bearer, Kind::Access)?;
        let (name, role, scope) = (user.name.clone(), user.role, user.scope.clone());
        let expires_at = Some(Timestamp::from_secs(claims.exp));
        let actor = from.actor(name.to_string());
        let session = Session { user: name.clone(), uid: claims.uid, epoch: claims.epoch };
        Ok(Caller::new(actor, name, role, scope, expires_at, None).in_session(session))
    }

    /// The user of a JWT, as the state has it now.
    pub(super) fn user_of(&self, token: &str, kind: Kind) -> Result<(Arc<User>, Claims), Error> {
        let state = self.consensus().state();
        let claims = jwt::check(&self.opened_keys(&state)?, token, kind, self.now())?;
        let ended = state.access.sessions.has_ended(claims.ticket().id);
        match state.access.users.get(claims.sub.as_str()) {
            Some(user) if user.uid == claims.uid && user.epoch == claims.epoch && !ended => {
                Ok((Arc::clone(user), claims))
            }
            _ => Err(Error::Unauthenticated("the token was revoked; log in again".into())),
        }
    }

    /// Returns once this node has applied what was committed before the call, on whichever
    /// node: a read then shows it, and a token that was revoked elsewhere is refused here.
    ///
    /// # Errors
    /// `Unavailable`: nobody leads.
    pub async fn catch_up(&self) -> Result<(), Error> {
        self.consensus().read_barrier().await.map(drop).map_err(Error::from)
    }

    /// The same before a write. A leader needs no question: if it leads no more, the write
    /// itself fails. What it refuses needs [`Service::stands`].
    ///
    /// # Errors
    /// `Unavailable`: nobody leads.
    pub async fn ground(&self) -> Result<Ground, Error> {
        self.consensus().ground().await.map_err(Error::from)
    }

    /// Returns once a majority has confirmed the state that a refusal rests on.
    ///
    /// # Errors
    /// `Unavailable`: nobody leads, or who leads changed.
    pub async fn stands(&self, ground: Ground) -> Result<(), Error> {
        self.consensus().stands(ground).await.map_err(Error::from)
    }

    fn by_api_token(&self, text: &str, from: &Origin) -> Result<Caller, Error> {
        let refuse = |why: &str| Error::Unauthenticated(format!("the API token {why}"));
        let presented = token_text::read(text).ok_or_else(|| refuse("is not well formed"))?;
        let state = self.consensus().state();
        let kept = state.access.tokens.get(&presented.id);
        let token = kept.filter(|token| presented.fits(&token.hash));
        let token = token.ok_or_else(|| refuse("is not known, or was deleted"))?;
        let now = self.now();
        if token.expires_at.is_some_and(|end| end <= now) {
            return Err(refuse("has expired"));
        }
        let owner = state.access.users.get(&token.owner);
        let owner = owner.filter(|user| user.uid == token.owner_uid);
        let owner = owner.ok_or_else(|| refuse("belongs to a user that is gone"))?;
        if token.last_used_at.is_none_or(|last| now.since(last) >= USE_NOTED_EVERY) {
            self.0.access.journal.used(token.id, now);
        }
        Ok(caller_of(token, owner, from))
    }
}

fn caller_of(token: &ApiToken, owner: &User, from: &Origin) -> Caller {
    let actor = from.actor(format!("token:{}", token.id));
    let role = token.role.min(owner.role);
    let scope = both(&token.scope, &owner.scope);
    Caller::new(actor, owner.name.clone(), role, scope, token.expires_at, Some(token.id))
}

/// A scope that covers nothing which one of the two does not cover. Where the two overlap
/// in part, it covers less than both: never more.
fn both(one: &Scope, other: &Scope) -> Scope {
    if one.is_all() {
        return other.clone();
    }
    if other.is_all() {
        return one.clone();
    }
    let mut jobs: Vec<String> = Vec::new();
    for (inner, outer) in [(one, other), (other, one)] {
        // A pattern that matches another pattern's text covers all that one does.
        let outer = Scope { jobs: outer.jobs.clone(), tags: Vec::new() };
        let within = |pattern: &&String| !outer.is_all() && outer.covers(pattern, &[]);
        jobs.extend(inner.jobs.iter().filter(within).cloned());
    }
    jobs.sort();
    jobs.dedup();
    let tags: Vec<String> =
        one.tags.iter().filter(|tag| other.tags.contains(tag)).cloned().collect();
    if jobs.is_empty() && tags.is_empty() {
        // No lists at all would mean all jobs; no job has the empty name.
        jobs.push(String::new());
    }
    Scope { jobs, tags }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(jobs: &[&str], tags: &[&str]) -> Scope {
        let own = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Scope { jobs: own(jobs), tags: own(tags) }
    }

    #[test]
    fn a_token_never_covers_more_than_its_owner() {
        let all = Scope::default();
        assert_eq!(both(&scope(&["a*"], &[]), &all), scope(&["a*"], &[]));
        assert_eq!(both(&all, &scope(&["a*"], &[])), scope(&["a*"], &[]));
        let narrow = both(&scope(&["etl-a-*", "web"], &["x"]), &scope(&["etl-*"], &["x", "y"]));
        assert_eq!(narrow, scope(&["etl-a-*"], &["x"]));
        let none = both(&scope(&["a*"], &[]), &scope(&["b*"], &["a"]));
        assert!(!none.is_all());
        for name in ["a", "b", "ab"] {
            assert!(!none.covers(name, &["a".into()]), "{name}");
        }
    }
}
