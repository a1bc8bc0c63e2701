//! A directory that was there: it is closed to others, or refused as somebody else's.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use super::super::{DataDirectory, DirectoryError, Identity, NewDirectory, Seat};

#[path = "../../../tests/shared/skip.rs"]
#[allow(clippy::duplicate_mod, reason = "other tests say it by the same words")]
mod skip;
use skip::skipped;

fn open(path: &Path) -> Result<DataDirectory, DirectoryError> {
    DataDirectory::open(path, &Identity::generate(1).unwrap())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn set(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_data_directory_that_was_there_is_closed_to_others() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    drop(open(&data).unwrap());
    let log = data.join("log");
    fs::create_dir(&log).unwrap();
    fs::create_dir(data.join("lost+found")).unwrap();
    let key = log.join("db");
    fs::write(&key, "keys").unwrap();
    let outside = place.path().join("outside");
    fs::write(&outside, "not of the directory").unwrap();
    symlink(&outside, data.join("link")).unwrap();
    for (path, mode) in [(&data, 0o755), (&log, 0o775), (&key, 0o644), (&outside, 0o644)] {
        set(path, mode);
    }
    set(&data.join("FORMAT"), 0o664);
    set(&data.join("lost+found"), 0o755);
    drop(open(&data).unwrap());
    assert_eq!((mode(&data), mode(&log), mode(&key)), (0o700, 0o700, 0o600));
    assert_eq!(mode(&data.join("FORMAT")), 0o600);
    assert_eq!(mode(&outside), 0o644, "nothing is changed through a link");
    assert_eq!(mode(&data.join("lost+found")), 0o755, "it is the file system's");
}

#[test]
fn a_directory_with_something_else_in_it_is_refused_untouched() {
    for other in ["passwd", ".ssh", "notes.txt", "FORMAT.md"] {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        set(path, 0o755);
        fs::write(path.join(other), "mine").unwrap();
        let Err(refused) = open(path) else { panic!("{other}: it was taken") };
        let text = refused.to_string();
        assert!(matches!(refused, DirectoryError::Foreign { .. }), "{text}");
        assert!(text.contains(other) && text.contains("is no data directory"), "{text}");
        assert_eq!((names(path), mode(path)), (vec![other.to_owned()], 0o755));
        assert!(matches!(Seat::take(path, "host"), Err(DirectoryError::Foreign { .. })));
        assert!(NewDirectory::begin(path).is_err());
        assert_eq!(names(path), [other]);
    }
}

#[test]
fn what_volumes_leave_behind_does_not_matter() {
    let place = tempfile::tempdir().unwrap();
    for left in ["lost+found", ".snapshot"] {
        fs::create_dir(place.path().join(left)).unwrap();
    }
    set(place.path(), 0o777);
    drop(open(place.path()).unwrap());
    assert_eq!(mode(place.path()), 0o700);
    // A start that was cut short left its lock and nothing more.
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("LOCK"), "7\n").unwrap();
    drop(open(place.path()).unwrap());
}

#[test]
fn a_directory_of_somebody_else_that_all_may_write_to_is_refused() {
    if !rustix::process::geteuid().is_root() {
        skipped("a_directory_of_somebody_else", "giving a directory away needs root");
        return;
    }
    // Root may do anything, so the owner's question is asked of the function itself.
    let place = tempfile::tempdir().unwrap();
    chown(place.path(), Some(65_534), Some(65_534)).unwrap();
    set(place.path(), 0o777);
    drop(open(place.path()).unwrap());
    assert_eq!(mode(place.path()), 0o700, "root takes it away from the others");
}
