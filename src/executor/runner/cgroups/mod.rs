//! A cgroup for each attempt, where this node was given a part of the tree (cgroup v2).
//!
//! **Owns** which cgroup is the node's, whether it may make others in it, and what they are
//! called. **Does not own** bounds that the system knows for one process (`process::bounds`),
//! which hold beside these and stand in for them elsewhere.
//!
//! ```text
//! /proc/self/cgroup ──► place ──► Cgroups::claim ──┬─ cronapi-node     the node itself
//!                                 (Delegate=)      ├─ cronapi-TAG-1    an attempt: `Group`
//!                                                  └─ cronapi-TAG-2    another one
//! ```
//!
//! A cgroup that rules others has no processes itself, so the node moves to one of its own
//! first. Where anybody else is in its cgroup that fails, and nothing is changed: the cgroup was
//! not the node's alone.
//!
//! Invariant: where an attempt has a cgroup, none of its processes outlives it.
//!
//! To add a bound: a line in `Group::make`, what tells of it in `Group::told`.

mod group;
mod place;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) use self::group::{Group, Told};
use super::spec::Limits;

/// The cgroup of the node itself.
const NODE: &str = "cronapi-node";
/// What has to be there.
const NEEDED: [&str; 2] = ["memory", "pids"];
/// What is used where it is there.
const WANTED: &str = "cpu";
/// Cgroups that could not be removed yet, and are remembered.
const LEFT_MAX: usize = 4_096;

/// What bounds attempts as a whole, on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// Whether each attempt has a cgroup.
    pub cgroups: bool,
    /// The controllers that are used.
    pub controllers: Vec<String>,
    /// Why there are none, a sentence.
    pub missing: Option<String>,
}

/// The node's part of the tree; or none, and why.
pub struct Cgroups {
    base: Option<Arc<Base>>,
    bounded: Bounded,
}

/// The cgroup in which those of attempts are made.
struct Base {
    dir: PathBuf,
    tag: String,
    cpu: bool,
    next: AtomicU64,
    /// Of attempts that ended, with processes that had not ended quite.
    left: Mutex<Vec<PathBuf>>,
}

/// The tree of cgroups, where this process may divide its own: jobs of its account have to be
/// kept from it, or they could lift their bounds.
pub fn tree() -> Option<PathBuf> {
    place::own().ok().and_then(|_| place::tree())
}

impl Cgroups {
    /// None, since nobody asked.
    pub(super) fn off() -> Self {
        Self::without("this node was not asked to make any".to_owned())
    }

    fn without(why: String) -> Self {
        let bounded = Bounded { cgroups: false, controllers: Vec::new(), missing: Some(why) };
        Self { base: None, bounded }
    }

    /// Takes the cgroup that this process was given, if it was; `try_out` starts something in a
    /// cgroup that it is handed. `kept_from_jobs`: jobs can't change their own bounds.
    pub(super) fn claim(
        tag: &str,
        kept_from_jobs: bool,
        try_out: impl FnOnce(&Group) -> Result<(), String>,
    ) -> Self {
        if !cfg!(target_arch = "x86_64") {
            return Self::without("they are used on x86-64 only".to_owned());
        }
        if !kept_from_jobs {
            let why = "jobs have the node's account and no Landlock: they could lift them";
            return Self::without(why.to_owned());
        }
        let found = place::own().and_then(|dir| Self::claim_at(&dir, tag, std::process::id()));
        let mut found = found.unwrap_or_else(Self::without);
        let tried = found.group(&Limits::default()).map(|group| match group {
            Some(group) => try_out(&group),
            None => Ok(()),
        });
        let tried = tried.unwrap_or_else(|e| Err(format!("none could be made: {e}")));
        if let Err(why) = tried {
            if let Some(base) = &found.base {
                base.give_back(std::process::id());
            }
            found = Self::without(why);
        }
        found
    }

