//! The wall clock and the disk of a node, as it sees them: a small C library that is loaded
//! before its own, and a file by which the two are steered while it runs.
//!
//! The attempts of a node do not load it, so what they witness is the real time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Launch;
use super::command::run;

const SOURCE: &str = include_str!("shim.c");

/// The library, compiled.
#[derive(Clone, Debug)]
pub struct Shim(PathBuf);

/// What one node is steered by.
#[derive(Clone, Debug)]
pub struct Control {
    path: PathBuf,
    clock_ns: i64,
    pause_us: i64,
}

impl Shim {
    /// Compiles it into a folder.
    ///
    /// # Errors
    /// There is no C compiler.
    pub fn compile(folder: &Path) -> Result<Shim, String> {
        let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
        fs::write(&source, SOURCE).map_err(|error| error.to_string())?;
        let (from, to) = (source.display().to_string(), library.display().to_string());
        run(&["cc", "-shared", "-fPIC", "-O2", "-o", &to, &from, "-ldl"], "")?;
        Ok(Shim(library))
    }

    /// A control in `folder` for the node `name`, and the launch that obeys it.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn steer(
        &self,
        launch: Launch,
        folder: &Path,
        name: &str,
    ) -> Result<(Launch, Control), String> {
        let path = folder.join(format!("{name}.control"));
        let mut control = Control { path, clock_ns: 0, pause_us: 0 };
        control.write()?;
        let launch = launch
            .env("LD_PRELOAD", &self.0.display().to_string())
            .env("CRONAPI_TEST_CONTROL", &control.path.display().to_string());
        Ok((launch, control))
    }
}

impl Control {
    /// Moves the clock so many seconds from the real time.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn set_clock(&mut self, seconds: i64) -> Result<(), String> {
        self.clock_ns = seconds * 1_000_000_000;
        self.write()
    }

    /// Lets each sync take so much longer.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn set_sync_pause(&mut self, pause: Duration) -> Result<(), String> {
        self.pause_us = i64::try_from(pause.as_micros()).unwrap_or(i64::MAX);
        self.write()
    }

    /// In place: the node has the file mapped.
    fn write(&mut self) -> Result<(), String> {
        use std::os::unix::fs::FileExt;
        let mut bytes = self.clock_ns.to_ne_bytes().to_vec();
        bytes.extend(self.pause_us.to_ne_bytes());
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&self.path);
        let written = file.and_then(|file| file.write_all_at(&bytes, 0));
        written.map_err(|error| format!("{}: {error}", self.path.display()))
    }
}
