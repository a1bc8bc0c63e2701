//! Tests of the parts of storage, on disk and in memory.

mod checkpoints;
mod format_file;
mod generations;
mod history;
mod image;
mod kv;
mod log;
mod ours;
mod pool;

use std::sync::Arc;

use super::{Kv, MemoryKv, Profile, SledKv};

/// The same test's Kv in memory and on disk; the directory lives as long as the guard.
fn both(profile: Profile) -> (tempfile::TempDir, [Arc<dyn Kv>; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let sled = SledKv::open(dir.path(), profile, Arc::new(())).unwrap();
    (dir, [Arc::new(MemoryKv::new(profile.limits())), Arc::new(sled)])
}
