//! A machine that is replaced by a checkpoint from a leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{CommittedLeaderId, EntryPayload, RaftSnapshotBuilder};

use super::super::state_machine::StateMachine;
use super::super::types::{Entry, LogId, Membership, Node, Payload};
use super::fixture::{disk, node_on, numbered, numbers};
use super::suite::assemble;
use crate::machine::Command;
use crate::storage::{KvLog, MemoryDisk};
use crate::wire::{Batch, EncodedCommand};

/// The log id of an entry that the leader made.
pub fn log_id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(3, 77), index)
}

/// An entry with these commands.
pub fn entry_of(index: u64, commands: Vec<Command>) -> Entry {
    let encode = |command| EncodedCommand::new(command).unwrap();
    let payload = Payload::new(Batch::new(commands.into_iter().map(encode).collect()));
    Entry { log_id: log_id(index), payload: EntryPayload::Normal(payload) }
}

/// An entry with numbered commands.
pub fn entry(index: u64, numbers: &[u64]) -> Entry {
    entry_of(index, numbers.iter().map(|n| numbered(*n)).collect())
}

/// A machine on a disk in memory, without the library.
pub async fn machine_on(disk: &Arc<MemoryDisk>) -> StateMachine {
    let (checkpoints, generations) = (Arc::clone(&disk.checkpoints), Arc::clone(&disk.generations));
    assemble(KvLog::over(Arc::clone(&disk.log) as _), checkpoints, generations).await.1
}

/// A leader's machine at entry 9, with numbers 1, 2 and 3.
async fn leader() -> StateMachine {
    let mut leader = machine_on(&disk()).await;
    let nodes = BTreeMap::from([(77, Node { addr: "there:1".to_owned() })]);
    let membership = Membership::new(vec![BTreeSet::from([77])], nodes);
    let first = Entry { log_id: log_id(7), payload: EntryPayload::Membership(membership) };
    leader.apply([first, entry(8, &[1, 2]), entry(9, &[3])]).await.unwrap();
    leader
}

#[tokio::test]
async fn the_state_of_a_leader_replaces_what_was_there() {
    let mut leader = leader().await;
    let snapshot = leader.get_snapshot_builder().await.build_snapshot().await.unwrap();

    let disk = disk();
    let mut follower = machine_on(&disk).await;
    follower.apply([entry(1, &[50])]).await.unwrap();
    follower.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
    let published = follower.published();
    assert_eq!(numbers(&published.state.load()), [1, 2, 3]);
    assert_eq!(*published.applied.borrow(), 9);
    assert!(published.events.since(8, 0).is_err(), "its watchers begin anew");
    follower.apply([entry(10, &[4])]).await.unwrap();
    drop(follower);
    disk.crash();

    // A restart begins with what was installed, although the log never had it.
    let node = node_on(&disk).await;
    assert_eq!(numbers(&node.state()), [1, 2, 3]);
    assert_eq!(node.status().last_log, 9);
    assert!(!node.leadership().borrow().is_leader, "it is no voter of that cluster");
    node.shutdown().await.unwrap();
}
