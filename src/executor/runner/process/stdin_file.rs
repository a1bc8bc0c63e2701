//! Standard input as a file in memory.
//!
//! A pipe must be written while the process runs, by something that copes with a process
//! that never reads. A file is complete before the process starts, ends where it ends, and
//! asks for no attention. It never touches a disk and goes with its last reader.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, memfd_create};

/// A file that holds `bytes`, opened at its beginning.
///
/// # Errors
/// A sentence, when the machine is out of file descriptors or memory.
pub(in super::super) fn with(bytes: &[u8]) -> Result<OwnedFd, String> {
    let file = || -> io::Result<OwnedFd> {
        let file = File::from(memfd_create("cronapi-stdin", MemfdFlags::CLOEXEC)?);
        file.write_all_at(bytes, 0)?;
        Ok(file.into())
    };
    file().map_err(|e| format!("can't prepare standard input: {e}"))
}

/// What was added to such a file from `offset` on, at most `max` bytes.
pub(in super::super) fn read_back(file: OwnedFd, offset: u64, max: usize) -> Vec<u8> {
    let file = File::from(file);
    let length = file.metadata().map_or(0, |found| found.len()).saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(max)];
    match file.read_exact_at(&mut bytes, offset) {
        Ok(()) => bytes,
        Err(_) => Vec::new(),
    }
}
