//! How much room the disk of the data directory has, and what has to wait until it has more.
//!
//! A node whose disk is full can't write its log, and must stop. So before that, in this order,
//! it does without output, and without new jobs and runs that somebody asks for. What is
//! scheduled goes on to the end: that is what the last of the room is kept for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::statvfs;
use tokio::sync::watch;

use super::Error;
use super::off_thread::off_thread;

/// Output waits below a tenth of the disk, within these bounds: less may go in the moment that
/// nobody looks, and more is room for a whole copy of everything.
const OUTPUT_BELOW_MIN: u64 = 64 * 1024 * 1024;
const OUTPUT_BELOW_MAX: u64 = 1024 * 1024 * 1024;
/// And never below more than this share of a small disk.
const OUTPUT_BELOW_SHARE: u64 = 5;
/// How often it is measured.
const EVERY: Duration = Duration::from_millis(250);
/// A file is written once in so many times.
const WRITE_EVERY: u32 = 20;
/// Its name.
const PROBE: &str = "write-probe";

/// What has to wait for room on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Nothing.
    #[default]
    None,
    /// Output of runs.
    Output,
    /// Output, and everything that somebody asks for and that is kept: jobs and triggers.
    Writes,
}

/// What a disk has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this process may still take.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

impl Room {
    /// Output waits while less than this is free.
    pub fn output_below(self) -> u64 {
        let share = (self.total / 10).clamp(OUTPUT_BELOW_MIN, OUTPUT_BELOW_MAX);
        share.min(self.total / OUTPUT_BELOW_SHARE)
    }

    /// Jobs and triggers wait while less than this is free.
    pub fn writes_below(self) -> u64 {
        self.output_below() / 2
    }

    /// What has to wait. What waited `before` waits until a quarter more is free, so that it
    /// does not come and go with every write.
    pub fn pressure(self, before: Pressure) -> Pressure {
        let short = |pressure, limit: u64| {
            let limit = if before >= pressure { limit + limit / 4 } else { limit };
            self.free < limit
        };
        if short(Pressure::Writes, self.writes_below()) {
            Pressure::Writes
        } else if short(Pressure::Output, self.output_below()) {
            Pressure::Output
        } else {
            Pressure::None
        }
    }
}

/// Watches the room of a node. Cheap to clone.
#[derive(Clone)]
pub struct Space {
    /// `None`: in memory, where a test says what it is.
    path: Option<PathBuf>,
    pressure: Arc<watch::Sender<Pressure>>,
    room: Arc<watch::Sender<Room>>,
    /// Why a file could not be written; none: it could.
    unwritable: Arc<watch::Sender<Option<String>>>,
}

impl Space {
    /// Of the disk that a directory is on.
    ///
    /// # Errors
    /// It can't be measured.
    pub fn of(path: PathBuf) -> Result<Self, Error> {
        let room = measure(&path)?;
        let pressure = Arc::new(watch::Sender::new(room.pressure(Pressure::None)));
        let (path, room) = (Some(path), Arc::new(watch::Sender::new(room)));
        Ok(Self { path, pressure, room, unwritable: Arc::default() })
    }

    /// Of a node in memory.
    pub fn in_memory() -> Self {
        Self {
            path: None,
            pressure: Arc::default(),
            room: Arc::default(),
            unwritable: Arc::default(),
        }
    }

    /// Says what has to wait, of a node in memory.
    pub fn press(&self, pressure: Pressure) {
        self.pressure.send_replace(pressure);
    }

    /// What has to wait now.
    pub fn pressure(&self) -> Pressure {
        *self.pressure.borrow()
    }

    /// What the disk had when it was measured last; nothing of a node in memory.
    pub fn room(&self) -> Room {
        *self.room.borrow()
    }

    /// Whether a file could be written when that was tried last.
    ///
    /// # Errors
    /// Why not.
    pub fn writable(&self) -> Result<(), String> {
        self.unwritable.borrow().clone().map_or(Ok(()), Err)
    }

    /// Follows what has to wait.
    pub fn watch(&self) -> watch::Receiver<Pressure> {
        self.pressure.subscribe()
    }

