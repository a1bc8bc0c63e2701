//! The peak resident memory of an attempt.
//!
//! The kernel's own figure (`ru_maxrss`) can't be taken as it is: starting a program counts
//! the memory of the process that starts it, so every child of a 300 MB daemon "used" at
//! least 300 MB. A figure above the daemon's own peak is the child's; below that, samples of
//! `VmHWM` are what there is, and a process too short to be sampled has none.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::Instant;

use super::super::limits::{SAMPLED_PROCESSES_MAX, WATCH_PAUSE};
use super::super::spec::Limits;
use super::group::stat;

/// The kernel counts pages per processor and may be off by this much.
const COUNTING_ERROR: u64 = 2 * 1024 * 1024;

/// Looks at a process and its descendants now and then: how much they use, and whether that is
/// more than they may.
pub(super) struct MemorySampler {
    pid: u32,
    peak: Option<u64>,
    due: Instant,
    pause: Duration,
    limits: Limits,
    /// Between two looks, once it runs for a while.
    pause_most: Duration,
}

/// What all processes of an attempt together had too much of.
pub(super) struct Breach {
    pub(super) why: String,
    /// Its processes at that moment.
    family: Vec<u32>,
}

impl Breach {
    /// Kills those that left the group as well.
    pub(super) fn kill(&self) {
        for &pid in self.family.iter().skip(1) {
            let held = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let held = held.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
            // Looked at again once it is held: its number may be another's by now.
            let parent = stat(pid).map(|found| found.parent);
            if let (Some(held), true) = (held, parent.is_some_and(|it| self.family.contains(&it))) {
                let _ = pidfd_send_signal(held, Signal::KILL);
            }
        }
    }
}

impl MemorySampler {
    /// `close`: its job has bounds of its own, which are tighter than the node's.
    pub(super) fn new(pid: u32, limits: Limits, close: bool) -> Self {
        let pause = Duration::from_millis(10);
        let pause_most = if close { WATCH_PAUSE } else { Duration::from_secs(1) };
        Self { pid, peak: None, due: Instant::now() + pause, pause, limits, pause_most }
    }

    /// Soon at first, since most attempts are short; then every second, or more often.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    pub(super) fn sample(&mut self) -> Option<Breach> {
        let Limits { memory, processes, .. } = self.limits;
        self.pause = (self.pause * 4).min(self.pause_most);
        self.due = Instant::now() + self.pause;
        let looked_at = processes.map_or(SAMPLED_PROCESSES_MAX, |most| most as usize + 1);
        let (mut family, mut next, mut used) = (vec![self.pid], 0, 0_u64);
        while let Some(&pid) = family.get(next) {
            next += 1;
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            self.peak = self.peak.max(figure(&status, "VmHWM:"));
            let own = ["RssAnon:", "RssShmem:"].map(|name| figure(&status, name).unwrap_or(0));
            used = used.saturating_add(own[0]).saturating_add(own[1]);
            let path = format!("/proc/{pid}/task/{pid}/children");
            let children = fs::read_to_string(path).unwrap_or_default();
            family.extend(children.split_ascii_whitespace().filter_map(|c| c.parse::<u32>().ok()));
            family.truncate(looked_at.max(SAMPLED_PROCESSES_MAX));
        }
        if let Some(most) = processes.filter(|most| family.len() > *most as usize) {
            let why = format!("it started more processes than limits.processes allows ({most})");
            return Some(Breach { why, family });
        }
        if let Some(most) = memory.filter(|most| used > *most && shared_fairly(&family) > *most) {
            let why = format!("it used more memory than limits.memory allows ({most} bytes)");
            return Some(Breach { why, family });
        }
        None
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
    figure(&status, "VmHWM:")
}

/// The memory of some processes, what they share counted once; all there is when nobody may
/// look.
fn shared_fairly(family: &[u32]) -> u64 {
    let pss = |pid: &u32| {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        figure(&rollup, "Pss_Anon:").zip(figure(&rollup, "Pss_Shmem:")).map(|(a, b)| a + b)
    };
    let found: Option<Vec<u64>> = family.iter().map(pss).collect();
    found.map_or(u64::MAX, |found| found.iter().sum())
}

/// A figure from the text of `/proc/<pid>/status` and the like, in bytes.
fn figure(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
