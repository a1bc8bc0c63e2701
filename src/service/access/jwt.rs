//! Access and refresh tokens: JWT, HS256 and nothing else, signed with the newest key of
//! the replicated state and checked against any key there.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::machine::command::SigningKey;
use crate::model::{Span, Timestamp, User, limits};
use crate::service::Error;

/// How long an access token is good.
pub const ACCESS_TTL: Span = Span::from_secs(3_600);
/// How long a refresh token is good.
pub const REFRESH_TTL: Span = limits::SESSION_TTL;
/// No token of ours is longer.
const LEN_MAX: usize = 2_048;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Requests.
    Access,
    /// New access tokens, and nothing else.
    Refresh,
}

/// What a token says. Rights are not in it: they are looked up at each request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// User name.
    pub sub: String,
    /// The user's identity: a user created again under the name is another one.
    pub uid: Uuid,
    /// The user's epoch: raised when tokens are revoked.
    pub epoch: u64,
    /// Issued, seconds since 1970.
    pub iat: i64,
    /// The end, seconds since 1970.
    pub exp: i64,
    /// Identity of the token.
    pub jti: Uuid,
    /// What it is for.
    pub kind: Kind,
    /// The end of the whole session; none in tokens of earlier builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// The session; none in tokens of earlier builds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// Of a refresh token: how many were used up in the session before it.
    #[serde(default, skip_serializing_if = "is_first")]
    pub generation: u64,
}

fn is_first(generation: &u64) -> bool {
    *generation == 0
}

impl Claims {
    /// The login that the token is of. A token of an earlier build is one by itself.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket {
            id: self.sid.unwrap_or(self.jti),
            generation: self.generation,
            until: Timestamp::from_secs(self.until.unwrap_or(self.exp)),
        }
    }
}

/// A login: it ends at one time, however often it is refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Identity of the session.
    pub id: Uuid,
    /// Refresh tokens that were used up in it.
    pub generation: u64,
    /// The end.
    pub until: Timestamp,
}

impl Ticket {
    /// A new login, until `until` at the latest.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn new(now: Timestamp, until: Option<Timestamp>) -> Result<Self, Error> {
        let most = now.plus(REFRESH_TTL);
        let until = until.map_or(most, |until| until.min(most));
        Ok(Ticket { id: random_id()?, generation: 0, until })
    }
}

/// A new signing key.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_signing_key() -> Result<SigningKey, Error> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).map_err(internal)?;
    Ok(SigningKey::new(random_id()?, secret))
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("tokens: {error}"))
}

/// A random identity (UUID version 4), its failure to be told.
pub fn random_id() -> Result<Uuid, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(internal)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// Signs `claims` with the newest key.
pub(super) fn sign(keys: &[SigningKey], claims: &impl Serialize) -> Result<String, Error> {
    let key = keys.last().ok_or_else(|| internal("the cluster has no signing key yet"))?;
    let header = Header { kid: Some(key.id.to_string()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&key.secret)).map_err(internal)
}

/// The claims of a token that one of `keys` signed, with the one algorithm that we use. Whether
/// they still hold is for the caller to say.
pub(super) fn signed<T: DeserializeOwned>(
    keys: &[SigningKey],
    token: &str,
    now: Timestamp,
) -> Result<T, Error> {
    let refuse = || Error::Unauthenticated("the token is not one of this cluster".into());
    if token.len() > LEN_MAX {
        return Err(refuse());
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| refuse())?;
    let kid = header.kid.as_deref().and_then(|kid| Uuid::parse_str(kid).ok());
    // All that a key signed while it was in force has expired then: what it still signs, a
    // thief wrote.
    let over = |at: Timestamp| at.plus(limits::SESSION_TTL) <= now;
    let good = |key: &&SigningKey| Some(key.id) == kid && !key.retired_at.is_some_and(over);
    let key = keys.iter().find(good).ok_or_else(refuse)?;
    let mut validation = Validation::new(Algorithm::HS256);
    // The end is held against the program's clock.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(&key.secret);
    jsonwebtoken::decode::<T>(token, &key, &validation).map(|it| it.claims).map_err(|_| refuse())
}

