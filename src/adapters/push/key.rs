//! The key that pushes are signed with (VAPID, RFC 8292): made once for a cluster, sealed as
//! secrets are where nodes have a key for that.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use uuid::Uuid;
use web_push_native::p256::SecretKey;
use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint;
use web_push_native::p256::pkcs8::EncodePrivateKey;

use crate::model::{PushKey, Timestamp};
use crate::vault::Vault;

/// How long a signature is good: half of what RFC 8292 §2 allows.
const GOOD_FOR_SECONDS: i64 = 12 * 3600;
/// Numbers drawn for a key: all but one of 2³² are one.
const DRAWS: usize = 8;

/// The private key, opened.
pub struct Opened(SecretKey);

/// What a signature says.
#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
}

/// Makes a key; sealed, where there is something to seal it with.
///
/// # Errors
/// A sentence, when the system gives no random numbers.
pub fn new_key(vault: Option<&Vault>, now: Timestamp) -> Result<PushKey, String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| format!("no random bytes: {e}"))?;
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let drawn = (0..DRAWS).find_map(|_| {
        let mut secret = [0u8; 32];
        getrandom::fill(&mut secret).ok()?;
        SecretKey::from_slice(&secret).ok()
    });
    let key = drawn.ok_or("the system gives no random numbers")?;
    let secret: [u8; 32] = key.to_bytes().into();
    let public = key.public_key().to_encoded_point(false).as_bytes().to_vec();
    sealed(PushKey { id, public, secret, sealed: None }, vault, now)
}

fn sealed(key: PushKey, vault: Option<&Vault>, now: Timestamp) -> Result<PushKey, String> {
    let Some(vault) = vault else { return Ok(key) };
    let sealed = vault.seal_push(&key.secret, key.id, now).map_err(|e| e.to_string())?;
    Ok(PushKey { secret: [0; 32], sealed: Some(Box::new(sealed)), ..key })
}

/// The same key, sealed with the first key that this node was started with; none: it is, or
/// nothing is to seal it with, or nobody can open it any more.
///
/// # Errors
/// A sentence, when the system gives no random numbers.
pub fn resealed_key(
    key: &PushKey,
    vault: &Vault,
    now: Timestamp,
) -> Result<Option<PushKey>, String> {
    if key.sealed.as_ref().is_some_and(|sealed| vault.is_first(sealed)) {
        return Ok(None);
    }
    let Ok(secret) = secret(key, Some(vault)) else { return Ok(None) };
    let open = PushKey { secret, sealed: None, ..key.clone() };
    sealed(open, Some(vault), now).map(Some)
}

fn secret(key: &PushKey, vault: Option<&Vault>) -> Result<[u8; 32], String> {
    let Some(sealed) = &key.sealed else { return Ok(key.secret) };
    let vault = vault.ok_or(
        "the key of pushes is sealed, and this node was started without CRONAPI_SECRETS_KEY: \
         give it the one of the other nodes",
    )?;
    vault.open_push(sealed).map_err(|e| format!("the key of pushes: {e}"))
}

/// Opens the key.
///
/// # Errors
/// A sentence.
pub fn opened_key(key: &PushKey, vault: Option<&Vault>) -> Result<Opened, String> {
    let key = SecretKey::from_slice(&secret(key, vault)?);
    key.map(Opened).map_err(|_| "the key of pushes is none".to_owned())
}

impl Opened {
    /// The public key, as browsers know it.
    pub(super) fn public(&self) -> Vec<u8> {
        self.0.public_key().to_encoded_point(false).as_bytes().to_vec()
    }

    /// A signature for one push service.
    ///
    /// # Errors
    /// None in practice: the key is one.
    pub(super) fn sign(
        &self,
        origin: &str,
        contact: Option<&str>,
        now: Timestamp,
    ) -> Result<String, String> {
        let claims = Claims { aud: origin, exp: now.secs() + GOOD_FOR_SECONDS, sub: contact };
        let der = self.0.to_pkcs8_der().map_err(|e| format!("the key of pushes: {e}"))?;
        let key = EncodingKey::from_ec_der(der.as_bytes());
        let signed = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key);
        signed.map_err(|e| format!("the key of pushes: {e}"))
    }
}

/// An id for those who need none that is kept.
pub(super) fn short_id(of: Uuid) -> String {
    of.simple().to_string().chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_with_what_sealed_it_and_is_sealed_anew() {
        let text = |seed: u8| {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode([seed; 32])
        };
        let one = Vault::parse(&text(1)).unwrap();
        let both = Vault::parse(&format!("{},{}", text(2), text(1))).unwrap();
        let open = new_key(None, Timestamp::ZERO).unwrap();
        assert_eq!(opened_key(&open, None).unwrap().public(), open.public);
        let key = new_key(Some(&one), Timestamp::ZERO).unwrap();
        assert_eq!((key.secret, key.public.len()), ([0; 32], 65));
        assert_eq!(opened_key(&key, Some(&one)).unwrap().public(), key.public);
        let told = opened_key(&key, None).err().unwrap();
        assert!(told.contains("CRONAPI_SECRETS_KEY"), "{told}");
        assert_eq!(resealed_key(&key, &one, Timestamp::ZERO).unwrap(), None);
        let again = resealed_key(&key, &both, Timestamp::ZERO).unwrap().unwrap();
        assert_eq!((again.id, &again.public), (key.id, &key.public));
        let two = Vault::parse(&text(2)).unwrap();
        assert_eq!(opened_key(&again, Some(&two)).unwrap().public(), key.public);
        assert_eq!(resealed_key(&key, &two, Timestamp::ZERO).unwrap(), None, "it can't open it");
        // One from before there was a key to seal it with.
        let sealed = resealed_key(&open, &two, Timestamp::ZERO).unwrap().unwrap();
        assert_eq!(opened_key(&sealed, Some(&two)).unwrap().public(), open.public);
    }
}
