//! Bounds on what a process may use, and which of them ended it.
//!
//! The system bounds each process by itself: memory (`RLIMIT_DATA`), processes of the account
//! (`RLIMIT_NPROC`, which root is free of), open files, the size of a file, processor time. Memory
//! and processes of an attempt as a whole are bounded by its cgroup, where it has one; else they
//! are watched (`memory`).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::{Resource, geteuid, getrlimit};

use super::super::outcome::{Ended, Outcome};
use super::super::spec::Limits;
use super::group::pids;
use super::spawn::Ids;

/// From SIGXCPU, which a program may handle, to SIGKILL.
const LAST_SECONDS: u64 = 5;
/// For so long a count of processes is good.
const COUNTED_FOR: Duration = Duration::from_secs(1);
/// A shell tells by a status of 128 and more which signal ended the command.
const BY_SIGNAL: i32 = 128;
const SIGKILL: i32 = libc::SIGKILL;
const SIGXCPU: i32 = libc::SIGXCPU;
const SIGXFSZ: i32 = libc::SIGXFSZ;

/// As `setrlimit` takes them: which, soft, hard. No core dumps in any case. `cgroup`: memory and
/// processes are bounded by one.
pub(super) fn of(limits: &Limits, ids: Option<&Ids>, cgroup: bool) -> Vec<(u32, u64, u64)> {
    let mut bounds = vec![(libc::RLIMIT_CORE, 0, 0)];
    let mut add = |which, name, soft: u64, hard: u64| {
        let most = getrlimit(name).maximum.unwrap_or(u64::MAX);
        bounds.push((which, soft.min(most), hard.min(most)));
    };
    if let Some(bytes) = limits.memory.filter(|_| !cgroup) {
        add(libc::RLIMIT_DATA, Resource::Data, bytes, bytes);
    }
    if let Some(files) = limits.open_files {
        add(libc::RLIMIT_NOFILE, Resource::Nofile, files, files);
    }
    if let Some(bytes) = limits.file_size {
        add(libc::RLIMIT_FSIZE, Resource::Fsize, bytes, bytes);
    }
    if let Some(time) = limits.cpu {
        // In whole seconds, of which there is one at least.
        let secs = time.as_secs() + u64::from(time.subsec_nanos() > 0);
        add(libc::RLIMIT_CPU, Resource::Cpu, secs, secs.saturating_add(LAST_SECONDS));
    }
    let uid = ids.map_or_else(|| geteuid().as_raw(), |ids| ids.uid);
    if let (Some(processes), true) = (limits.processes, uid != 0 && !cgroup) {
        let all = tasks_of(uid).saturating_add(u64::from(processes));
        add(libc::RLIMIT_NPROC, Resource::Nproc, all, all);
    }
    bounds
}

/// Threads of all processes of an account, counted lately.
fn tasks_of(uid: u32) -> u64 {
    static COUNTED: Mutex<Option<(Instant, u32, u64)>> = Mutex::new(None);
    let mut counted = COUNTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((at, of, count)) = *counted
        && of == uid
        && at.elapsed() < COUNTED_FOR
    {
        return count;
    }
    let threads = |pid: u32| {
        let folder = fs::metadata(format!("/proc/{pid}/task")).ok()?;
        // The daemon hides from its own account: to the system its files are root's.
        let ours = folder.uid() == uid || (pid == std::process::id() && geteuid().as_raw() == uid);
        // One link for each, and two of the folder's own.
        ours.then(|| folder.nlink().saturating_sub(2))
    };
    let count = pids().filter_map(threads).sum();
    *counted = Some((Instant::now(), uid, count));
    count
}

/// As people say it: `256 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |shift: u32| bytes > 0 && bytes.is_multiple_of(1 << shift);
    match units.into_iter().find(|(shift, _)| whole(*shift)) {
        Some((shift, unit)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} bytes"),
    }
}

/// Which bound ended an attempt, where that can be known; none: none did, or nobody can tell.
pub(super) fn blame(limits: &Limits, outcome: &Outcome) -> Option<String> {
    if outcome.ended != Ended::Failed {
        return None;
    }
    let by_shell = outcome.exit_code.and_then(|code| code.checked_sub(BY_SIGNAL));
    let signal = outcome.signal.or(by_shell);
    let used = outcome.cpu_ms.map_or(Duration::ZERO, Duration::from_millis);
    if let Some(cpu) = limits.cpu
        && (signal == Some(SIGXCPU) || (signal == Some(SIGKILL) && used >= cpu))
    {
        return Some(format!("limits.cpu allows {cpu:?} of processor time"));
    }
    if let (Some(bytes), Some(SIGXFSZ)) = (limits.file_size, signal) {
        return Some(format!("limits.file_size allows {bytes} bytes in a file"));
    }
    None
}

/// What is known only by what programs say of it.
pub(in super::super) fn blame_text(limits: &Limits, error: &str) -> Option<String> {
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if let Some(bytes) = limits.memory.filter(|_| says(&["MemoryError", "Cannot allocate"])) {
        return Some(format!("limits.memory allows {bytes} bytes"));
    }
    if let Some(bytes) = limits.file_size.filter(|_| says(&["File too large"])) {
        return Some(format!("limits.file_size allows {bytes} bytes in a file"));
    }
    if let Some(files) = limits.open_files.filter(|_| says(&["Too many open files"])) {
        return Some(format!("limits.open_files allows {files}"));
    }
    let refused = says(&["Resource temporarily unavailable", "can't start new thread"]);
    limits.processes.filter(|_| refused).map(|most| format!("limits.processes allows {most}"))
}
