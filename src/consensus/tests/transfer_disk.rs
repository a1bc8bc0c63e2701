//! Transfers between nodes on disk, and what the consensus library makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::carried::Carried;
use super::super::purge_guard::PurgeGuard;
use super::super::transfer::Transfers;
use super::super::types::Snapshot;
use super::super::{Handle, Options, open};
use super::damage::copy;
use super::fixture::{NOW_MS, accepted, node, numbered, numbers, sized};
use super::transfer::{parts_of, receive, rows, vote};
use crate::storage::{Checkpoints, Error, Fatal, Generation, Generations, Pair};

/// Opens a node that waits to be taken into a cluster.
async fn newcomer(path: &Path) -> Handle {
    let join = vec!["nobody:1".to_owned()];
    open(Options { join, ..Options::new(path, NOW_MS) }).await.unwrap()
}

fn transfers_of(path: &Path) -> Transfers {
    let checkpoints = Checkpoints::open(&path.join("checkpoints")).unwrap();
    let generations = Generations::on_disk(path, Arc::new(())).unwrap();
    Transfers::new(Arc::new(checkpoints), Arc::new(generations))
}

async fn snapshot_of(node: &Handle) -> Snapshot {
    let applied = node.status().applied;
    node.running.raft.trigger().snapshot().await.unwrap();
    let mut metrics = node.running.raft.metrics();
    let taken = metrics.wait_for(|now| now.snapshot.is_some_and(|id| id.index >= applied));
    taken.await.unwrap();
    node.running.raft.get_snapshot().await.unwrap().unwrap()
}

async fn rows_of(node: &Handle) -> Vec<Pair> {
    node.history().persist().await.unwrap();
    rows(&node.history().generation())
}

fn names_in(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("state"));
    names.sort();
    names
}

