//! The system's chance, which libraries ask for: the order of hash maps, the branch that a
//! `select!` tries first, ids. Here it follows from the seed, as everything else does.
//!
//! The program's own `getrandom` stands before the C library's. So the simulation needs no
//! flag of the compiler, and shares its dependencies with every other test.

use std::cell::Cell;
use std::ffi::c_uint;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::chance::Chance;

static SEED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // One for each thread: a thread beside the world's must not take what is the world's.
    static STREAM: Cell<Option<Chance>> = const { Cell::new(None) };
}

/// From now on what this thread asks the system for follows from `seed`.
pub fn seed(seed: u64) {
    SEED.store(seed, Ordering::Relaxed);
    STREAM.set(None);
}

fn number() -> u64 {
    let stream = STREAM.take();
    let mut stream = stream.unwrap_or_else(|| Chance::of(SEED.load(Ordering::Relaxed), "system"));
    let number = stream.number();
    STREAM.set(Some(stream));
    number
}

/// What the C library's function of this name would do, but for where the bytes come from.
///
/// # Safety
/// `buffer` is valid for `length` bytes.
#[allow(unsafe_code, reason = "its name and signature are the C library's")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: c_uint) -> isize {
    for at in 0..length {
        let byte = number() as u8;
        // SAFETY: `at` is below `length`, for which the caller vouches.
        unsafe { buffer.add(at).write(byte) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher;

    #[test]
    fn what_the_system_gives_by_chance_follows_from_the_seed() {
        let drawn = |seed| {
            let world = move || {
                super::seed(seed);
                (RandomState::new().hash_one(1), cronapi::chance::number().unwrap())
            };
            std::thread::spawn(world).join().unwrap()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }
}
