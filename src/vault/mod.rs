//! The cryptography of secrets.
//!
//! Owns: the keys that a node is started with, and what is sealed and opened with them. Does not
//! own: where sealed things are kept (`machine::state`), who may use them (`service`).
//!
//! ```text
//! CRONAPI_SECRETS_KEY ─> Vault ──wraps──> data key of the cluster ──seals──> value of a secret
//!     (every node)                        (replicated, sealed)              (replicated, sealed)
//! ```
//!
//! XChaCha20-Poly1305 with random nonces. What is sealed is bound to what it is: a value to its
//! name, a data key to its id, so that none can be put in the place of another.
//!
//! To add another kind of sealed thing: a method beside `seal` with a binding of its own, so that
//! it can't be opened as what it is not, and a test that tries.
//!
//! Invariants: no key and no value is in a `Debug` text or an error.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::{DataKey, Name, Sealed, Timestamp};

const KEY_BYTES: usize = 32;

/// Why something can't be sealed or opened. No text has any of the secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A key is not one.
    #[error("must be 32 random bytes in base64, such as `openssl rand -base64 32` gives")]
    NotAKey,
    /// This node was started with other keys.
    #[error(
        "the data key is sealed with key {0}, which this node does not have: start it with the \
         CRONAPI_SECRETS_KEY of the other nodes"
    )]
    OtherKey(String),
    /// It was tampered with, or damaged.
    #[error("{0} can't be opened: it is not what was sealed")]
    Forged(String),
    /// The system has no random bytes.
    #[error("no random bytes: {0}")]
    Random(String),
}

/// One key.
#[derive(Clone)]
pub struct SecretKey([u8; KEY_BYTES]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate() -> Result<Self, Error> {
        random().map(Self)
    }

    /// Reads base64.
    fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text));
        bytes.ok().and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(Error::NotAKey)
    }

    /// Names it, without a word about it.
    fn name(&self) -> String {
        let digest = Sha256::new().chain_update(b"cronapi secrets key").chain_update(self.0);
        digest.finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn seal(&self, key: Uuid, of: &str, plain: &[u8]) -> Result<Sealed, Error> {
        let nonce: [u8; 24] = random()?;
        let payload = Payload { msg: plain, aad: of.as_bytes() };
        let sealed = self.aead().encrypt(&XNonce::from(nonce), payload);
        let bytes = sealed.map_err(|_| Error::Forged(of.to_owned()))?;
        Ok(Sealed { key, nonce, bytes })
    }

    fn open(&self, of: &str, sealed: &Sealed) -> Result<Vec<u8>, Error> {
        let payload = Payload { msg: &sealed.bytes, aad: of.as_bytes() };
        let opened = self.aead().decrypt(&XNonce::from(sealed.nonce), payload);
        opened.map_err(|_| Error::Forged(of.to_owned()))
    }

    fn aead(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.0))
    }
}

/// The keys that a node was started with. The first wraps what is new; all open.
#[derive(Clone, Debug)]
pub struct Vault(Vec<SecretKey>);

impl Vault {
    /// Reads one key, or several with commas between: while one takes the place of another.
    ///
    /// # Errors
    /// [`Error::NotAKey`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let keys: Result<Vec<SecretKey>, Error> = text.split(',').map(SecretKey::parse).collect();
        keys.map(Self)
    }

    /// Seals a data key.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn wrap(&self, key: &SecretKey, id: Uuid, now: Timestamp) -> Result<DataKey, Error> {
        self.seal_key(&data_key(id), &key.0, id, now)
    }

    /// Opens a data key.
    ///
    /// # Errors
    /// [`Error::OtherKey`], [`Error::Forged`].
    pub fn unwrap_key(&self, key: &DataKey) -> Result<SecretKey, Error> {
        self.open_key(data_key(key.id), key).map(SecretKey)
    }

    /// Seals the secret of a signing key.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn seal_signing(&self, secret: &[u8], id: Uuid, now: Timestamp) -> Result<DataKey, Error> {
        self.seal_key(&signing_key(id), secret, id, now)
    }

    /// Opens the secret of a signing key.
    ///
    /// # Errors
    /// [`Error::OtherKey`], [`Error::Forged`].
    pub fn open_signing(&self, key: &DataKey) -> Result<[u8; KEY_BYTES], Error> {
        self.open_key(signing_key(key.id), key)
    }

    /// Seals the private key that pushes are signed with.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn seal_push(&self, secret: &[u8], id: Uuid, now: Timestamp) -> Result<DataKey, Error> {
        self.seal_key(&push_key(id), secret, id, now)
    }

    /// Opens the private key that pushes are signed with.
    ///
    /// # Errors
    /// [`Error::OtherKey`], [`Error::Forged`].
    pub fn open_push(&self, key: &DataKey) -> Result<[u8; KEY_BYTES], Error> {
        self.open_key(push_key(key.id), key)
    }

    fn seal_key(&self, of: &str, bytes: &[u8], id: Uuid, now: Timestamp) -> Result<DataKey, Error> {
        let first = self.0.first().ok_or(Error::NotAKey)?;
        let sealed = first.seal(id, of, bytes)?;
        Ok(DataKey { id, under: first.name(), sealed, created_at: now })
    }

    fn open_key(&self, of: String, key: &DataKey) -> Result<[u8; KEY_BYTES], Error> {
        let bytes = self.own(key)?.open(&of, &key.sealed)?;
        bytes.try_into().map_err(|_| Error::Forged(of))
    }

    /// Whether something is sealed with the key that wraps what is new.
    pub fn is_first(&self, key: &DataKey) -> bool {
        self.0.first().is_some_and(|first| first.name() == key.under)
    }

    fn own(&self, key: &DataKey) -> Result<&SecretKey, Error> {
        let own = self.0.iter().find(|own| own.name() == key.under);
        own.ok_or_else(|| Error::OtherKey(key.under.clone()))
    }

    /// Seals the value of a secret with a data key.
    ///
    /// # Errors
    /// Those of [`Vault::unwrap_key`], [`Error::Random`].
    pub fn seal(&self, key: &DataKey, name: &Name, value: &str) -> Result<Sealed, Error> {
        self.unwrap_key(key)?.seal(key.id, &secret(name), value.as_bytes())
    }

    /// Opens the value of a secret.
    ///
    /// # Errors
    /// Those of [`Vault::unwrap_key`].
    pub fn open(&self, key: &DataKey, name: &Name, sealed: &Sealed) -> Result<String, Error> {
        let of = secret(name);
        let bytes = self.unwrap_key(key)?.open(&of, sealed)?;
        String::from_utf8(bytes).map_err(|_| Error::Forged(of))
    }
}

