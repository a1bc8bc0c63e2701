//! The cgroup of one attempt.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::spec::Limits;
use super::Base;

/// `cpu.max` counts within so many microseconds.
const PERIOD_MICROS: u64 = 100_000;

/// A cgroup that ends, with all that is in it, when this is dropped.
pub(in super::super) struct Group {
    base: Arc<Base>,
    dir: PathBuf,
    folder: File,
}

/// What it tells of the bounds that were met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Told {
    /// It reached its memory limit, and its processes were ended.
    pub(in super::super) memory: bool,
    /// The machine, or all of the node, had no memory left, and its processes were ended.
    pub(in super::super) machine: bool,
    /// A process or a thread was refused.
    pub(in super::super) processes: bool,
}

impl Group {
    /// Makes one with its bounds.
    pub(super) fn make(base: &Arc<Base>, limits: &Limits) -> io::Result<Self> {
        let dir = base.new_dir()?;
        let folder = match File::open(&dir) {
            Ok(folder) => folder,
            Err(e) => {
                base.remove(dir);
                return Err(e);
            }
        };
        let group = Self { base: Arc::clone(base), dir, folder };
        group.bound(limits)?;
        Ok(group)
    }

    fn bound(&self, limits: &Limits) -> io::Result<()> {
        if let Some(bytes) = limits.memory {
            self.set("memory.max", &bytes.to_string())?;
            // Else it would be moved to the disk instead; not every kernel has the two.
            let _ = self.set("memory.swap.max", "0");
            let _ = self.set("memory.oom.group", "1");
        }
        if let Some(most) = limits.processes {
            self.set("pids.max", &most.to_string())?;
        }
        if let (Some(cpus), true) = (limits.cpus, self.base.cpu) {
            let micros = u64::from(cpus) * PERIOD_MICROS / 1_000;
            self.set("cpu.max", &format!("{micros} {PERIOD_MICROS}"))?;
        }
        Ok(())
    }

    fn set(&self, name: &str, value: &str) -> io::Result<()> {
        fs::write(self.dir.join(name), value)
            .map_err(|e| io::Error::new(e.kind(), format!("{name}: {e}")))
    }

    /// What a process is started into.
    pub(in super::super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Ends all that is in it, also what left the attempt's process group.
    pub(in super::super) fn kill(&self) {
        // Before Linux 5.14 there is no such file, and the process group is all that is ended.
        let _ = self.set("cgroup.kill", "1");
    }

    pub(in super::super) fn told(&self) -> Told {
        let ended = self.count("memory.events", "oom_kill") > 0;
        let own = self.count("memory.events", "oom") > 0;
        Told {
            memory: ended && own,
            machine: ended && !own,
            processes: self.count("pids.events", "max") > 0,
        }
    }

    fn count(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(key, _)| *key == name);
        found.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        self.base.remove(std::mem::take(&mut self.dir));
    }
}
