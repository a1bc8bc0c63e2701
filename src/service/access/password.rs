//! Passwords: argon2id with 19 MiB, two passes and one lane, the least that OWASP advises.
//! Hashing runs on threads of its own, few at a time: a flood of logins waits in line
//! instead of eating the machine.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::model::limits::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN};
use crate::model::{Invalid, Span};
use crate::service::Error;

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// Hashes computed at a time.
const AT_A_TIME: usize = 2;
/// How long one waits for its turn before the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters that a generated password is made of: none looks like another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("hashing a password: {error}"))
}

/// Hashes a password into a PHC string. Takes some 30 ms of processor and 19 MiB.
///
/// # Errors
/// The system gives no random salt.
pub fn hash_password(password: &str) -> Result<String, Error> {
    argon2()?.hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(internal)
}

/// A new password for a person: 20 characters, 100 bits.
///
/// # Errors
/// The system gives no random numbers.
pub fn generate_password() -> Result<String, Error> {
    let mut random = [0u8; 20];
    getrandom::fill(&mut random).map_err(internal)?;
    Ok(random.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % 32])).collect())
}

/// Refuses passwords outside the limits; `pointer` is where it stands in the request.
pub(super) fn check_new(pointer: &str, password: &str) -> Result<(), Error> {
    let detail = match password.chars().count() {
        length if length < PASSWORD_LEN_MIN => {
            format!("has {length} characters; a password has at least {PASSWORD_LEN_MIN}")
        }
        length if length > PASSWORD_LEN_MAX => {
            format!("has {length} characters; a password has at most {PASSWORD_LEN_MAX}")
        }
        _ => return Ok(()),
    };
    Err(Error::Invalid(vec![Invalid::new(pointer, detail)]))
}

/// The line in which hashes wait.
pub(super) struct Hashing {
    turns: Arc<Semaphore>,
    stand_in: Arc<OnceLock<String>>,
}

impl Hashing {
    pub(super) fn new() -> Self {
        Hashing { turns: Arc::new(Semaphore::new(AT_A_TIME)), stand_in: Arc::default() }
    }

    /// Hashes `password`.
    pub(super) async fn hash(&self, password: &str) -> Result<String, Error> {
        let password = password.to_owned();
        self.in_turn(move || hash_password(&password)).await?
    }

    /// Whether `password` is the one of `hash`. Without a hash the answer is no, after the
    /// same work: the time it takes does not tell which users exist.
    pub(super) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool, Error> {
        let password = password.to_owned();
        let stand_in = Arc::clone(&self.stand_in);
        self.in_turn(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| {
                let make = || hash_password("nobody has this one").unwrap_or_default();
                stand_in.get_or_init(make).clone()
            });
            let verified = argon2()?.verify_password(password.as_bytes(), hash.as_str());
            Ok(verified.is_ok() && known)
        })
        .await?
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, turn).await else {
            return Err(Error::Throttled { retry_after: Span::from_secs(5) });
        };
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_only_and_nobody_has_none() {
        let hashing = Hashing::new();
        let hash = hashing.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hashing.verify("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!hashing.verify("correct horsf", Some(hash)).await.unwrap());
        assert!(!hashing.verify("nobody has this one", None).await.unwrap());
        assert!(!hashing.verify("x", Some("not a hash".into())).await.unwrap());
    }

    #[test]
    fn a_generated_password_is_long_and_new_each_time() {
        let (one, two) = (generate_password().unwrap(), generate_password().unwrap());
        assert_eq!(one.len(), 20);
        assert_ne!(one, two);
        assert!(check_new("password", &one).is_ok());
    }

    #[test]
    fn the_limits_of_a_password_hold_at_both_ends() {
        for (length, fits) in [(7, false), (8, true), (512, true), (513, false)] {
            assert_eq!(check_new("password", &"x".repeat(length)).is_ok(), fits, "{length}");
            // Characters count, as in the interface's document, not bytes.
            assert_eq!(check_new("password", &"ö".repeat(length)).is_ok(), fits, "{length}");
        }
    }
}