    /// The same in a folder that is told.
    fn claim_at(own: &Path, tag: &str, pid: u32) -> Result<Self, String> {
        // A node that was started anew by the one before it is where that one was.
        let before = own.file_name().is_some_and(|name| name == NODE);
        let dir = own.parent().filter(|_| before).unwrap_or(own).to_owned();
        let text = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
        let has = |name: &str| text.split_ascii_whitespace().any(|word| word == name);
        if let Some(name) = NEEDED.into_iter().find(|name| !has(name)) {
            let dir = dir.display();
            return Err(format!("{dir} has no controller {name:?} (Delegate= of the unit)"));
        }
        let mut base = Base {
            dir,
            tag: tag.to_owned(),
            cpu: false,
            next: AtomicU64::new(1),
            left: Mutex::default(),
        };
        let refused = |e: io::Error| format!("{} is not this node's: {e}", base.dir.display());
        base.move_node(pid).map_err(refused)?;
        let asked = NEEDED.map(|name| format!("+{name}")).join(" ");
        if let Err(e) = fs::write(base.dir.join("cgroup.subtree_control"), asked) {
            base.give_back(pid);
            let dir = base.dir.display();
            return Err(match e.raw_os_error() {
                Some(libc::EBUSY) => format!("other processes are in {dir} too"),
                _ => format!("{dir} is not this node's to divide: {e}"),
            });
        }
        let asked = format!("+{WANTED}");
        base.cpu = has(WANTED) && fs::write(base.dir.join("cgroup.subtree_control"), asked).is_ok();
        base.sweep();
        let mut controllers = NEEDED.map(str::to_owned).to_vec();
        controllers.extend(base.cpu.then(|| WANTED.to_owned()));
        let bounded = Bounded { cgroups: true, controllers, missing: None };
        Ok(Self { base: Some(Arc::new(base)), bounded })
    }

    /// What is in force.
    pub fn bounded(&self) -> &Bounded {
        &self.bounded
    }

    /// One for an attempt; none: there are none here.
    ///
    /// # Errors
    /// It could not be made.
    pub(super) fn group(&self, limits: &Limits) -> io::Result<Option<Group>> {
        let Some(base) = &self.base else { return Ok(None) };
        Group::make(base, limits).map(Some)
    }
}

impl Base {
    fn move_node(&self, pid: u32) -> io::Result<()> {
        let node = self.dir.join(NODE);
        match fs::create_dir(&node) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        fs::write(node.join("cgroup.procs"), pid.to_string())
    }

    /// As it was before.
    fn give_back(&self, pid: u32) {
        for name in NEEDED.into_iter().chain([WANTED]) {
            let _ = fs::write(self.dir.join("cgroup.subtree_control"), format!("-{name}"));
        }
        let _ = fs::write(self.dir.join("cgroup.procs"), pid.to_string());
        let _ = fs::remove_dir(self.dir.join(NODE));
    }

    fn prefix(&self) -> String {
        format!("cronapi-{}-", self.tag)
    }

    /// Ends what an earlier boot of this node left, and takes its cgroups away.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&self.prefix()));
            if number.is_some_and(|number| number.parse::<u64>().is_ok()) {
                let _ = fs::write(entry.path().join("cgroup.kill"), "1");
                self.remove(entry.path());
            }
        }
    }

    /// Takes a cgroup away; one whose processes have not ended yet, when the next one goes.
    fn remove(&self, dir: PathBuf) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.push(dir);
        left.retain(|dir| match fs::remove_dir(dir) {
            Ok(()) => false,
            Err(e) => e.kind() != io::ErrorKind::NotFound,
        });
        let over = left.len().saturating_sub(LEFT_MAX);
        left.drain(..over);
    }

    fn new_dir(&self) -> io::Result<PathBuf> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let dir = self.dir.join(format!("{}{number}", self.prefix()));
        match fs::create_dir(&dir) {
            // One that a boot before left, and that could not go yet.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return self.new_dir(),
            made => made?,
        }
        // Programs that go by their bounds, such as Java's, read them.
        let _ = fs::set_permissions(&dir, fs::Permissions::from_mode(0o755));
        Ok(dir)
    }
}
