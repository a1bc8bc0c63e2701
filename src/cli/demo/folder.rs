//! The folder of a demo, which is gone when it ends.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::cli::exit::Failure;

const PREFIX: &str = "cronapi-demo-";
/// Held while the demo runs: a folder whose mark nobody holds was left by one that was killed.
const MARK: &str = "in-use";

/// The folder, for its owner alone.
pub(super) struct Folder {
    place: TempDir,
    _mark: File,
}

impl Folder {
    pub(super) fn make() -> Result<Folder, Failure> {
        let within = std::env::temp_dir();
        sweep(&within);
        let failed = |error| Failure::failed(format!("{}: {error}", within.display()));
        let place = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&within).map_err(failed)?;
        let mark = File::create(place.path().join(MARK)).map_err(failed)?;
        flock(&mark, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| failed(error.into()))?;
        Ok(Folder { place, _mark: mark })
    }

    pub(super) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Takes it away, and says what can't be.
    pub(super) fn remove(self) -> Result<(), Failure> {
        let path = self.place.path().to_owned();
        let left = |error| Failure::failed(format!("{} is left: {error}", path.display()));
        self.place.close().map_err(left)
    }
}

/// Takes away what demos left that were killed.
fn sweep(within: &Path) {
    let ours = rustix::process::geteuid().as_raw();
    let Ok(all) = fs::read_dir(within) else { return };
    for entry in all.flatten() {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let own = fs::symlink_metadata(entry.path()).is_ok_and(|about| {
            use std::os::unix::fs::MetadataExt;
            about.is_dir() && about.uid() == ours
        });
        if !named || !own {
            continue;
        }
        // Without a mark it is being made, or no demo's.
        let Ok(mark) = File::open(entry.path().join(MARK)) else { continue };
        if flock(&mark, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_demo_left_goes_and_what_is_in_use_stays() {
        let within = tempfile::tempdir().unwrap();
        let make = |name: &str, marked: bool| {
            let path = within.path().join(name);
            fs::create_dir(&path).unwrap();
            marked.then(|| File::create(path.join(MARK)).unwrap());
            path
        };
        let [left, used] = ["cronapi-demo-a", "cronapi-demo-b"].map(|name| make(name, true));
        let [unmarked, other] = [make("cronapi-demo-c", false), make("another-demo-d", true)];
        let held = File::open(used.join(MARK)).unwrap();
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
        sweep(within.path());
        assert!(!left.exists() && used.exists() && unmarked.exists() && other.exists());
    }
}
