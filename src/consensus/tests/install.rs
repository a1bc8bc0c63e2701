//! A machine that is replaced by a checkpoint from a leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{CommittedLeaderId, EntryPayload, RaftSnapshotBuilder};

use super::super::state_machine::StateMachine;
use super::super::types::{Entry, LogId, Membership, Node, Payload};
use super::fixture::{disk, node_on, numbered, numbers, row_of};
use super::suite::assemble;
use crate::storage::MemoryDisk;
use crate::wire::{Batch, EncodedCommand};

fn log_id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(3, 77), index)
}

fn entry(index: u64, numbers: &[u64]) -> Entry {
    let encode = |n: &u64| EncodedCommand::new(numbered(*n)).unwrap();
    let payload = Payload::new(Batch::new(numbers.iter().map(encode).collect()));
    Entry { log_id: log_id(index), payload: EntryPayload::Normal(payload) }
}

async fn machine_on(disk: &Arc<MemoryDisk>) -> StateMachine {
    let (log, state) = (Arc::clone(&disk.log), Arc::clone(&disk.state));
    assemble(log, state, Arc::clone(&disk.checkpoints)).await.1
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

#[tokio::test]
async fn a_crash_in_the_middle_of_an_install_is_mended() {
    let mut leader = leader().await;
    let disk = disk();
    let mut builder = leader.get_snapshot_builder().await;
    builder.history = {
        let state = Arc::clone(&disk.state);
        crate::storage::History::open(state, Default::default()).unwrap()
    };
    builder.checkpoints = Arc::clone(&disk.checkpoints);
    builder.installed = true;
    builder.build().await.unwrap();
    // The checkpoint is there; the history was never told to jump.
    let node = node_on(&disk).await;
    assert_eq!(numbers(&node.state()), [1, 2, 3]);
    assert_eq!(node.history().durable_index(), Some(9));
    assert!(node.history().get(&row_of(&node, 1)).await.unwrap().is_none());
    node.shutdown().await.unwrap();
}
