//! Which cgroup this process is in, and whether it was handed to it.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, getxattr};
use rustix::process::geteuid;

/// Set by systemd on what `Delegate=` hands over.
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// The folder of the own cgroup, if it is this process's to divide.
///
/// # Errors
/// A sentence: why it is not.
pub(super) fn own() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|e| format!("{path}: {e}"));
    let (own, mounts) = (read("/proc/self/cgroup")?, read("/proc/self/mountinfo")?);
    let (dir, top) = locate(&own, &mounts)?;
    delegated(&dir, top)?;
    Ok(dir)
}

/// Where the tree is mounted.
pub(super) fn tree() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mount_of(&mounts).map(|(place, _)| place)
}

/// The mount point of cgroup v2, and which part of the tree is mounted there.
fn mount_of(mounts: &str) -> Option<(PathBuf, PathBuf)> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        if after.split(' ').next()? != "cgroup2" {
            return None;
        }
        let mut fields = before.split(' ').skip(3);
        let (root, place) = (fields.next()?, fields.next()?);
        Some((PathBuf::from(place), PathBuf::from(root)))
    })
}

/// The folder of a process's cgroup, from its `/proc/PID/cgroup` and `mountinfo`; and whether it
/// is the top of what the process sees of the tree.
pub(super) fn locate(own: &str, mounts: &str) -> Result<(PathBuf, bool), String> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or("this machine has no cgroup v2")?;
    let (place, root) = mount_of(mounts).ok_or("no cgroup v2 is mounted")?;
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let below = Path::new(path).strip_prefix(&root);
    let below = below.map_err(|_| format!("its cgroup {path} is outside of what is mounted"))?;
    let top = below.as_os_str().as_bytes().is_empty();
    Ok((if top { place } else { place.join(below) }, top))
}

/// Root could divide any cgroup; it may divide one that was handed to it: by systemd, or as the
/// top of a container.
fn delegated(dir: &Path, top: bool) -> Result<(), String> {
    let shown = dir.display();
    let files = ["", "cgroup.procs", "cgroup.subtree_control"];
    if let Some(e) = files.iter().find_map(|it| access(dir.join(it), Access::WRITE_OK).err()) {
        return Err(format!("{shown} is not this node's to divide: {e} (Delegate= of the unit)"));
    }
    // The root of the whole tree has no type.
    let container = top && dir.join("cgroup.type").exists();
    let mut value = [0; 8];
    let handed = |name: &&str| getxattr(dir, *name, &mut value[..]).is_ok_and(|_| value[0] == b'1');
    if !geteuid().is_root() || container || DELEGATED.iter().any(handed) {
        return Ok(());
    }
    Err(format!("{shown} was not handed to this node (Delegate= of the unit)"))
}