fn data_key(id: Uuid) -> String {
    format!("data key {id}")
}

fn signing_key(id: Uuid) -> String {
    format!("signing key {id}")
}

fn push_key(id: Uuid) -> String {
    format!("push key {id}")
}

fn secret(name: &Name) -> String {
    format!("secret {name}")
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::Random(e.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn text(seed: u8) -> String {
        STANDARD.encode([seed; 32])
    }

    fn data(vault: &Vault) -> DataKey {
        let key = SecretKey::generate().unwrap();
        vault.wrap(&key, Uuid::from_u128(9), Timestamp::ZERO).unwrap()
    }

    #[test]
    fn a_value_opens_under_its_name_and_no_other() {
        let vault = Vault::parse(&text(1)).unwrap();
        let key = data(&vault);
        let sealed = vault.seal(&key, &name("a"), "a value").unwrap();
        assert_eq!(vault.open(&key, &name("a"), &sealed).unwrap(), "a value");
        assert!(matches!(vault.open(&key, &name("b"), &sealed), Err(Error::Forged(_))));
        let mut changed = sealed.clone();
        changed.bytes[0] ^= 1;
        assert!(vault.open(&key, &name("a"), &changed).is_err());
        let again = vault.seal(&key, &name("a"), "a value").unwrap();
        assert_ne!(again, sealed, "a nonce is used once");
        assert!(!format!("{sealed:?} {vault:?} {key:?}").contains("value"));
    }

    #[test]
    fn another_key_is_told_by_name_and_two_can_be_had_at_once() {
        let (one, two) = (Vault::parse(&text(1)).unwrap(), Vault::parse(&text(2)).unwrap());
        let key = data(&one);
        let Err(Error::OtherKey(under)) = two.unwrap_key(&key) else { panic!("it opens") };
        assert_eq!(under, key.under);
        let both = Vault::parse(&format!("{},{}", text(2), text(1))).unwrap();
        let plain = both.unwrap_key(&key).unwrap();
        let rewrapped = both.wrap(&plain, key.id, Timestamp::ZERO).unwrap();
        assert_eq!(two.unwrap_key(&rewrapped).unwrap().0, plain.0);
    }

    #[test]
    fn the_secret_of_a_signing_key_opens_as_that_and_as_nothing_else() {
        let (one, two) = (Vault::parse(&text(1)).unwrap(), Vault::parse(&text(2)).unwrap());
        let sealed = one.seal_signing(&[7; 32], Uuid::from_u128(9), Timestamp::ZERO).unwrap();
        assert_eq!(one.open_signing(&sealed).unwrap(), [7; 32]);
        assert!(matches!(two.open_signing(&sealed), Err(Error::OtherKey(_))));
        assert!(matches!(one.unwrap_key(&sealed), Err(Error::Forged(_))), "it is no data key");
        assert!(matches!(one.open_signing(&data(&one)), Err(Error::Forged(_))));
        assert!(matches!(one.open_push(&sealed), Err(Error::Forged(_))), "it signs no pushes");
        let other = DataKey { id: Uuid::from_u128(8), ..sealed };
        assert!(matches!(one.open_signing(&other), Err(Error::Forged(_))), "of another key");
        let pushes = one.seal_push(&[7; 32], Uuid::from_u128(9), Timestamp::ZERO).unwrap();
        assert_eq!(one.open_push(&pushes).unwrap(), [7; 32]);
        assert!(matches!(one.open_signing(&pushes), Err(Error::Forged(_))));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in ["", "short", "not base64 at all!!", &STANDARD.encode([1; 31])] {
            let refused = Vault::parse(text).unwrap_err();
            assert_eq!(refused, Error::NotAKey);
            assert!(text.is_empty() || !refused.to_string().contains(text));
        }
    }
}
