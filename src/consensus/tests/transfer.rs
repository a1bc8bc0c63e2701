//! A checkpoint and its history on their way from one node to another.

use std::sync::Arc;

use openraft::storage::RaftStateMachine;

use super::super::carried::Carried;
use super::super::state_machine::StateMachine;
use super::super::transfer::{Error, Outgoing, Transfers};
use super::super::types::{Snapshot, Vote};
use super::fixture::{disk, node_on, numbered, numbers, sized, trim};
use super::install::{entry, entry_of, log_id, machine_on};
use crate::storage::{Generation, MemoryDisk, Pair};
use crate::wire::proto::{self, install_part::Part};

/// Every row of a generation.
pub fn rows(generation: &Generation) -> Vec<Pair> {
    let found = generation.rows(&[], usize::MAX).unwrap();
    found.into_iter().map(|(key, value)| (key, value.unwrap())).collect()
}

/// A leader's machine that goes on from entry 9, with numbers 0..100 and some large rows.
async fn leader() -> StateMachine {
    let mut leader = machine_on(&disk()).await;
    let first = entry(8, &(0..100).collect::<Vec<_>>());
    leader.apply([first]).await.unwrap();
    let large = [20_000, 50_000, 100].map(sized);
    leader.apply([entry_of(9, large.to_vec())]).await.unwrap();
    leader
}

/// A snapshot of a machine now.
pub async fn snapshot_of(machine: &mut StateMachine) -> Snapshot {
    use openraft::RaftSnapshotBuilder;
    machine.get_snapshot_builder().await.build_snapshot().await.unwrap()
}

/// The vote of the leader that sends.
pub fn vote() -> Vote {
    Vote::new_committed(3, 77)
}

/// All messages of a transfer.
pub async fn parts_of(snapshot: Snapshot) -> Vec<proto::InstallPart> {
    let mut outgoing = Outgoing::new(&vote(), snapshot).unwrap();
    let mut parts = Vec::new();
    while let Some(part) = outgoing.next().await.unwrap() {
        parts.push(part);
    }
    assert!(outgoing.next().await.unwrap().is_none(), "the end stays the end");
    parts
}

/// Receives messages down to the end.
pub async fn receive(
    transfers: &Transfers,
    parts: &[proto::InstallPart],
) -> Result<Snapshot, Error> {
    let mut incoming = transfers.begin();
    for part in parts {
        incoming.take(part.clone()).await?;
    }
    let (by, snapshot) = incoming.finish().await?;
    assert_eq!(by, vote());
    Ok(snapshot)
}

async fn install(machine: &mut StateMachine, snapshot: Snapshot) {
    machine.install_snapshot(&snapshot.meta, snapshot.snapshot).await.unwrap();
}

fn transfers_of(disk: &MemoryDisk) -> Transfers {
    Transfers::new(Arc::clone(&disk.checkpoints), Arc::clone(&disk.generations))
}