/// Issues a token for `user`, which ends with the session at the latest.
pub(super) fn issue(
    keys: &[SigningKey],
    user: &User,
    kind: Kind,
    now: Timestamp,
    ticket: Ticket,
) -> Result<String, Error> {
    let ttl = match kind {
        Kind::Access => ACCESS_TTL,
        Kind::Refresh => REFRESH_TTL,
    };
    let claims = Claims {
        sub: user.name.to_string(),
        uid: user.uid,
        epoch: user.epoch,
        iat: now.secs(),
        exp: now.plus(ttl).min(ticket.until).secs(),
        jti: random_id()?,
        kind,
        until: Some(ticket.until.secs()),
        sid: Some(ticket.id),
        generation: match kind {
            Kind::Access => 0,
            Kind::Refresh => ticket.generation,
        },
    };
    sign(keys, &claims)
}

/// Checks signature, algorithm, key, kind and end. The error says what is wrong in general,
/// not in detail.
pub(super) fn check(
    keys: &[SigningKey],
    token: &str,
    kind: Kind,
    now: Timestamp,
) -> Result<Claims, Error> {
    let claims: Claims = signed(keys, token, now)?;
    if claims.kind != kind {
        let detail = match kind {
            Kind::Access => "this is a refresh token; send the access token",
            Kind::Refresh => "this is an access token; send the refresh token",
        };
        return Err(Error::Unauthenticated(detail.into()));
    }
    if claims.exp <= now.secs() {
        return Err(Error::Unauthenticated("the token has expired; log in again".into()));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, Role, Scope};

    fn user() -> User {
        User {
            uid: Uuid::from_u128(7),
            name: Name::parse("ann").unwrap(),
            role: Role::Viewer,
            scope: Scope::default(),
            password: String::new(),
            external: None,
            epoch: 3,
            created_at: Timestamp::ZERO,
            updated_at: Timestamp::ZERO,
        }
    }

    fn login(now: Timestamp) -> Ticket {
        Ticket::new(now, None).unwrap()
    }

    #[test]
    fn a_token_is_good_until_its_end_and_only_for_its_kind_and_key() {
        let now = Timestamp::from_secs(1_800_000_000);
        let keys = [new_signing_key().unwrap(), new_signing_key().unwrap()];
        let token = issue(&keys[..1], &user(), Kind::Access, now, login(now)).unwrap();
        let claims = check(&keys, &token, Kind::Access, now).unwrap();
        assert_eq!((claims.sub.as_str(), claims.epoch), ("ann", 3));
        assert!(check(&keys, &token, Kind::Refresh, now).is_err());
        assert!(check(&keys, &token, Kind::Access, now.plus(ACCESS_TTL)).is_err());
        assert!(check(&keys[1..], &token, Kind::Access, now).is_err(), "its key is gone");
    }

    #[test]
    fn what_a_key_signs_long_after_it_was_retired_is_refused() {
        let now = Timestamp::from_secs(1_800_000_000);
        let mut keys = [new_signing_key().unwrap()];
        let late = now.plus(limits::SESSION_TTL);
        let forged = issue(&keys, &user(), Kind::Access, late, login(late)).unwrap();
        assert!(check(&keys, &forged, Kind::Access, late).is_ok());
        keys[0].retired_at = Some(now);
        assert!(check(&keys, &forged, Kind::Access, late).is_err());
        assert!(check(&keys, &forged, Kind::Access, late.minus(Span::from_secs(1))).is_ok());
    }

    #[test]
    fn other_algorithms_are_refused() {
        let now = Timestamp::from_secs(1_800_000_000);
        let key = new_signing_key().unwrap();
        let good =
            issue(std::slice::from_ref(&key), &user(), Kind::Access, now, login(now)).unwrap();
        let claims = check(std::slice::from_ref(&key), &good, Kind::Access, now).unwrap();
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            let header = Header { kid: Some(key.id.to_string()), ..Header::new(algorithm) };
            let secret = EncodingKey::from_secret(&key.secret);
            let token = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
            assert!(check(std::slice::from_ref(&key), &token, Kind::Access, now).is_err());
        }
    }
}
