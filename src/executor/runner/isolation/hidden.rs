//! A mount namespace in which what is kept from jobs is not there.
//!
//! Made once, by a thread that ends; each attempt enters it. Mounts that the machine gets later
//! appear in it too. Over a folder lies an empty one, over a file an empty one, which nobody may
//! open.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_change, mount_remount,
};

use super::super::process::raw;

/// Where engines of containers put all secrets of one.
const SECRETS: &str = "/run/secrets";

/// The files and folders that are there, without those that lie in another of them.
pub(super) fn present(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = paths.iter().filter_map(|path| place_of(path)).collect();
    found.sort();
    found.dedup();
    let all = found.clone();
    found.retain(|path| !all.iter().any(|other| other != path && path.starts_with(other)));
    found
}

/// The real place of a file; of one among secrets that were mounted together, that of all.
fn place_of(path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    // Kubernetes changes all files of a volume at once: they lie in `..<time>` beside their names.
    let dated = |place: &&Path| {
        let name = place.file_name().map(|name| name.as_encoded_bytes());
        name.is_some_and(|name| name.starts_with(b"..") && name.len() > 2)
    };
    let volume = path.ancestors().find(dated).and_then(Path::parent);
    let together = volume.or_else(|| path.parent().filter(|it| *it == Path::new(SECRETS)));
    Some(together.map(Path::to_owned).unwrap_or(path))
}

/// A namespace that was made.
pub(super) struct Hidden {
    pub(super) mounts: OwnedFd,
    /// Whether its `/proc` shows a job no processes but those that it may look into.
    pub(super) processes: bool,
}

/// # Errors
/// The system does not let this process make one.
pub(super) fn namespace(keep: &[PathBuf]) -> io::Result<Hidden> {
    let keep = keep.to_vec();
    let made = thread::Builder::new().name("mounts".into()).spawn(move || cover(&keep))?;
    made.join().unwrap_or_else(|_| Err(io::Error::other("the thread of mounts ended")))
}

/// Lays a `/proc` over the one that is there, in which others' processes are not shown: not their
/// command lines either. Whether a process may be looked into is asked of the account and of the
/// attempt's Landlock domain.
fn own_proc() -> bool {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else { return false };
    if !may_cover(&mounts) {
        return false;
    }
    let bare = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", bare, Some(c"hidepid=2")).is_ok()
}

/// Engines of containers lay files over parts of `/proc`, to close them: they would be open in
/// another one.
fn may_cover(mounts: &str) -> bool {
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let mut below = places.filter(|place| place.starts_with("/proc/"));
    below.all(|place| place == "/proc/sys/fs/binfmt_misc")
}

/// Whether the `/proc` of this process shows no others' processes: it was mounted so.
pub(super) fn proc_is_hidden() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    hides_processes(&mounts)
}

fn hides_processes(mounts: &str) -> bool {
    const HIDING: [&str; 4] = ["hidepid=2", "hidepid=invisible", "hidepid=4", "hidepid=ptraceable"];
    // Of those on one place the last one counts.
    let mut proc = mounts.lines().rev().filter(|line| line.split(' ').nth(4) == Some("/proc"));
    let options = proc.next().and_then(|line| line.rsplit(' ').next()).unwrap_or_default();
    options.split(',').any(|option| HIDING.contains(&option))
}

fn cover(keep: &[PathBuf]) -> io::Result<Hidden> {
    raw::leave_mounts_of_others()?;
    let down = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", down)?;
    let (folders, files): (Vec<&PathBuf>, Vec<_>) = keep.iter().partition(|path| path.is_dir());
    let bare = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for folder in &folders {
        mount("none", folder.as_path(), "tmpfs", bare, Some(c"size=4k,nr_inodes=4,mode=000"))?;
    }
    if let (Some(folder), false) = (folders.first(), files.is_empty()) {
        let empty = folder.join("empty");
        OpenOptions::new().write(true).create_new(true).mode(0o000).open(&empty)?;
        for file in files {
            mount_bind(&empty, file)?;
        }
    }
    for folder in &folders {
        mount_remount(folder.as_path(), bare | MountFlags::RDONLY, c"")?;
    }
    let mounts = File::open("/proc/thread-self/ns/mnt")?.into();
    Ok(Hidden { mounts, processes: own_proc() })
}

/// What a file was when the isolation was made.
pub(super) struct Stamp {
    path: PathBuf,
    was: Option<Was>,
    /// What is in it matters too.
    content: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Was {
    place: (u64, u64),
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(path: &Path, content: bool) -> Self {
        Self { path: path.to_owned(), was: look(path, content), content }
    }

    pub(super) fn is_old(&self) -> bool {
        look(&self.path, self.content) != self.was
    }
}

fn look(path: &Path, content: bool) -> Option<Was> {
    let found = fs::metadata(path).ok()?;
    let changed = if content { (found.mtime(), found.mtime_nsec()) } else { (0, 0) };
    Some(Was { place: (found.dev(), found.ino()), changed })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "22 28 0:20 / /sys rw - sysfs sysfs rw\n\
                         23 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n";

    #[test]
    fn a_proc_with_closed_parts_is_not_covered() {
        assert!(may_cover(PLAIN));
        let binfmt = "30 23 0:29 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n";
        assert!(may_cover(&format!("{PLAIN}{binfmt}")));
        let kcore = "31 23 0:5 /null /proc/kcore rw - tmpfs tmpfs rw\n";
        assert!(!may_cover(&format!("{PLAIN}{kcore}")));
    }

    #[test]
    fn the_last_proc_tells_whether_processes_are_hidden() {
        let line = |options: &str| format!("90 23 0:44 / /proc rw - proc proc rw,{options}\n");
        assert!(!hides_processes(PLAIN));
        for hiding in ["hidepid=invisible", "gid=5,hidepid=2", "hidepid=ptraceable,subset=pid"] {
            assert!(hides_processes(&format!("{PLAIN}{}", line(hiding))), "{hiding}");
            assert!(!hides_processes(&format!("{}{PLAIN}", line(hiding))), "{hiding}");
        }
        assert!(!hides_processes(&line("hidepid=1")));
    }
}
