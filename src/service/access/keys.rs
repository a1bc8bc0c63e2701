//! The keys that access and refresh tokens are signed with.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::jwt::new_signing_key;
use crate::machine::command::SigningKey;
use crate::machine::{Op, State};
use crate::model::Timestamp;
use crate::model::limits::{SESSION_TTL, SIGNING_KEYS_MAX};
use crate::service::caller::{Action, Right, Target};
use crate::service::{Caller, Error, Service};
use crate::vault::{self, Vault};

/// A signing key, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct KeyView {
    /// `kid` in the head of the tokens it signed.
    pub id: Uuid,
    /// Creation; null: it is the cluster's first.
    #[schema(required)]
    pub created_at: Option<Timestamp>,
    /// When another took its place; null: it signs.
    #[schema(required)]
    pub retired_at: Option<Timestamp>,
    /// When the last token it signed has expired; null: it signs.
    #[schema(required)]
    pub ends_at: Option<Timestamp>,
}

impl From<&SigningKey> for KeyView {
    fn from(key: &SigningKey) -> Self {
        KeyView {
            id: key.id,
            created_at: key.created_at,
            retired_at: key.retired_at,
            ends_at: key.retired_at.map(|at| at.plus(SESSION_TTL)),
        }
    }
}

/// How keys are rotated.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    /// Refuse every token that the keys before signed, from here on: everybody logs in again,
    /// the caller too. For a key that somebody else may know.
    #[schema(required = false)]
    pub revoke: bool,
}

/// The first format whose nodes read sealed signing keys.
const FORMAT_OF_SEALED: u32 = 5;

/// A new signing key; sealed, where this node has a key for that and all nodes read it.
///
/// # Errors
/// The system gives no random numbers.
pub fn made_signing_key(
    vault: Option<&Vault>,
    state: &State,
    now: Timestamp,
) -> Result<SigningKey, Error> {
    let key = new_signing_key()?;
    match vault.filter(|_| state.format() >= FORMAT_OF_SEALED) {
        Some(vault) => {
            let sealed = vault.seal_signing(&key.secret, key.id, now).map_err(internal)?;
            Ok(key.sealed(sealed))
        }
        None => Ok(key),
    }
}

fn internal(error: vault::Error) -> Error {
    Error::Internal(format!("signing keys: {error}"))
}

/// What keeps the signing keys of a cluster sealed, and how far that is done: the next step, or
/// none when nothing is left.
///
/// One that has been in the open may be known: another signs in its place, and it is sealed.
///
/// # Errors
/// The system gives no random numbers.
pub fn seal_next(vault: &Vault, state: &State, now: Timestamp) -> Result<Option<Op>, Error> {
    let keys = &state.access.keys;
    if state.format() < FORMAT_OF_SEALED {
        return Ok(None);
    }
    let room = keys.len() < SIGNING_KEYS_MAX;
    if room && keys.last().is_some_and(|key| key.sealed.is_none()) {
        let signing_key = made_signing_key(Some(vault), state, now)?;
        return Ok(Some(Op::RotateKey { signing_key, revoke: false }));
    }
    let Some(open) = keys.iter().find(|key| key.sealed.is_none()) else { return Ok(None) };
    let sealed = vault.seal_signing(&open.secret, open.id, now).map_err(internal)?;
    Ok(Some(Op::SealKey { id: open.id, sealed: Box::new(sealed) }))
}

impl Service {
    /// The signing keys with their secrets. Those that this node can't open are left out.
    ///
    /// # Errors
    /// `Unavailable`, when the one that signs is among those.
    pub(in crate::service) fn opened_keys(&self, state: &State) -> Result<Vec<SigningKey>, Error> {
        let keys = &state.access.keys;
        let mut opened = Vec::with_capacity(keys.len());
        let mut failed = None;
        for key in keys {
            match self.opened(key) {
                Ok(key) => opened.push(key),
                Err(why) => failed = Some((key.id, why)),
            }
        }
        match failed {
            Some((id, why)) if keys.last().is_some_and(|last| last.id == id) => {
                Err(Error::unavailable(why, false))
            }
            _ => Ok(opened),
        }
    }

    fn opened(&self, key: &SigningKey) -> Result<SigningKey, String> {
        let Some(sealed) = &key.sealed else { return Ok(key.clone()) };
        let vault = self.0.deps.vault.as_deref().ok_or(
            "the signing keys of this cluster are sealed, and this node was started without \
             CRONAPI_SECRETS_KEY: give it the one of the other nodes",
        )?;
        let secret = vault.open_signing(sealed).map_err(|e| format!("signing keys: {e}"))?;
        Ok(SigningKey { secret, ..key.clone() })
    }

    /// Seals what is sealed with another key than the first that this node was started with.
    ///
    /// # Errors
    /// As any write.
    pub(in crate::service) async fn reseal_signing_keys(
        &self,
        right: Right<'_>,
    ) -> Result<(), Error> {
        let Some(vault) = self.0.deps.vault.as_deref() else { return Ok(()) };
        let (state, now) = (self.consensus().state(), self.now());
        for key in &state.access.keys {
            if key.sealed.as_ref().is_none_or(|sealed| vault.is_first(sealed)) {
                continue;
            }
            // One that nobody can open any more signs nothing that is accepted.
            let Ok(opened) = self.opened(key) else { continue };
            let sealed = vault.seal_signing(&opened.secret, key.id, now).map_err(internal)?;
            let op = Op::SealKey { id: key.id, sealed: Box::new(sealed) };
            let done = self.plain(right, op).await;
            let there = self.consensus().state().access.keys.iter().any(|it| it.id == key.id);
            if there {
                done?;
            }
        }
        Ok(())
    }

    /// The keys whose tokens are accepted, the one that signs last.
    ///
    /// # Errors
    /// `Forbidden` to all but an admin.
    pub async fn signing_keys(&self, c: &Caller) -> Result<Vec<KeyView>, Error> {
        c.permit(Action::ReadUsers, Target::Cluster)?;
        let (state, now) = (self.consensus().state(), self.now());
        let all = state.access.keys.iter().map(KeyView::from);
        Ok(all.filter(|key| key.ends_at.is_none_or(|end| end > now)).collect())
    }

    /// Puts a new key in the place of the one that signs.
    ///
    /// # Errors
    /// `Forbidden`, `Limit` when it was done too often lately, or as any write.
    pub async fn rotate_keys(&self, c: &Caller, how: Rotation) -> Result<Vec<KeyView>, Error> {
        let right = c.permit(Action::ManageUsers, Target::Cluster)?.right(c);
        self.format_of_access("the age of signing keys")?;
        let vault = self.0.deps.vault.as_deref();
        let signing_key = made_signing_key(vault, &self.consensus().state(), self.now())?;
        let op = Op::RotateKey { signing_key, revoke: how.revoke };
        self.plain(right, op).await?;
        self.signing_keys(c).await
    }
}
