//! The peak resident memory of an attempt.
//!
//! The kernel's own figure (`ru_maxrss`) can't be taken as it is: starting a program counts
//! the memory of the process that starts it, so every child of a 300 MB daemon "used" at
//! least 300 MB. A figure above the daemon's own peak is the child's; below that, samples of
//! `VmHWM` are what there is, and a process too short to be sampled has none.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::super::limits::SAMPLED_PROCESSES_MAX;

/// The kernel counts pages per processor and may be off by this much.
const COUNTING_ERROR: u64 = 2 * 1024 * 1024;

/// Looks at a process and its descendants now and then.
pub(super) struct MemorySampler {
    pid: u32,
    peak: Option<u64>,
    due: Instant,
    pause: Duration,
}

impl MemorySampler {
    pub(super) fn new(pid: u32) -> Self {
        let pause = Duration::from_millis(10);
        Self { pid, peak: None, due: Instant::now() + pause, pause }
    }

    /// Soon at first, since most attempts are short; then every second.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn sample(&mut self) {
        self.pause = (self.pause * 4).min(Duration::from_secs(1));
        self.due = Instant::now() + self.pause;
        let mut family = vec![self.pid];
        let mut next = 0;
        while let Some(&pid) = family.get(next) {
            next += 1;
            self.peak = self.peak.max(high_water(&pid.to_string()));
            let path = format!("/proc/{pid}/task/{pid}/children");
            let children = fs::read_to_string(path).unwrap_or_default();
            family.extend(children.split_ascii_whitespace().filter_map(|c| c.parse::<u32>().ok()));
            family.truncate(SAMPLED_PROCESSES_MAX);
        }
    }

    /// The peak in bytes, given the kernel's figure.
    pub(super) fn peak(&self, kernel: u64) -> Option<u64> {
        let own = if kernel > own_peak(false) { own_peak(true) } else { u64::MAX };
        let trusted = (kernel > own.saturating_add(COUNTING_ERROR)).then_some(kernel);
        self.peak.max(trusted)
    }
}

/// The daemon's own peak. It only grows, so an older figure is a lower bound.
fn own_peak(fresh: bool) -> u64 {
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    if fresh {
        KNOWN.fetch_max(high_water("self").unwrap_or(u64::MAX), Ordering::Relaxed);
    }
    KNOWN.load(Ordering::Relaxed)
}

/// `VmHWM` of a process, in bytes.
fn high_water(pid: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_high_water(&status)
}

/// `VmHWM` from the text of `/proc/<pid>/status`, in bytes.
fn parse_high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
