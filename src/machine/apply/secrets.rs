//! Secrets: kept sealed, audited without their value.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::FORMAT_OF_GUARDS;
use crate::model::{DataKey, Name, Scope, Sealed, Secret, limits};

use super::Cx;

impl Cx<'_> {
    /// A new data key takes the place of the newest, which stays until nothing is sealed with it.
    pub(super) fn put_secret_key(&mut self, key: &DataKey, after: Option<Uuid>) -> Answer {
        let keys = &mut self.s.secrets.keys;
        if keys.last().map(|key| key.id) != after || keys.iter().any(|known| known.id == key.id) {
            return Err(Rejection::Stale);
        }
        if keys.len() >= limits::SECRET_KEYS_MAX {
            let most = limits::SECRET_KEYS_MAX as u64;
            return Err(Rejection::Limit { what: "data keys of secrets".into(), most });
        }
        keys.push(DataKey { created_at: self.at, ..key.clone() });
        self.audit("secrets.key", &key.id.to_string(), json!({"under": key.under}));
        Ok(Reply::Created(key.id))
    }

    /// A data key that nothing is sealed with goes.
    pub(super) fn drop_secret_key(&mut self, id: Uuid) -> Answer {
        let secrets = &mut self.s.secrets;
        let newest = secrets.keys.last().is_some_and(|key| key.id == id);
        let used = secrets.items.values().any(|secret| secret.sealed.key == id);
        if newest || used || secrets.key(id).is_none() {
            return Err(Rejection::Stale);
        }
        secrets.keys.retain(|key| key.id != id);
        Ok(Reply::Done)
    }

    pub(super) fn put_secret(
        &mut self,
        name: &Name,
        jobs: &Scope,
        sealed: &Sealed,
        expected: Option<u64>,
    ) -> Answer {
        if self.s.secrets.key(sealed.key).is_none() {
            return Err(Rejection::Stale);
        }
        let before = self.s.secrets.items.get(name).cloned();
        as_expected(expected, before.as_deref())?;
        if before.is_none() && self.s.secrets.items.len() >= limits::SECRETS_MAX {
            let most = limits::SECRETS_MAX as u64;
            return Err(Rejection::Limit { what: "secrets".into(), most });
        }
        let version = before.as_ref().map_or(0, |before| before.version) + 1;
        let secret = Secret {
            name: name.clone(),
            version,
            jobs: jobs.clone(),
            created_at: before.map_or(self.at, |before| before.created_at),
            updated_at: self.at,
            updated_by: self.who(),
            sealed: sealed.clone(),
        };
        self.s.secrets.items.insert(name.clone(), Arc::new(secret));
        self.audit("secret.put", name.as_str(), json!({"version": version, "scope": jobs}));
        Ok(Reply::Done)
    }

    /// The same value under another key.
    pub(super) fn reseal_secret(
        &mut self,
        name: &Name,
        version: u64,
        sealed: &Sealed,
        replaced: Option<[u8; 24]>,
    ) -> Answer {
        let replaced = replaced.filter(|_| self.s.format() >= FORMAT_OF_GUARDS);
        let known = self.s.secrets.key(sealed.key).is_some();
        let secret = self.s.secrets.items.get_mut(name).ok_or(Rejection::Stale)?;
        let another = replaced.is_some_and(|nonce| secret.sealed.nonce != nonce);
        if !known || secret.version != version || another {
            return Err(Rejection::Stale);
        }
        Arc::make_mut(secret).sealed = sealed.clone();
        Ok(Reply::Done)
    }

    pub(super) fn delete_secret(&mut self, name: &Name, expected: Option<u64>) -> Answer {
        let gone = self.s.secrets.items.get(name).cloned();
        let gone = gone
            .ok_or_else(|| Rejection::NotFound { what: "secret".into(), name: name.to_string() })?;
        as_expected(expected, Some(&gone))?;
        self.s.secrets.items.remove(name);
        self.audit("secret.delete", name.as_str(), json!({"version": gone.version}));
        Ok(Reply::Done)
    }
}

/// Whether the version in force is the one that the caller insists on; 0: there is none.
fn as_expected(expected: Option<u64>, present: Option<&Secret>) -> Result<(), Rejection> {
    let actual = present.map_or(0, |secret| secret.version);
    match expected {
        Some(expected) if expected != actual => {
            Err(Rejection::VersionConflict { expected, actual })
        }
        _ => Ok(()),
    }
}