/// What was given up is removed by a thread that may block.
async fn settled(path: &Path, names: &[&str]) {
    let began = Instant::now();
    while names_in(path) != names {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", names_in(path));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_has_all_history_though_the_leader_writes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (there, here) = (dir.path().join("leader"), dir.path().join("new"));
    let leader = node(&there).await;
    for n in 0..200 {
        leader.submit(numbered(n)).await.unwrap();
    }
    for bytes in [9_000, 30_000, 50_000] {
        leader.submit(sized(bytes)).await.unwrap();
    }
    let before = rows_of(&leader).await;
    let snapshot = snapshot_of(&leader).await;
    let writer = {
        let leader = leader.clone();
        tokio::spawn(async move {
            for n in 200..400 {
                leader.submit(numbered(n)).await.unwrap();
            }
        })
    };
    let new = newcomer(&here).await;
    let parts = parts_of(snapshot).await;
    let snapshot = receive(&transfers_of(&here), &parts).await.unwrap();
    let index = snapshot.meta.last_log_id.unwrap().index;
    writer.await.unwrap();
    new.running.raft.install_full_snapshot(vote(), snapshot).await.unwrap();

    assert_eq!(numbers(&new.state()), (0..200).collect::<Vec<_>>());
    let status = new.status();
    assert_eq!((status.applied, status.purged, status.history), (index, index, index));
    let found: BTreeMap<_, _> = rows_of(&new).await.into_iter().collect();
    let after: BTreeMap<_, _> = rows_of(&leader).await.into_iter().collect();
    assert!(before.iter().all(|(key, value)| found.get(key) == Some(value)), "a row is missing");
    assert!(found.iter().all(|(key, value)| after.get(key) == Some(value)), "a row is new");
    settled(&here, &["state.1"]).await;
    new.shutdown().await.unwrap();

    // A restart keeps it; so does a second install, which frees what the first one took.
    let new = newcomer(&here).await;
    assert_eq!(rows_of(&new).await.len(), found.len());
    let parts = parts_of(snapshot_of(&leader).await).await;
    let snapshot = receive(&transfers_of(&here), &parts).await.unwrap();
    new.running.raft.install_full_snapshot(vote(), snapshot).await.unwrap();
    assert_eq!(rows_of(&new).await, rows_of(&leader).await);
    settled(&here, &["state.2"]).await;
    new.health().unwrap();
    new.shutdown().await.unwrap();
    leader.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_library_does_not_want_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (there, here) = (dir.path().join("leader"), dir.path().join("new"));
    let leader = node(&there).await;
    leader.submit(numbered(1)).await.unwrap();
    let early = parts_of(snapshot_of(&leader).await).await;
    leader.submit(numbered(2)).await.unwrap();
    let late = parts_of(snapshot_of(&leader).await).await;
    let new = newcomer(&here).await;
    let transfers = transfers_of(&here);
    for (parts, received) in [(late, ["state", "state.1"]), (early, ["state.1", "state.2"])] {
        let snapshot = receive(&transfers, &parts).await.unwrap();
        assert_eq!(names_in(&here), received);
        new.running.raft.install_full_snapshot(vote(), snapshot).await.unwrap();
        assert_eq!(numbers(&new.state()), [1, 2], "the older one changes nothing");
        settled(&here, &["state.1"]).await;
    }
    assert_eq!(fs::read_dir(here.join("checkpoints")).unwrap().count(), 1);
    new.shutdown().await.unwrap();
    leader.shutdown().await.unwrap();
}

/// Copies the receiver's directory after each step, and opens the copy.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_step_leaves_the_old_or_the_new_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().join("here");
    let leader = node(&dir.path().join("leader")).await;
    for n in 0..100 {
        leader.submit(numbered(n)).await.unwrap();
    }
    leader.submit(sized(40_000)).await.unwrap();
    let parts = parts_of(snapshot_of(&leader).await).await;
    let sent = rows_of(&leader).await;
    let old = node(&here).await;
    old.submit(numbered(500)).await.unwrap();
    let kept = rows_of(&old).await;
    old.shutdown().await.unwrap();

    let transfers = transfers_of(&here);
    let mut incoming = transfers.begin();
    let mut cases = Vec::new();
    let mut crash = |new: bool| {
        let path = dir.path().join(format!("case-{}", cases.len()));
        copy(&here, &path);
        cases.push((path, new));
    };
    for part in &parts {
        incoming.take(part.clone()).await.unwrap();
        crash(false);
    }
    let (_, snapshot) = incoming.finish().await.unwrap();
    crash(false);
    let Carried::Received(received) = *snapshot.snapshot else { panic!("not received") };
    received.generation.keep();
    transfers.checkpoints().reveal(received.checkpoint).unwrap();
    crash(true);
    fs::rename(here.join("state"), here.join("state.removed")).unwrap();
    crash(true);
    fs::remove_file(here.join("state.removed/db")).unwrap();
    crash(true);
    for (path, new) in cases {
        // Not ours, so never touched.
        fs::create_dir(path.join("state.old")).unwrap();
        fs::create_dir(path.join("state.01")).unwrap();
        let node = newcomer(&path).await;
        let live = if new { "state.1" } else { "state" };
        let found = rows(&node.history().generation());
        assert_eq!(found, if new { sent.clone() } else { kept.clone() }, "{}", path.display());
        let mut expected = [live, "state.01", "state.old"];
        expected.sort_unstable();
        assert_eq!(names_in(&path), expected);
        let left = fs::read_dir(path.join("checkpoints")).unwrap();
        let mut left = left.map(|entry| entry.unwrap().path());
        assert!(left.all(|file| file.extension().is_some_and(|end| end == "checkpoint")));
        node.shutdown().await.unwrap();
        if new {
            // The history that the checkpoint names is lost: that is never passed over.
            fs::rename(path.join("state.1"), path.join("lost")).unwrap();
            let refused = open(Options::new(&path, NOW_MS)).await.map(drop).unwrap_err();
            assert!(refused.to_string().contains("is damaged"), "{refused}");
            assert!(!path.join("state.1").exists(), "nothing is put in its place");
        }
    }
    leader.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_log_is_not_purged_before_a_checkpoint_covers_it() {
    let (purge_guard, fatal) = (PurgeGuard::upto(3), Fatal::default());
    purge_guard.wait_for(3, &fatal).await.unwrap();
    let wait = |index| {
        let (purge_guard, fatal) = (purge_guard.clone(), fatal.clone());
        tokio::spawn(async move { purge_guard.wait_for(index, &fatal).await })
    };
    let (near, far) = (wait(9), wait(10));
    purge_guard.reach(5);
    tokio::task::yield_now().await;
    assert!(!near.is_finished());
    purge_guard.reach(9);
    purge_guard.reach(4);
    near.await.unwrap().unwrap();
    assert!(!far.is_finished());
    // It never will be: the node stops instead.
    fatal.raise("on purpose");
    assert!(matches!(far.await.unwrap(), Err(Error::Stopped)));
}

/// Rows of the sizes that most have, many at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_rows_are_carried_over() {
    const ROWS: u32 = 10_000;
    let dir = tempfile::tempdir().unwrap();
    let leader = node(&dir.path().join("leader")).await;
    leader.submit(numbered(1)).await.unwrap();
    let key = |n: u32| Bytes::from([&b"r"[..], &n.to_be_bytes(), &[7; 16]].concat());
    let generation: Generation = leader.history().generation();
    for first in (0..ROWS).step_by(1_000) {
        let many = first..first + 1_000;
        generation.fill(many.map(|n| (key(n), Bytes::from(vec![n as u8; 300])))).unwrap();
    }
    let parts = parts_of(snapshot_of(&leader).await).await;
    let here = dir.path().join("new");
    let new = newcomer(&here).await;
    let began = Instant::now();
    let snapshot = receive(&transfers_of(&here), &parts).await.unwrap();
    let received = began.elapsed();
    new.running.raft.install_full_snapshot(vote(), snapshot).await.unwrap();
    println!("{ROWS} rows: received in {received:?}, installed in {:?}", began.elapsed());
    assert_eq!(rows_of(&new).await, rows_of(&leader).await);
    assert!(accepted(&leader.submit(numbered(2)).await.unwrap().answer));
    new.shutdown().await.unwrap();
    leader.shutdown().await.unwrap();
}