    /// Measures now and then, until `stop` turns true. Run it as a task of its own.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let Some(path) = self.path.clone() else { return };
        let mut round: u32 = 0;
        loop {
            if round.is_multiple_of(WRITE_EVERY) {
                let path = path.clone();
                let tried = off_thread(true, "write to the disk", move || write(&path)).await;
                self.note_written(tried);
            }
            round = round.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let path = path.clone();
            match off_thread(true, "measure the disk", move || measure(&path)).await {
                Ok(room) => self.note(room),
                Err(error) => return tracing::warn!(%error, "the disk is not watched any more"),
            }
        }
    }

    fn note_written(&self, tried: Result<(), Error>) {
        let now = tried.err().map(|error| error.to_string());
        self.unwritable.send_if_modified(|before| {
            let changed = *before != now;
            if changed {
                match &now {
                    Some(error) => tracing::error!(%error, "the disk can't be written to"),
                    None => tracing::info!("the disk can be written to again"),
                }
                *before = now;
            }
            changed
        });
    }

    fn note(&self, room: Room) {
        self.room.send_replace(room);
        let before = self.pressure();
        let now = room.pressure(before);
        if now == before {
            return;
        }
        let free_mib = room.free / 1024 / 1024;
        match now {
            Pressure::None => tracing::info!(free_mib, "the disk has room again"),
            Pressure::Output => tracing::warn!(free_mib, "the disk fills up: no output is kept"),
            Pressure::Writes => tracing::error!(
                free_mib,
                "the disk is nearly full: jobs and triggers are refused, no output is kept"
            ),
        }
        self.pressure.send_replace(now);
    }
}

/// Writes a small file and removes it: a disk that was mounted read-only refuses that.
fn write(directory: &Path) -> Result<(), Error> {
    let file = directory.join(PROBE);
    let failed = |e| Error::file("write", &file, e);
    std::fs::write(&file, b"written to see whether it can be\n").map_err(failed)?;
    std::fs::remove_file(&file).map_err(failed)
}

fn measure(path: &PathBuf) -> Result<Room, Error> {
    let found = statvfs(path).map_err(|e| Error::file("measure the disk of", path, e.into()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Room { free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn room(free: u64, total: u64) -> Room {
        Room { free: free * MIB, total: total * MIB }
    }

    #[test]
    fn disks_of_all_sizes_have_limits_that_fit_them() {
        for (total, output) in
            [(64, 12), (200, 40), (400, 64), (2_000, 200), (100_000, 1024), (8_000_000, 1024)]
        {
            let limit = room(0, total).output_below() / MIB;
            assert_eq!(limit, output, "{total} MiB");
        }
        assert_eq!(room(0, 100_000).writes_below(), 512 * MIB);
        assert_eq!(room(0, 0).pressure(Pressure::None), Pressure::None, "of no size: unknown");
    }

    #[test]
    fn output_goes_first_and_comes_back_last() {
        let mut now = Pressure::None;
        let mut seen = Vec::new();
        // A disk of 10,000 MiB: below 1,000 no output, below 500 no writes.
        for free in [1_100, 999, 1_100, 501, 499, 600, 624, 626, 1_200, 1_249, 1_251, 1_000] {
            now = room(free, 10_000).pressure(now);
            seen.push(now);
        }
        use Pressure::{None as N, Output as O, Writes as W};
        assert_eq!(seen, [N, O, O, O, W, W, W, O, O, O, N, N]);
    }

    #[test]
    fn a_directory_that_takes_no_file_is_not_writable() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::of(dir.path().to_owned()).unwrap();
        space.note_written(write(dir.path()));
        space.writable().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "it was removed");
        // A directory in its place: root is stopped by nothing less.
        std::fs::create_dir(dir.path().join(PROBE)).unwrap();
        space.note_written(write(dir.path()));
        assert!(space.writable().unwrap_err().contains(PROBE));
        std::fs::remove_dir(dir.path().join(PROBE)).unwrap();
        space.note_written(write(dir.path()));
        space.writable().unwrap();
    }

    #[test]
    fn the_disk_of_a_directory_is_measured() {
        let dir = tempfile::tempdir().unwrap();
        let room = measure(&dir.path().to_owned()).unwrap();
        assert!(room.total > 0 && room.free <= room.total);
        assert!(measure(&dir.path().join("missing")).is_err());
    }
}
