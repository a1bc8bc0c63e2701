//! The only place where these tests know what the machine's commands are.

use std::path::Path;
use std::sync::Arc;

use super::super::{Handle, Options, open};
use crate::machine::{Answer, Command, Event, State};
use crate::storage::{Identity, MemoryDisk};

/// Any time: tests have no clock.
pub const NOW_MS: u64 = 1_790_000_000_000;

/// A command that is accepted once for each number, and refused after.
pub fn numbered(n: u64) -> Command {
    Command::Take { slot: n }
}

/// Whether a numbered command was accepted.
pub fn accepted(answer: &Answer) -> bool {
    answer.is_ok()
}

/// The numbers accepted so far, ascending.
pub fn numbers(state: &State) -> Vec<u64> {
    state.slots.keys().copied().collect()
}

/// The history key that a numbered command writes.
pub fn row_of(n: u64) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

/// The number an event is about.
pub fn number_in(event: &Event) -> u64 {
    event.slot
}

/// A command of about this many bytes.
pub fn sized(bytes: usize) -> Command {
    Command::Record { key: b"sized".to_vec(), value: Some(vec![7; bytes]) }
}

/// A command that meets a bug in the machine.
pub fn panicking() -> Command {
    Command::Boom
}

/// Opens a node in a directory.
pub async fn node(path: &Path) -> Handle {
    open(Options::new(path, NOW_MS)).await.unwrap()
}

/// Opens a node that takes a checkpoint every few entries.
pub async fn node_with_many_checkpoints(path: &Path) -> Handle {
    open(Options { checkpoint_entries: 30, ..Options::new(path, NOW_MS) }).await.unwrap()
}

/// Opens a node that keeps everything in memory.
pub async fn node_in_memory() -> Handle {
    node_on(&disk()).await
}

/// An empty disk in memory.
pub fn disk() -> Arc<MemoryDisk> {
    MemoryDisk::new(Identity::generate(NOW_MS).unwrap())
}

/// Opens a node on such a disk.
pub async fn node_on(disk: &Arc<MemoryDisk>) -> Handle {
    let in_memory = Some(Arc::clone(disk));
    open(Options { in_memory, ..Options::new("unused", NOW_MS) }).await.unwrap()
}
