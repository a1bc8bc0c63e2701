//! What makes an ID token good (OpenID Connect Core, section 3.1.3.7).

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation};
use serde_json::{Map, Value};

use crate::model::Timestamp;

/// Clocks may differ by this much, in seconds.
pub(super) const SKEW: i64 = 60;
/// Signatures of keys that nobody but the provider has.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a token must say.
pub(super) struct Expected<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: &'a str,
    pub now: Timestamp,
}

/// The head of a token, if a provider could have signed it so.
pub(super) fn head(token: &str) -> Result<Header, &'static str> {
    let head = jsonwebtoken::decode_header(token).map_err(|_| "it is no JWT")?;
    if !ALGORITHMS.contains(&head.alg) {
        return Err("its algorithm is not one of public keys");
    }
    Ok(head)
}

/// The key that a head names. Without a name it must be the only one.
pub(super) fn key_for<'a>(head: &Header, keys: &'a [Jwk]) -> Option<&'a Jwk> {
    let signs = |key: &&Jwk| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let mut fitting = keys.iter().filter(signs).filter(|key| match &head.kid {
        Some(kid) => key.common.key_id.as_ref() == Some(kid),
        None => true,
    });
    let first = fitting.next();
    if head.kid.is_none() && fitting.next().is_some() { None } else { first }
}

/// The claims of a token whose signature, issuer, audience, times and nonce are right.
pub(super) fn check(
    token: &str,
    head: &Header,
    key: &Jwk,
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, &'static str> {
    let key = DecodingKey::from_jwk(key).map_err(|_| "its key can't be used")?;
    let mut validation = Validation::new(head.alg);
    // The rest is held against the program's clock, below.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
    let claims = decoded.map_err(|_| "its signature is wrong")?.claims;
    said(&claims, expected)?;
    Ok(claims)
}

fn said(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), &'static str> {
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    // Whole seconds are enough; some providers send fractions.
    let time = |claim: &str| claims.get(claim).and_then(Value::as_f64).map(|at| at as i64);
    if text("iss") != Some(expected.issuer) {
        return Err("it is of another issuer");
    }
    let client = Some(expected.client_id);
    match claims.get("aud") {
        Some(Value::String(one)) if Some(one.as_str()) == client => {}
        Some(Value::Array(all)) if all.iter().any(|one| one.as_str() == client) => {
            if all.len() > 1 && text("azp") != client {
                return Err("it is for several, and was not asked for from here");
            }
        }
        _ => return Err("it is not for this client"),
    }
    if text("azp").is_some_and(|azp| Some(azp) != client) {
        return Err("it was asked for by another client");
    }
    let now = expected.now.secs();
    match time("exp") {
        Some(exp) if exp > now - SKEW => {}
        _ => return Err("it has expired; are the clocks right?"),
    }
    if [time("iat"), time("nbf")].into_iter().flatten().any(|at| at > now + SKEW) {
        return Err("it is of the future; are the clocks right?");
    }
    if text("nonce") != Some(expected.nonce) {
        return Err("it answers another login");
    }
    Ok(())
}
