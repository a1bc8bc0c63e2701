//! Secrets: given, listed, taken away; their values are shown to nobody.

use serde::{Deserialize, Serialize};

use super::access::check_scope;
use super::caller::Right;
use super::{Action, Caller, Error, Meta, PutMode, Service, Target, WriteOptions};
use crate::machine::{Op, State};
use crate::model::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};
use crate::model::{
    DataKey, Invalid, JobSpec, Name, Parameters, Scope, Secret, SecretRef, Timestamp,
};
use crate::vault::{self, SecretKey, Vault};

/// Times a write is prepared.
const ATTEMPTS_MAX: usize = 5;
/// The first format that has secrets.
const FORMAT: u32 = 2;

/// A new value of a secret.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSecret {
    /// The value, 4 to 16,384 bytes. It is never shown again.
    #[schema(min_length = 4, max_length = 16384, write_only)]
    pub value: String,
    /// The jobs that may use it; `{}`: all.
    pub scope: Scope,
}

/// A secret, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SecretView {
    /// Its name.
    pub name: Name,
    /// From 1; one more at each new value.
    pub version: u64,
    /// The jobs that may use it; `{}`: all.
    pub scope: Scope,
    /// When it was first given.
    pub created_at: Timestamp,
    /// When it was last given.
    pub updated_at: Timestamp,
    /// Who gave it last.
    pub updated_by: String,
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Rotated {
    /// Secrets that are sealed with a new key.
    pub resealed: u64,
}

