//! The `cronapi` binary.

use std::process::ExitCode;

/// The system's allocator gives back what is not used any more (ADR 34): of its own it raises the
/// size from which a block is one of its own as soon as a large one is freed, and keeps
/// what many threads took in a place for each.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
fn give_memory_back() {
    /// Bytes of a block that goes back as soon as it is freed, and of free memory that does.
    const LARGE: libc::c_int = 256 * 1024;
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let places = libc::c_int::try_from(processors.max(2)).unwrap_or(2);
    let limits = [
        (libc::M_MMAP_THRESHOLD, LARGE),
        (libc::M_TRIM_THRESHOLD, LARGE),
        (libc::M_ARENA_MAX, places),
    ];
    for (what, value) in limits {
        // SAFETY: it sets a number that the allocator reads, before there is another thread. What
        // it does not take leaves things as they were.
        let _ = unsafe { libc::mallopt(what, value) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_memory_back() {}

fn main() -> ExitCode {
    give_memory_back();
    cronapi::cli::main()
}
