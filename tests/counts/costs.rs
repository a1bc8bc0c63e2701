//! What a piece of work cost, in counts.

use cronapi::consensus::Handle;

use super::allocations;

/// Counts up to a moment, or between two.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// Entries of the log.
    pub entries: u64,
    /// Times that the log was made durable.
    pub flushes: u64,
    /// Bytes of the records in it.
    pub log_bytes: u64,
    /// Times that memory was asked for.
    pub allocations: u64,
    /// Bytes of that.
    pub allocated: u64,
    /// Times that a thread gave its processor away to wait.
    pub waits: u64,
    /// Bytes that were written to files, of the log, the history and all else.
    pub written: u64,
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// Of all threads that there are.
fn waits() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let status = threads.filter_map(|thread| {
        // One may be gone by now.
        std::fs::read_to_string(thread.ok()?.path().join("status")).ok()
    });
    status.map(|text| field(&text, "voluntary_ctxt_switches:")).sum()
}

impl Costs {
    /// Up to now.
    pub fn now(node: &Handle) -> Costs {
        let (status, (allocations, allocated)) = (node.status(), allocations::so_far());
        let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
        Costs {
            entries: status.last_log,
            flushes: status.log_flushes,
            log_bytes: status.log_appended,
            allocations,
            allocated,
            waits: waits(),
            written: field(&io, "wchar:"),
        }
    }

    /// From `before` to this.
    pub fn since(&self, before: &Costs) -> Costs {
        Costs {
            entries: self.entries - before.entries,
            flushes: self.flushes - before.flushes,
            log_bytes: self.log_bytes - before.log_bytes,
            allocations: self.allocations - before.allocations,
            allocated: self.allocated - before.allocated,
            // A thread that has ended is not counted any more.
            waits: self.waits.saturating_sub(before.waits),
            written: self.written - before.written,
        }
    }

    /// Tells what each of `times` cost.
    pub fn tell(&self, what: &str, times: u64) {
        let of = |count: u64| count as f64 / times as f64;
        eprintln!(
            "{what}: of {times} each took {:.3} entries, {:.3} flushes, {:.0} bytes of log, \
             {:.0} allocations of {:.0} bytes, {:.1} waits, {:.0} bytes written",
            of(self.entries),
            of(self.flushes),
            of(self.log_bytes),
            of(self.allocations),
            of(self.allocated),
            of(self.waits),
            of(self.written),
        );
    }
}