impl Service {
    /// All secrets, by name.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn secrets(&self, c: &Caller) -> Result<Vec<SecretView>, Error> {
        c.permit(Action::ReadSecrets, Target::Cluster)?;
        let state = self.consensus().state();
        Ok(state.secrets.items.values().map(|secret| view(secret)).collect())
    }

    /// A secret.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn secret(&self, c: &Caller, name: &Name) -> Result<SecretView, Error> {
        c.permit(Action::ReadSecrets, Target::Cluster)?;
        let state = self.consensus().state();
        let found = state.secrets.items.get(name);
        found.map(|secret| view(secret)).ok_or_else(|| no_secret(name))
    }

    /// Gives a secret a value, and says which jobs may use it.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `Conflict` when this node has no key or others can't read
    /// secrets yet, or as any write.
    pub async fn put_secret(
        &self,
        c: &Caller,
        name: &Name,
        new: &NewSecret,
        mode: PutMode,
        o: WriteOptions,
    ) -> Result<(SecretView, Meta), Error> {
        let right = c.permit(Action::ManageSecrets, Target::Cluster)?.right(c);
        if let Some(done) = self.replay(c, &self.consensus().state(), o.request)? {
            return Ok((self.secret(c, name).await?, done.meta));
        }
        check(&new.value)?;
        check_scope("scope", &new.scope)?;
        let vault = self.vault()?;
        for _ in 0..ATTEMPTS_MAX {
            let state = self.consensus().state();
            can_have(&state)?;
            let key = match state.secrets.keys.last() {
                Some(key) => key.clone(),
                None => self.new_data_key(right, vault, &state).await?,
            };
            let sealed = vault.seal(&key, name, &new.value).map_err(unsealed)?;
            let (name, jobs) = (name.clone(), new.scope.clone());
            let expected = expected(&state, &name, mode, o.expected)?;
            let op = Op::PutSecret { name: name.clone(), jobs, sealed, expected };
            match self.carry_out(right, op, o.request).await {
                Ok((meta, _)) => return Ok((self.secret(c, &name).await?, meta)),
                Err(error) if stale(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::unavailable("others keep changing the keys of secrets", false))
    }

    /// Takes a secret away; jobs that name it fail from here on.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, or as any write.
    pub async fn delete_secret(
        &self,
        c: &Caller,
        name: &Name,
        o: WriteOptions,
    ) -> Result<Meta, Error> {
        let right = c.permit(Action::ManageSecrets, Target::Cluster)?.right(c);
        if let Some(done) = self.replay(c, &self.consensus().state(), o.request)? {
            return Ok(done.meta);
        }
        if !self.consensus().state().secrets.items.contains_key(name) {
            return Err(no_secret(name));
        }
        let op = Op::DeleteSecret { name: name.clone(), expected: o.expected };
        self.carry_out(right, op, o.request).await.map(|(meta, _)| meta)
    }

    /// Seals every secret with a new data key, which is itself sealed with the first key that
    /// this node was started with. Repeated after a failure, it begins anew, with another key;
    /// those that nothing is sealed with by then go first.
    ///
    /// # Errors
    /// `Forbidden`, `Conflict`, or as any write.
    pub async fn rotate_secrets(&self, c: &Caller) -> Result<Rotated, Error> {
        let right = c.permit(Action::ManageSecrets, Target::Cluster)?.right(c);
        let vault = self.vault()?;
        let state = self.consensus().state();
        can_have(&state)?;
        // What can't be opened here is told before there is a key that nothing needs.
        for secret in state.secrets.items.values() {
            open(vault, &state, secret).map_err(unsealed)?;
        }
        self.reseal_signing_keys(right).await?;
        self.reseal_push_key(right).await?;
        self.drop_unused_keys(right, &state).await?;
        let new = self.new_data_key(right, vault, &state).await?;
        let mut resealed = 0;
        for _ in 0..ATTEMPTS_MAX {
            let state = self.consensus().state();
            let old = state.secrets.items.values().filter(|secret| secret.sealed.key != new.id);
            let mut left = 0;
            for secret in old {
                left += 1;
                let (name, version) = (secret.name.clone(), secret.version);
                let replaced = Some(secret.sealed.nonce);
                let value = open(vault, &state, secret).map_err(unsealed)?;
                let sealed = vault.seal(&new, &name, &value).map_err(unsealed)?;
                let op = Op::ResealSecret { name, version, sealed, replaced };
                match self.plain(right, op).await {
                    Ok(_) => resealed += 1,
                    // Given anew or taken away meanwhile.
                    Err(error) if stale(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            if left == 0 {
                self.drop_unused_keys(right, &state).await?;
                return Ok(Rotated { resealed });
            }
        }
        Err(Error::unavailable("others keep changing secrets; rotate again", true))
    }

    fn vault(&self) -> Result<&Vault, Error> {
        let detail = "this node was started without CRONAPI_SECRETS_KEY, and keeps no secret \
                      without it: give all nodes the same one, such as `openssl rand -base64 32` \
                      makes, and start them again";
        let missing = || Error::Conflict { code: "secrets-key-missing", detail: detail.into() };
        self.0.deps.vault.as_deref().ok_or_else(missing)
    }

    /// Lets the keys go that nothing is sealed with, but for the newest.
    async fn drop_unused_keys(&self, right: Right<'_>, state: &State) -> Result<(), Error> {
        let secrets = &state.secrets;
        let used = |id| secrets.items.values().any(|secret| secret.sealed.key == id);
        let older = secrets.keys.iter().rev().skip(1);
        for key in older.filter(|key| !used(key.id)) {
            match self.plain(right, Op::DropSecretKey { id: key.id }).await {
                // It is in use again, or gone.
                Err(error) if stale(&error) => {}
                done => done.map(drop)?,
            }
        }
        Ok(())
    }

    async fn new_data_key(
        &self,
        right: Right<'_>,
        vault: &Vault,
        state: &State,
    ) -> Result<DataKey, Error> {
        let id = super::access::random_id()?;
        let plain = SecretKey::generate().map_err(unsealed)?;
        let key = vault.wrap(&plain, id, self.now()).map_err(unsealed)?;
        let after = state.secrets.keys.last().map(|key| key.id);
        match self.plain(right, Op::PutSecretKey { key: key.clone(), after }).await {
            Ok(_) => Ok(key),
            Err(error) if stale(&error) => {
                let newest = self.consensus().state().secrets.keys.last().cloned();
                // Another one made one meanwhile; that there was none, or it is the old one still,
                // is no new key.
                newest.filter(|newest| Some(newest.id) != after).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }
}

/// The version that a write insists on; 0: that there is none.
fn expected(
    state: &State,
    name: &Name,
    mode: PutMode,
    given: Option<u64>,
) -> Result<Option<u64>, Error> {
    let present = state.secrets.items.get(name).map(|secret| secret.version);
    match (given, mode, present) {
        (Some(given), _, _) => Ok(Some(given)),
        (None, PutMode::Upsert, _) => Ok(None),
        (None, PutMode::Create, None) => Ok(Some(0)),
        (None, PutMode::Create, Some(_)) => {
            Err(Error::Exists { what: "secret".into(), name: name.to_string() })
        }
        (None, PutMode::Update, Some(present)) => Ok(Some(present)),
        (None, PutMode::Update, None) => Err(no_secret(name)),
    }
}

/// The value of a secret.
///
/// # Errors
/// Its key is not there, or not this node's.
pub(super) fn open(vault: &Vault, state: &State, secret: &Secret) -> Result<String, vault::Error> {
    let key = state.secrets.key(secret.sealed.key);
    let key = key.ok_or_else(|| vault::Error::Forged(format!("secret {}", secret.name)))?;
    vault.open(key, &secret.name, &secret.sealed)
}

/// A tag that a secret is for opens it: who has a role for some jobs only gives such a tag when it
/// is one of those that make up that role.
fn tag_faults(c: &Caller, state: &State, before: Option<&JobSpec>, spec: &JobSpec) -> Vec<Invalid> {
    if c.scope.is_all() {
        return Vec::new();
    }
    let had = |tag: &String| before.is_some_and(|before| before.tags.contains(tag));
    let opens = |tag: &String| state.secrets.items.values().any(|it| it.jobs.tags.contains(tag));
    let new = spec.tags.iter().enumerate();
    let new = new.filter(|(_, tag)| !had(tag) && !c.scope.tags.contains(tag) && opens(tag));
    let told = |(at, tag)| {
        let detail = format!("{tag} opens secrets; it takes a role for all jobs, or for that tag");
        Invalid::new(format!("tags/{at}"), detail)
    };
    new.map(told).collect()
}

/// Whether `spec` may name the secrets that it does and `before` did not.
pub(super) fn may_use(
    c: &Caller,
    state: &State,
    before: Option<&JobSpec>,
    spec: &JobSpec,
) -> Result<(), Error> {
    let mut faults = tag_faults(c, state, before, spec);
    for (pointer, place) in spec.secrets() {
        can_have(state)?;
        let before = before.filter(|before| before.name == spec.name && before.tags == spec.tags);
        let known = before.is_some_and(|before| {
            before.secrets().iter().any(|(_, known)| known.secret == place.secret)
        });
        if !known {
            faults.extend(not_for(state, spec, pointer, &place));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// Whether a run of `spec` may be given the secrets that its parameters name: those that are for
/// the job, whoever starts it.
pub(super) fn may_pass(
    state: &State,
    spec: &JobSpec,
    parameters: &Parameters,
) -> Result<(), Error> {
    let named = spec.secrets_in(parameters).into_iter();
    let faults: Vec<Invalid> =
        named.filter_map(|(pointer, place)| not_for(state, spec, pointer, &place)).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// The fault of naming a secret that is for other jobs. One that is not there yet is none.
fn not_for(state: &State, spec: &JobSpec, pointer: String, place: &SecretRef) -> Option<Invalid> {
    let secret = state.secrets.items.get(&place.secret)?;
    if secret.jobs.covers(spec.name.as_str(), &spec.tags) {
        return None;
    }
    let name = &place.secret;
    let detail = format!("the secret {name} is not for this job; an admin can widen its scope");
    Some(Invalid::new(pointer, detail))
}

/// Warnings for secrets that `spec` names and that do not exist.
pub(super) fn missing_warnings(state: &State, spec: &JobSpec) -> Vec<String> {
    let named = spec.secrets();
    let missing =
        named.iter().filter(|(_, place)| !state.secrets.items.contains_key(&place.secret));
    let told = |(pointer, place): &(String, SecretRef)| {
        let name = &place.secret;
        format!("/{pointer}: there is no secret {name} yet; runs fail until there is one")
    };
    missing.map(told).collect()
}

fn can_have(state: &State) -> Result<(), Error> {
    if state.format() >= FORMAT {
        return Ok(());
    }
    let detail = "some node of the cluster is of a version without secrets: upgrade all nodes \
                  first; a second after the last one they can be used";
    Err(Error::Conflict { code: "upgrade-needed", detail: detail.into() })
}

fn check(value: &str) -> Result<(), Error> {
    let length = value.len();
    let detail = if length < SECRET_BYTES_MIN {
        format!(
            "has {length} bytes; a secret has at least {SECRET_BYTES_MIN}, or masking it would \
                 mask everything"
        )
    } else if length > SECRET_BYTES_MAX {
        format!("has {length} bytes; a secret has at most {SECRET_BYTES_MAX}")
    } else if value.contains('\0') {
        "holds a NUL character, which no environment can".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::Invalid(vec![Invalid::new("value", detail)]))
}

fn view(secret: &Secret) -> SecretView {
    SecretView {
        name: secret.name.clone(),
        version: secret.version,
        scope: secret.jobs.clone(),
        created_at: secret.created_at,
        updated_at: secret.updated_at,
        updated_by: secret.updated_by.clone(),
    }
}

fn no_secret(name: &Name) -> Error {
    Error::NotFound { what: "secret".into(), name: name.to_string() }
}

/// What `Rejection::Stale` becomes on its way up.
fn stale(error: &Error) -> bool {
    matches!(error, Error::Unavailable { maybe_applied: false, .. })
}

fn unsealed(error: vault::Error) -> Error {
    match error {
        vault::Error::OtherKey(_) => {
            Error::Conflict { code: "secrets-key-missing", detail: error.to_string() }
        }
        other => Error::Internal(other.to_string()),
    }
}
