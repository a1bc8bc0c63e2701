//! A temporary folder for one test, and the end of everything that was started in it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tempfile::TempDir;

/// A folder that goes with the test, unless the test failed: then it is kept for a look.
///
/// Its path is the `TMPDIR` of every daemon started in it, which children inherit: so what a
/// killed daemon left running is found and ended, and nothing else ever is.
pub struct Sandbox {
    folder: Option<TempDir>,
    path: PathBuf,
}

impl Sandbox {
    /// A new one.
    ///
    /// # Panics
    /// There is no temporary folder.
    pub fn new() -> Sandbox {
        let folder = tempfile::Builder::new().prefix("cronapi-test-").tempdir().expect("a folder");
        let path = folder.path().to_owned();
        for name in ["witness", "tmp"] {
            fs::create_dir(path.join(name)).expect("an empty folder can be filled");
        }
        Sandbox { folder: Some(folder), path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where jobs leave their witness.
    pub fn witness(&self) -> PathBuf {
        self.path.join("witness")
    }

    /// The `TMPDIR` of daemons and their children.
    pub fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Leaves the folder where it is, for a person to look at.
    pub fn keep(&mut self) {
        if let Some(folder) = self.folder.take() {
            let _ = folder.keep();
        }
    }

    /// Processes that were started in it and still run.
    pub fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        entries.flatten().filter_map(pid).filter(|pid| self.owns(*pid)).collect()
    }

    fn owns(&self, pid: u32) -> bool {
        let variable = format!("TMPDIR={}", self.tmp().display());
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
            environ.split(|byte| *byte == 0).any(|item| item == variable.as_bytes())
        })
    }

    /// Ends them. Each is looked at again once it is held: its number may have passed on.
    pub fn sweep(&self) {
        for pid in self.processes() {
            let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let Some(number) = number.filter(|_| pid != std::process::id()) else { continue };
            if let Ok(held) = pidfd_open(number, PidfdFlags::empty())
                && self.owns(pid)
            {
                // An error says that it has just ended by itself.
                let _ = pidfd_send_signal(&held, Signal::KILL);
            }
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Sandbox::new()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.sweep();
        if std::thread::panicking() && self.folder.is_some() {
            eprintln!("kept for a look: {}", self.path.display());
            self.keep();
        }
    }
}
