//! Whether a directory that was there may become a data directory, and that nobody else looks
//! into it.

use std::fs::{self, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::directory_error::DirectoryError;

/// What file systems, volumes and orchestrators leave in a directory that is empty otherwise.
const LEFT_BY_OTHERS: [&str; 9] = [
    "lost+found",
    ".snapshot",
    ".snapshots",
    ".zfs",
    ".keep",
    ".gitkeep",
    ".DS_Store",
    "aquota.user",
    "aquota.group",
];
/// What this program may have put there before it said whose the directory is.
const LEFT_BY_US: [&str; 5] =
    ["LOCK", "FORMAT.unfinished", "cluster-key", "cluster.key", "results"];

/// Who looks for a seat in a pool holds it, for milliseconds.
pub(super) const CHOOSING_FILE: &str = "CHOOSING";

/// Rights of group and others.
const OTHERS: u32 = 0o077;
/// Bits that no file here has: set-user-id, set-group-id, group, others, execute.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;
/// Folders in folders, at most; ours are three deep.
const DEPTH_MAX: usize = 16;

/// Something in the directory that neither we nor a volume put there.
///
/// # Errors
/// It can't be read.
pub(super) fn foreign(path: &Path) -> io::Result<Option<String>> {
    find(path, |_| false)
}

fn find(path: &Path, ours: impl Fn(&str) -> bool) -> io::Result<Option<String>> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !LEFT_BY_OTHERS.contains(&name.as_str()) && !ours(&name) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether a directory without a node's name may become a node's.
///
/// # Errors
/// It holds something else, or can't be read.
pub(super) fn may_become_ours(path: &Path) -> Result<(), DirectoryError> {
    only(path, |name| LEFT_BY_US.contains(&name))
}

/// Whether a directory holds a pool, or may.
///
/// # Errors
/// It holds something else, or can't be read.
pub(super) fn may_be_a_pool(path: &Path) -> Result<(), DirectoryError> {
    let seat = |name: &str| name.split('.').next().is_some_and(|n| n.parse::<u32>().is_ok());
    only(path, |name| seat(name) || name == CHOOSING_FILE)
}

fn only(path: &Path, ours: impl Fn(&str) -> bool) -> Result<(), DirectoryError> {
    let path = path.to_owned();
    match find(&path, ours) {
        Ok(None) => Ok(()),
        Ok(Some(found)) => Err(DirectoryError::Foreign { path, found }),
        Err(source) => Err(DirectoryError::Unwritable { path, source }),
    }
}

/// Refuses a directory of another account that everybody may write to. One of root that is
/// ours by its group is well: volumes are handed over so.
///
/// # Errors
/// See above, or it can't be looked at.
pub(super) fn not_open_to_all(path: &Path) -> Result<(), DirectoryError> {
    match fs::metadata(path) {
        Ok(found) if may_change(&found) || found.mode() & 0o002 == 0 => Ok(()),
        Ok(found) => Err(DirectoryError::NotOurs { path: path.to_owned(), owner: found.uid() }),
        Err(source) => Err(DirectoryError::Unwritable { path: path.to_owned(), source }),
    }
}

/// Takes the directory and all in it away from other accounts: 0700 and 0600. What a volume
/// left there, and what belongs to another account, is not touched.
///
/// # Errors
/// Something can't be changed.
pub(super) fn tighten(path: &Path) -> Result<(), DirectoryError> {
    let tightened = fs::metadata(path).and_then(|found| {
        if may_change(&found) {
            close(path, &found, FOLDER_MODE)?;
        }
        tighten_within(path, 0)
    });
    tightened.map_err(|source| DirectoryError::Unwritable { path: path.to_owned(), source })
}

fn tighten_within(folder: &Path, depth: usize) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        // Of the entry itself: nothing is changed through a symbolic link.
        let found = match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        let name = entry.file_name();
        let of_others = depth == 0 && LEFT_BY_OTHERS.iter().any(|other| name == *other);
        if of_others || !may_change(&found) {
            continue;
        }
        if found.is_dir() {
            close(&path, &found, FOLDER_MODE)?;
            if depth < DEPTH_MAX {
                tighten_within(&path, depth + 1)?;
            }
        } else if found.is_file() {
            close(&path, &found, FILE_MODE)?;
        }
    }
    Ok(())
}

/// Leaves alone what is closed already.
fn close(path: &Path, found: &Metadata, mode: u32) -> io::Result<()> {
    if found.mode() & OTHERS == 0 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn may_change(found: &Metadata) -> bool {
    let own = rustix::process::geteuid();
    own.is_root() || own.as_raw() == found.uid()
}
