//! Users, API tokens, signing keys.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::machine::command::{AuditNote, SigningKey};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{
    FORMAT_OF_ACCESS, FORMAT_OF_GUARDS, Use, failures_of_address, failures_of_user,
};
use crate::model::{ApiToken, DataKey, Name, Role, Scope, Session, Timestamp, User, limits};

use super::Cx;

impl Cx<'_> {
    pub(super) fn bootstrap(&mut self, key: &SigningKey, admin: &User) -> Answer {
        if !self.s.access.keys.is_empty() {
            return Err(Rejection::Bootstrapped);
        }
        self.s.access.keys.push(key.clone());
        self.insert_user(admin);
        Ok(Reply::Created(admin.uid))
    }

    fn insert_user(&mut self, user: &User) {
        let user = User { created_at: self.at, updated_at: self.at, ..user.clone() };
        self.s.access.users.insert(user.name.clone(), Arc::new(user));
    }

    pub(super) fn create_user(&mut self, user: &User, session: Option<&Session>) -> Answer {
        self.check_session(session)?;
        let name = user.name.to_string();
        if self.s.access.users.contains_key(&user.name) {
            return Err(Rejection::Exists { what: "user".into(), name });
        }
        if self.s.access.users.len() >= limits::USERS_MAX {
            return Err(Rejection::Limit { what: "users".into(), most: limits::USERS_MAX as u64 });
        }
        self.insert_user(user);
        self.audit("user.create", &name, json!({"role": user.role, "scope": user.scope}));
        Ok(Reply::Created(user.uid))
    }

    pub(super) fn external_login(&mut self, user: &User) -> Answer {
        let Some(known) = self.s.access.users.get(&user.name).cloned() else {
            return self.create_user(user, None);
        };
        if known.external.is_none() || known.external != user.external {
            let name = user.name.to_string();
            return Err(Rejection::Exists { what: "user".into(), name });
        }
        if (known.role, &known.scope) != (user.role, &user.scope) {
            self.set_role(&user.name, user.role, &user.scope)?;
        }
        Ok(Reply::Created(known.uid))
    }

    fn edit_user(&mut self, name: &Name, edit: impl FnOnce(&mut User)) -> Result<(), Rejection> {
        let at = self.at;
        let user = self.s.access.users.get_mut(name).ok_or_else(|| Rejection::no_user(name))?;
        let user = Arc::make_mut(user);
        edit(user);
        user.updated_at = at;
        Ok(())
    }

    pub(super) fn set_role(&mut self, name: &Name, role: Role, scope: &Scope) -> Answer {
        let stays = role == Role::Admin && scope.is_all();
        if !stays && self.s.access.is_last_admin(name) {
            return Err(Rejection::LastAdmin { name: name.clone() });
        }
        let before = self.s.access.users.get(name).map(|user| user.role);
        self.edit_user(name, |user| {
            user.role = role;
            user.scope = scope.clone();
        })?;
        let change = json!({"role": {"before": before, "after": role}, "scope": scope});
        self.audit("user.role", name.as_str(), change);
        Ok(Reply::Done)
    }

    /// Refuses what was asked for in a session that is over by now.
    pub(super) fn check_session(&self, session: Option<&Session>) -> Result<(), Rejection> {
        let Some(asked) = session.filter(|_| self.s.format() >= FORMAT_OF_GUARDS) else {
            return Ok(());
        };
        match self.s.access.users.get(&asked.user) {
            Some(user) if (user.uid, user.epoch) == (asked.uid, asked.epoch) => Ok(()),
            _ => Err(Rejection::SessionOver),
        }
    }

    pub(super) fn set_password(
        &mut self,
        name: &Name,
        password: &str,
        session: Option<&Session>,
    ) -> Answer {
        self.check_session(session)?;
        self.edit_user(name, |user| {
            user.password = password.to_string();
            user.epoch += 1;
        })?;
        self.s.access.sessions.forget_user(name);
        self.audit("user.password", name.as_str(), json!({}));
        Ok(Reply::Done)
    }

    /// Uses up a refresh token. Each is good once: a second time means that two have it.
    pub(super) fn refresh_session(
        &mut self,
        id: Uuid,
        session: &Session,
        generation: (u64, bool),
        until: Timestamp,
    ) -> Answer {
        self.check_session(Some(session))?;
        let at = self.at;
        match self.s.access.sessions.refresh(id, session, generation, until, at) {
            Use::Good => Ok(Reply::Done),
            Use::Over => Err(Rejection::SessionOver),
            Use::Full(most) => {
                let what = "logins that were refreshed (log out to end them)".into();
                Err(Rejection::Limit { what, most: most as u64 })
            }
            Use::Again => {
                let change = json!({ "why": "a refresh token came a second time" });
                self.audit("session.end", session.user.as_str(), change);
                Ok(Reply::SessionEnded)
            }
        }
    }

    pub(super) fn revoke_user(&mut self, name: &Name) -> Answer {
        self.edit_user(name, |user| user.epoch += 1)?;
        self.s.access.sessions.forget_user(name);
        self.audit("user.revoke", name.as_str(), json!({}));
        Ok(Reply::Done)
    }

    pub(super) fn delete_user(&mut self, name: &Name) -> Answer {
        if self.s.access.is_last_admin(name) {
            return Err(Rejection::LastAdmin { name: name.clone() });
        }
        if self.s.access.users.remove(name).is_none() {
            return Err(Rejection::no_user(name));
        }
        let tokens: Vec<Uuid> = self
            .s
            .access
            .tokens
            .values()
            .filter(|token| token.owner == *name)
            .map(|token| token.id)
            .collect();
        for id in tokens {
            self.s.access.tokens.remove(&id);
        }
        self.s.access.sessions.forget_user(name);
        self.end_pushes_of(name);
        self.audit("user.delete", name.as_str(), json!({}));
        Ok(Reply::Done)
    }

    pub(super) fn create_token(&mut self, token: &ApiToken, session: Option<&Session>) -> Answer {
        self.check_session(session)?;
        let owner = self.s.access.users.get(&token.owner);
        if owner.is_none_or(|user| user.uid != token.owner_uid) {
            return Err(Rejection::no_user(&token.owner));
        }
        if self.s.access.tokens.len() >= limits::USERS_MAX {
            let most = limits::USERS_MAX as u64;
            return Err(Rejection::Limit { what: "API tokens".into(), most });
        }
        let token = ApiToken { created_at: self.at, ..token.clone() };
        let change =
            json!({"name": token.name, "role": token.role, "expires_at": token.expires_at});
        self.audit("token.create", &token.id.to_string(), change);
        let id = token.id;
        self.s.access.tokens.insert(id, Arc::new(token));
        Ok(Reply::Created(id))
    }

    pub(super) fn delete_token(&mut self, id: Uuid) -> Answer {
        if self.s.access.tokens.remove(&id).is_none() {
            return Err(Rejection::NotFound { what: "token".into(), name: id.to_string() });
        }
        self.audit("token.delete", &id.to_string(), json!({}));
        Ok(Reply::Done)
    }

    pub(super) fn tokens_used(&mut self, ids: &[Uuid]) -> Answer {
        let at = self.at;
        for id in ids {
            if let Some(token) = self.s.access.tokens.get_mut(id) {
                Arc::make_mut(token).last_used_at = Some(at);
            }
        }
        Ok(Reply::Done)
    }

    pub(super) fn rotate_key(&mut self, key: &SigningKey, revoke: bool) -> Answer {
        let at = self.at;
        if self.s.format() < FORMAT_OF_ACCESS {
            return self.rotate_key_of_format_1(key);
        }
        // What they signed has expired.
        let over = |key: &SigningKey| {
            key.retired_at.is_some_and(|retired| retired.plus(limits::SESSION_TTL) <= at)
        };
        let stay = self.s.access.keys.iter().filter(|key| !revoke && !over(key)).count();
        if stay >= limits::SIGNING_KEYS_MAX {
            let what = "signing keys whose tokens are good (revoke them, or wait)".into();
            return Err(Rejection::Limit { what, most: limits::SIGNING_KEYS_MAX as u64 });
        }
        let keys = &mut self.s.access.keys;
        keys.retain(|key| !revoke && !over(key));
        for key in keys.iter_mut() {
            key.retired_at.get_or_insert(at);
        }
        keys.push(SigningKey { created_at: Some(at), retired_at: None, ..key.clone() });
        self.audit("access.rotate-key", "signing key", json!({"kid": key.id, "revoke": revoke}));
        Ok(Reply::Done)
    }

    /// The secret itself is in nothing that is written from here on.
    pub(super) fn seal_key(&mut self, id: Uuid, sealed: &DataKey) -> Answer {
        let key = self.s.access.keys.iter_mut().find(|key| key.id == id);
        let (what, name) = ("signing key".into(), id.to_string());
        let key = key.ok_or(Rejection::NotFound { what, name })?;
        *key = key.clone().sealed(sealed.clone());
        let change = json!({"kid": id, "under": sealed.under});
        self.audit("access.seal-key", "signing key", change);
        Ok(Reply::Done)
    }

    /// As nodes do it that know no more: two keys, of no age.
    fn rotate_key_of_format_1(&mut self, key: &SigningKey) -> Answer {
        let keys = &mut self.s.access.keys;
        keys.push(key.clone());
        if keys.len() > 2 {
            keys.remove(0);
        }
        self.audit("access.rotate-key", "signing key", json!({"kid": key.id}));
        Ok(Reply::Done)
    }

    /// Counts a login that failed, on whichever node.
    pub(super) fn login_failed(&mut self, note: &AuditNote) {
        let (failures, at) = (&mut self.s.access.failures, self.at);
        failures.add(failures_of_user(&note.target), limits::LOGINS_PER_USER, at);
        if let Some(address) = &note.actor.from {
            failures.add(failures_of_address(address), limits::LOGINS_PER_ADDRESS, at);
        }
    }
}