#[tokio::test]
async fn what_a_leader_sends_is_what_the_other_has() {
    let mut leader = leader().await;
    let parts = parts_of(snapshot_of(&mut leader).await).await;
    assert!(matches!(parts[0].part, Some(Part::Head(_))));
    assert!(matches!(parts.last().unwrap().part, Some(Part::End(_))));

    let disk = disk();
    let mut follower = machine_on(&disk).await;
    follower.apply([entry(1, &[500])]).await.unwrap();
    follower.history.persist().await.unwrap();
    let reader = follower.history.generation();
    let before = rows(&reader);
    let snapshot = receive(&transfers_of(&disk), &parts).await.unwrap();
    assert_eq!(snapshot.meta.last_log_id, Some(log_id(9)));
    assert_eq!(numbers(&follower.published().state.load()), [500], "nothing shows before its time");
    install(&mut follower, snapshot).await;

    let (here, there) = (follower.history.generation(), leader.history.generation());
    assert_eq!(rows(&here), rows(&there));
    assert_eq!(follower.history.durable_index(), Some(9));
    assert_eq!(disk.generations.numbers().unwrap(), [0, 1], "somebody still reads the old one");
    assert_eq!(rows(&reader), before);
    drop(reader);
    assert_eq!(disk.generations.numbers().unwrap(), [1], "now it is removed");
    assert_eq!(*follower.published().state.load_full(), *leader.published().state.load_full());

    // It goes on, and a restart keeps it.
    follower.apply([entry(10, &[200])]).await.unwrap();
    drop(follower);
    disk.crash();
    let node = node_on(&disk).await;
    assert_eq!(numbers(&node.state()), (0..100).collect::<Vec<_>>());
    assert_eq!(rows(&node.running.history.generation()), rows(&there));
    assert_eq!(node.status().last_log, 9);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn rows_of_later_entries_change_nothing_once_these_are_applied() {
    let mut leader = leader().await;
    let snapshot = snapshot_of(&mut leader).await;
    // Sent in the middle of it: rows written and removed after the checkpoint's index.
    let later = [entry(10, &[300, 301]), entry(11, &[302]), entry_of(12, vec![trim(0..50)])];
    let mut outgoing = Outgoing::new(&vote(), snapshot).unwrap();
    let mut parts = Vec::new();
    while let Some(part) = outgoing.next().await.unwrap() {
        let first_bytes = parts.len() == 1;
        parts.push(part);
        if first_bytes {
            leader.apply(later.clone()).await.unwrap();
            leader.history.persist().await.unwrap();
        }
    }
    let disk = disk();
    let mut follower = machine_on(&disk).await;
    let snapshot = receive(&transfers_of(&disk), &parts).await.unwrap();
    install(&mut follower, snapshot).await;
    let sent = rows(&follower.history.generation());
    assert_eq!(sent, rows(&leader.history.generation()), "they came along");
    assert_eq!(follower.history.durable_index(), Some(9), "and are not relied on");

    follower.apply(later).await.unwrap();
    follower.history.persist().await.unwrap();
    assert_eq!(rows(&follower.history.generation()), rows(&leader.history.generation()));
    assert_eq!(*follower.published().state.load_full(), *leader.published().state.load_full());
}

#[tokio::test]
async fn a_second_install_takes_the_place_of_the_first() {
    let mut leader = leader().await;
    let disk = disk();
    let mut follower = machine_on(&disk).await;
    let mut numbers_seen = Vec::new();
    for round in 0..4 {
        leader.apply([entry(20 + round, &[1_000 + round])]).await.unwrap();
        let parts = parts_of(snapshot_of(&mut leader).await).await;
        let snapshot = receive(&transfers_of(&disk), &parts).await.unwrap();
        install(&mut follower, snapshot).await;
        numbers_seen.extend(disk.generations.numbers().unwrap());
        assert_eq!(rows(&follower.history.generation()), rows(&leader.history.generation()));
    }
    assert_eq!(numbers_seen, [1, 2, 3, 4], "one at a time");
    assert_eq!(disk.checkpoints.list().unwrap().len(), 2);
    // What it installed it can send on.
    let parts = parts_of(snapshot_of(&mut follower).await).await;
    let third = super::fixture::disk();
    let mut machine = machine_on(&third).await;
    let snapshot = receive(&transfers_of(&third), &parts).await.unwrap();
    install(&mut machine, snapshot).await;
    assert_eq!(rows(&machine.history.generation()), rows(&leader.history.generation()));
}

#[tokio::test]
async fn what_is_not_as_it_was_sent_is_refused() {
    let mut leader = leader().await;
    let good = parts_of(snapshot_of(&mut leader).await).await;
    let disk = disk();
    let _ = machine_on(&disk).await;
    let transfers = transfers_of(&disk);
    let at = |wanted: fn(&Part) -> bool| {
        good.iter().position(|part| wanted(part.part.as_ref().unwrap())).unwrap()
    };
    let bytes = at(|part| matches!(part, Part::Checkpoint(_)));
    let rows = at(|part| matches!(part, Part::Rows(_)));

    let mut cases: Vec<(&str, Vec<proto::InstallPart>)> = Vec::new();
    for missing in 0..good.len() {
        let mut parts = good.clone();
        parts.remove(missing);
        cases.push(("a message is missing", parts));
    }
    for (first, second) in [(0, 1), (bytes, rows), (rows, good.len() - 1)] {
        let mut parts = good.clone();
        parts.swap(first, second);
        cases.push(("messages are out of order", parts));
    }
    for twice in 0..good.len() {
        let mut parts = good.clone();
        parts.insert(twice, good[twice].clone());
        cases.push(("a message comes twice", parts));
    }
    let mut spoilt = good.clone();
    if let Some(Part::Checkpoint(piece)) = &mut spoilt[bytes].part {
        let mut changed = piece.to_vec();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        *piece = changed.into();
    }
    cases.push(("a bit is flipped", spoilt));
    let mut unordered = good.clone();
    if let Some(Part::Rows(rows)) = &mut unordered[rows].part {
        rows.rows.swap(0, 1);
    }
    cases.push(("rows are out of order", unordered));
    for (case, parts) in cases {
        assert!(receive(&transfers, &parts).await.is_err(), "{case}");
        assert_eq!(disk.generations.numbers().unwrap(), [0], "{case}: something is left behind");
    }
    assert!(disk.checkpoints.list().unwrap().is_empty());
    receive(&transfers, &good).await.map(drop).unwrap();
}

#[tokio::test]
async fn a_newer_transfer_ends_the_one_before() {
    let mut leader = leader().await;
    let parts = parts_of(snapshot_of(&mut leader).await).await;
    let disk = disk();
    let mut follower = machine_on(&disk).await;
    let transfers = transfers_of(&disk);
    let mut first = transfers.begin();
    for part in &parts[..2] {
        first.take(part.clone()).await.unwrap();
    }
    assert_eq!(disk.generations.numbers().unwrap(), [0, 1]);
    let mut second = transfers.begin();
    assert_eq!(disk.generations.numbers().unwrap(), [0], "what the first had is gone at once");
    second.take(parts[0].clone()).await.unwrap();
    assert!(matches!(first.take(parts[2].clone()).await, Err(Error::Replaced)));
    drop(first);
    for part in &parts[1..] {
        second.take(part.clone()).await.unwrap();
    }
    let (_, snapshot) = second.finish().await.unwrap();
    install(&mut follower, snapshot).await;
    assert_eq!(rows(&follower.history.generation()), rows(&leader.history.generation()));
}

/// The steps of a transfer and an install, and a crash after each.
#[tokio::test]
async fn a_crash_at_any_step_leaves_the_old_or_the_new() {
    let mut leader = leader().await;
    let parts = parts_of(snapshot_of(&mut leader).await).await;
    let sent = rows(&leader.history.generation());
    for step in 0..=parts.len() + 3 {
        let disk = disk();
        let before = node_on(&disk).await;
        before.submit(numbered(500)).await.unwrap();
        let kept = {
            before.history().persist().await.unwrap();
            rows(&before.running.history.generation())
        };
        before.shutdown().await.unwrap();
        let transfers = transfers_of(&disk);
        let mut incoming = transfers.begin();
        for part in parts.iter().take(step) {
            incoming.take(part.clone()).await.unwrap();
        }
        let mut published = false;
        if step <= parts.len() {
            std::mem::forget(incoming);
        } else {
            let (_, snapshot) = incoming.finish().await.unwrap();
            let Carried::Received(received) = *snapshot.snapshot else { panic!("not received") };
            received.generation.keep();
            if step > parts.len() + 1 {
                disk.checkpoints.reveal(received.checkpoint).unwrap();
                published = true;
            } else {
                std::mem::forget(received.checkpoint);
            }
            if step > parts.len() + 2 {
                // The old generation is given up, and its removal had begun.
                disk.generations.sweep(received.generation.number()).unwrap();
            }
        }
        disk.crash();
        let node = node_on(&disk).await;
        let (state, history) = (node.state(), node.running.history.generation());
        if published {
            assert_eq!(numbers(&state), (0..100).collect::<Vec<_>>(), "step {step}");
            assert_eq!(rows(&history), sent, "step {step}");
        } else {
            assert_eq!(numbers(&state), [500], "step {step}");
            assert_eq!(rows(&history), kept, "step {step}");
        }
        assert_eq!(disk.generations.numbers().unwrap(), [history.number()], "step {step}");
        node.shutdown().await.unwrap();
    }
}
