//! Passwords: argon2id with 19 MiB, two passes and one lane, the least that OWASP advises.
//! Hashing runs on threads of its own, few at a time, each with memory of its own that it uses
//! again: a flood of logins waits in line instead of eating the machine.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, oneshot};

use crate::model::limits::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN};
use crate::model::{Invalid, Span};
use crate::service::Error;

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes.
const LANES: u32 = 1;
/// Hashes computed at a time in this process.
const AT_A_TIME: usize = 2;
/// Bytes of a salt, and of what comes out.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Memory of a hash that was made elsewhere, in blocks of 1 KiB: past it nothing fits.
const BLOCKS_MAX: usize = 64 * 1024;
/// How long one waits for its turn before the caller is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters that a generated password is made of: none looks like another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("hashing a password: {error}"))
}

/// Hashes a password into a PHC string. Takes some 30 ms of processor and 19 MiB.
///
/// # Errors
/// The system gives no random salt.
pub fn hash_password(password: &str) -> Result<String, Error> {
    hash_in(&mut Memory::default(), password)
}

/// Blocks that one hash after the other is computed in.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    fn compute(
        &mut self,
        argon2: &Argon2<'_>,
        password: &str,
        salt: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        let blocks = argon2.params().block_count();
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::default());
        }
        let memory = &mut self.0[..blocks];
        argon2
            .hash_password_into_with_memory(password.as_bytes(), salt, out, memory)
            .map_err(internal)
    }
}

fn hash_in(memory: &mut Memory, password: &str) -> Result<String, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(internal)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (mut salt, mut out) = ([0; SALT_BYTES], [0; HASH_BYTES]);
    getrandom::fill(&mut salt).map_err(internal)?;
    memory.compute(&argon2, password, &salt, &mut out)?;
    let (salt, out) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(out));
    Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${out}"))
}

/// Whether `password` is the one of `hash`, in constant time. What is no hash fits nothing.
fn fits(memory: &mut Memory, password: &str, hash: &str) -> Option<bool> {
    let hash = PasswordHash::new(hash).ok()?;
    let params = Params::try_from(&hash).ok()?;
    if params.block_count() > BLOCKS_MAX {
        return None;
    }
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from).ok()?;
    let (salt, expected) = (hash.salt?, hash.hash?);
    let mut out = vec![0; expected.as_ref().len()];
    let argon2 = Argon2::new(algorithm, version, params);
    memory.compute(&argon2, password, salt.as_ref(), &mut out).ok()?;
    Some(out.as_slice().ct_eq(expected.as_ref()).into())
}

type Work = Box<dyn FnOnce(&mut Memory) + Send>;

/// The threads that hash, for all of the process: memory goes back to nobody, and is used again.
fn workers() -> Result<&'static mpsc::Sender<Work>, Error> {
    static WORKERS: OnceLock<Result<mpsc::Sender<Work>, String>> = OnceLock::new();
    let workers = WORKERS.get_or_init(|| {
        let (send, receive) = mpsc::channel::<Work>();
        let receive = Arc::new(Mutex::new(receive));
        for _ in 0..AT_A_TIME {
            let receive = Arc::clone(&receive);
            let thread = std::thread::Builder::new().name("passwords".into());
            let hashing = move || {
                let mut memory = Memory::default();
                loop {
                    let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(work) = next else { return };
                    work(&mut memory);
                }
            };
            thread.spawn(hashing).map_err(|error| error.to_string())?;
        }
        Ok(send)
    });
    workers.as_ref().map_err(internal)
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
        self.in_turn(move |memory| hash_in(memory, &password)).await?
    }

    /// Whether `password` is the one of `hash`. Without a hash the answer is no, after the
    /// same work: the time it takes does not tell which users exist.
    pub(super) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool, Error> {
        let password = password.to_owned();
        let stand_in = Arc::clone(&self.stand_in);
        self.in_turn(move |memory| {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| {
                let make = || hash_in(memory, "nobody has this one").unwrap_or_default();
                stand_in.get_or_init(make).clone()
            });
            fits(memory, &password, &hash).unwrap_or(false) && known
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, turn).await else {
            return Err(Error::Throttled { retry_after: Span::from_secs(5) });
        };
        let (answer, done) = oneshot::channel();
        let work: Work = Box::new(move |memory| {
            let _turn = turn;
            // Whoever asked may be gone.
            let _ = answer.send(work(memory));
        });
        workers()?.send(work).map_err(|_| internal("its threads have ended"))?;
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
    fn hashes_of_other_programs_are_held_against_their_own_terms() {
        let mut memory = Memory::default();
        // Of the reference implementation: m=256, t=2, p=1, argon2id, "password", "somesalt".
        let other = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ\
                     $nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        assert_eq!(fits(&mut memory, "password", other), Some(true));
        assert_eq!(fits(&mut memory, "passwort", other), Some(false));
        // The memory is larger by now, and used again.
        let own = hash_in(&mut memory, "correct horse").unwrap();
        assert_eq!(fits(&mut memory, "correct horse", &own), Some(true));
        assert_eq!(fits(&mut memory, "password", other), Some(true));
        let greedy = own.replace("m=19456", "m=4000000");
        assert_eq!(fits(&mut memory, "correct horse", &greedy), None);
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
