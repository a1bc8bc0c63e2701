//! Passwords: argon2id with 19 MiB, two passes and one lane, the least that OWASP advises.
//! Hashing runs on threads of its own, few at a time, each with memory of its own that it uses
//! again and gives back when nobody has logged in for a while: a flood of logins waits in a line
//! that has an end, instead of eating the machine.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use tokio::sync::{Semaphore, oneshot};

use crate::model::limits::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, PASSWORDS_WAITING_MAX};
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
/// Those that compute or wait at a time; more are told at once to come back.
const IN_LINE: usize = AT_A_TIME + PASSWORDS_WAITING_MAX;
/// A thread that has had no work for so long gives its memory back.
const IDLE: Duration = Duration::from_secs(1);
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

/// What the threads that hash do next. As short as the turns that are given: [`AT_A_TIME`] for
/// each [`Hashing`].
#[derive(Default)]
struct Line {
    works: Mutex<VecDeque<Work>>,
    more: Condvar,
}

impl Line {
    fn push(&self, work: Work) {
        self.works.lock().unwrap_or_else(PoisonError::into_inner).push_back(work);
        self.more.notify_one();
    }

    /// Waits for work, and gives `memory` back when none comes for so long.
    fn next(&self, memory: &mut Memory, patience: Duration) -> Work {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = works.pop_front() {
                return work;
            }
            if memory.0.is_empty() {
                works = self.more.wait(works).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.more.wait_timeout(works, patience);
            let (woken, idle) = waited.unwrap_or_else(PoisonError::into_inner);
            works = woken;
            if idle.timed_out() && works.is_empty() {
                memory.0 = Vec::new();
            }
        }
    }
}

/// The line before the threads that hash, which are there for all of the process.
fn line() -> Result<&'static Line, Error> {
    static LINE: OnceLock<Result<Arc<Line>, String>> = OnceLock::new();
    let line = LINE.get_or_init(|| {
        let line = Arc::new(Line::default());
        for _ in 0..AT_A_TIME {
            let line = Arc::clone(&line);
            let thread = std::thread::Builder::new().name("passwords".into());
            let hashing = move || {
                let mut memory = Memory::default();
                loop {
                    let work = line.next(&mut memory, IDLE);
                    work(&mut memory);
                }
            };
            thread.spawn(hashing).map_err(|error| error.to_string())?;
        }
        Ok(line)
    });
    line.as_deref().map_err(internal)
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
    places: Semaphore,
    turns: Arc<Semaphore>,
    stand_in: Arc<OnceLock<String>>,
}

impl Hashing {
    pub(super) fn new() -> Self {
        let turns = Arc::new(Semaphore::new(AT_A_TIME));
        Hashing { places: Semaphore::new(IN_LINE), turns, stand_in: Arc::default() }
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
        let full = || Error::Throttled { retry_after: Span::from_secs(5) };
        let _place = self.places.try_acquire().map_err(|_| full())?;
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, turn).await else {
            return Err(full());
        };
        let (answer, done) = oneshot::channel();
        let work: Work = Box::new(move |memory| {
            let _turn = turn;
            // Whoever asked may be gone.
            let _ = answer.send(work(memory));
        });
        line()?.push(work);
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

    #[tokio::test]
    async fn a_line_that_is_full_refuses_at_once() {
        let hashing = Arc::new(Hashing::new());
        // Nobody gets a turn, so that all of them wait.
        let turns = Arc::clone(&hashing.turns).acquire_many_owned(AT_A_TIME as u32).await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..=IN_LINE {
            let hashing = Arc::clone(&hashing);
            waiting.spawn(async move { hashing.in_turn(|_| ()).await });
        }
        let refused = waiting.join_next().await.unwrap().unwrap();
        assert!(matches!(refused, Err(Error::Throttled { .. })), "{refused:?}");
        drop(turns);
        let rest = waiting.join_all().await;
        assert!(rest.iter().all(Result::is_ok) && rest.len() == IN_LINE, "{}", rest.len());
    }

    #[test]
    fn memory_is_given_back_when_nobody_comes_for_a_while() {
        let line = Arc::new(Line::default());
        let works = Arc::clone(&line);
        std::thread::spawn(move || {
            let mut memory = Memory(vec![Block::default(); 8]);
            loop {
                works.next(&mut memory, Duration::ZERO)(&mut memory);
            }
        });
        let began = std::time::Instant::now();
        let (send, kept) = std::sync::mpsc::channel();
        // Until the thread has once found nothing to do.
        while began.elapsed() < Duration::from_secs(10) {
            let send = send.clone();
            line.push(Box::new(move |memory| send.send(memory.0.len()).unwrap()));
            if kept.recv().unwrap() == 0 {
                return;
            }
        }
        panic!("it is kept");
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
