//! A disk that can be full: a file system in memory, of a size.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::command::run;

/// A mounted one; it is gone when this is dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

/// Room for a scenario of some minutes.
const MEGABYTES: usize = 512;
const FILLER: &str = "filler";

impl Disk {
    /// Mounts one at a folder, which is made.
    ///
    /// # Errors
    /// It needs root.
    pub fn mount(at: &Path) -> Result<Disk, String> {
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let (size, path) = (format!("size={MEGABYTES}m"), at.display().to_string());
        run(&["mount", "-t", "tmpfs", "-o", &size, "cronapi-test", &path], "")?;
        Ok(Disk(at.to_owned()))
    }

    /// Takes all the room there is.
    pub fn fill(&self) {
        let chunk = vec![0_u8; 1 << 16];
        if let Ok(mut file) = fs::File::create(self.0.join(FILLER)) {
            // The error that ends it is the one that is wanted; what is left is less than a
            // chunk, and goes byte by page.
            while file.write_all(&chunk).is_ok() {}
            while file.write_all(&chunk[..4_096]).is_ok() {}
        }
    }

    /// Gives it back.
    pub fn free(&self) {
        let _ = fs::remove_file(self.0.join(FILLER));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what is open goes with its process.
        let _ = run(&["umount", "-l", &self.0.display().to_string()], "");
    }
}
