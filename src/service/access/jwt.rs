//! Access and refresh tokens: JWT, HS256 and nothing else, signed with the newest key of
//! the replicated state and checked against any key there.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::machine::command::SigningKey;
use crate::model::{Span, Timestamp, User};
use crate::service::Error;

/// How long an access token is good.
pub const ACCESS_TTL: Span = Span::from_secs(3_600);
/// How long a refresh token is good.
pub const REFRESH_TTL: Span = Span::from_secs(7 * 86_400);
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
}

/// A new signing key.
///
/// # Errors
/// The system gives no random numbers.
pub fn new_signing_key() -> Result<SigningKey, Error> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).map_err(internal)?;
    Ok(SigningKey { id: random_id()?, secret })
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

/// Issues a token for `user`.
pub(super) fn issue(
    keys: &[SigningKey],
    user: &User,
    kind: Kind,
    now: Timestamp,
) -> Result<String, Error> {
    let key = keys.last().ok_or_else(|| internal("the cluster has no signing key yet"))?;
    let ttl = match kind {
        Kind::Access => ACCESS_TTL,
        Kind::Refresh => REFRESH_TTL,
    };
    let claims = Claims {
        sub: user.name.to_string(),
        uid: user.uid,
        epoch: user.epoch,
        iat: now.secs(),
        exp: now.plus(ttl).secs(),
        jti: random_id()?,
        kind,
    };
    let header = Header { kid: Some(key.id.to_string()), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&key.secret)).map_err(internal)
}

/// Checks signature, algorithm, key, kind and end. The error says what is wrong in general,
/// not in detail.
pub(super) fn check(
    keys: &[SigningKey],
    token: &str,
    kind: Kind,
    now: Timestamp,
) -> Result<Claims, Error> {
    let refuse = || Error::Unauthenticated("the token is not one of this cluster".into());
    if token.len() > LEN_MAX {
        return Err(refuse());
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| refuse())?;
    let kid = header.kid.as_deref().and_then(|kid| Uuid::parse_str(kid).ok());
    let key = keys.iter().find(|key| Some(key.id) == kid).ok_or_else(refuse)?;
    let mut validation = Validation::new(Algorithm::HS256);
    // The end is held against the program's clock, below.
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(&key.secret);
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|_| refuse())?;
    let claims = claims.claims;
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
            epoch: 3,
            created_at: Timestamp::ZERO,
            updated_at: Timestamp::ZERO,
        }
    }

    #[test]
    fn a_token_is_good_until_its_end_and_only_for_its_kind_and_key() {
        let now = Timestamp::from_secs(1_800_000_000);
        let keys = [new_signing_key().unwrap(), new_signing_key().unwrap()];
        let token = issue(&keys[..1], &user(), Kind::Access, now).unwrap();
        let claims = check(&keys, &token, Kind::Access, now).unwrap();
        assert_eq!((claims.sub.as_str(), claims.epoch), ("ann", 3));
        assert!(check(&keys, &token, Kind::Refresh, now).is_err());
        assert!(check(&keys, &token, Kind::Access, now.plus(ACCESS_TTL)).is_err());
        assert!(check(&keys[1..], &token, Kind::Access, now).is_err(), "its key is gone");
    }

    #[test]
    fn other_algorithms_are_refused() {
        let now = Timestamp::from_secs(1_800_000_000);
        let key = new_signing_key().unwrap();
        let good = issue(std::slice::from_ref(&key), &user(), Kind::Access, now).unwrap();
        let claims = check(std::slice::from_ref(&key), &good, Kind::Access, now).unwrap();
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            let header = Header { kid: Some(key.id.to_string()), ..Header::new(algorithm) };
            let secret = EncodingKey::from_secret(&key.secret);
            let token = jsonwebtoken::encode(&header, &claims, &secret).unwrap();
            assert!(check(std::slice::from_ref(&key), &token, Kind::Access, now).is_err());
        }
    }
}
