//! Which binary is tested.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The binary: `CRONAPI_BIN`, else `cronapi` in the folder of the build that the test itself
/// is of.
///
/// # Panics
/// There is none, or its sources are newer: a test of yesterday's binary proves nothing.
pub fn path() -> PathBuf {
    if let Some(given) = std::env::var_os("CRONAPI_BIN") {
        let path = PathBuf::from(given);
        assert!(path.is_file(), "CRONAPI_BIN: {} is not a file", path.display());
        return path;
    }
    let Some(found) = beside("cronapi") else {
        panic!(
            "there is no cronapi in the folder of the build; run `cargo build` or set CRONAPI_BIN"
        )
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = found.metadata().and_then(|of| of.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    if let Some(newer) = newer_than(&root.join("src"), built) {
        panic!("{} is newer than {}; run `cargo build`", newer.display(), found.display());
    }
    found
}

/// A program of the build that this process is of.
pub fn beside(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    // target/debug/deps/test or target/debug/soak
    own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn newer_than(folder: &Path, built: SystemTime) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            newer_than(&path, built)
        } else {
            let modified = entry.metadata().and_then(|of| of.modified()).ok()?;
            (modified > built).then_some(path)
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
