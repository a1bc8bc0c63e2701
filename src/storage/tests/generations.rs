use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::super::rows::PIECE_BYTES;
use super::super::{
    Direction, Error, Fatal, Generation, Generations, History, Limits, MemoryKv, Scan,
};

fn row(n: u32, value: u8) -> (Bytes, Bytes) {
    // Every seventh is stored in pieces.
    let size = if n.is_multiple_of(7) { PIECE_BYTES * 2 } else { 10 };
    (Bytes::copy_from_slice(&n.to_be_bytes()), Bytes::from(vec![value; size]))
}

fn all() -> Scan {
    Scan { from: vec![], to: vec![255], direction: Direction::Forward, limit: usize::MAX }
}

#[test]
fn what_was_filled_is_read_back_and_complete_only_when_said() {
    let dir = tempfile::tempdir().unwrap();
    let on_disk = Generations::on_disk(dir.path(), Arc::new(())).unwrap();
    for generations in [Generations::in_memory(), on_disk] {
        let new = generations.create().unwrap();
        assert_eq!(new.number(), 1);
        new.fill((0..2_000).map(|n| row(n, 3))).unwrap();
        assert!(new.applied().unwrap().is_none());
        new.complete(42).unwrap();
        assert_eq!(new.applied().unwrap(), Some(42));
        let found = new.rows(&[], usize::MAX).unwrap();
        let expected = (0..2_000).map(|n| row(n, 3)).map(|(k, v)| (k.to_vec(), Some(v)));
        assert!(found.into_iter().eq(expected));
        new.keep();
        drop(new);
        assert_eq!(generations.open(1).unwrap().rows(&[], 5).unwrap().len(), 5);
        let second = generations.create().unwrap();
        assert_eq!(second.number(), 2);
        drop(second);
        assert_eq!(generations.numbers().unwrap(), [1], "what is not kept goes");
        assert!(matches!(generations.open(2), Err(Error::Damaged { .. })));
    }
}

#[test]
fn only_our_own_directories_are_swept() {
    let dir = tempfile::tempdir().unwrap();
    let swept = ["state", "state.1", "state.30", "state.removed", "state.2.removed"];
    let kept = ["state.3", "state.03", "state.x", "state.3.old", "states", "log", "other.removed"];
    for name in swept.iter().chain(&kept) {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("inside"), b"x").unwrap();
    }
    fs::write(dir.path().join("state.7"), b"a file").unwrap();
    let generations = Generations::on_disk(dir.path(), Arc::new(())).unwrap();
    generations.sweep(3).unwrap();
    assert!(swept.iter().all(|name| !dir.path().join(name).exists()));
    assert!(kept.iter().all(|name| dir.path().join(name).join("inside").exists()));
    assert!(dir.path().join("state.7").exists());
    assert_eq!(generations.create().unwrap().number(), 31, "above all that were ever there");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_see_all_of_one_generation_and_none_of_another() {
    let generations = Generations::in_memory();
    let history = History::open(generations.open(0).unwrap(), Fatal::default()).unwrap();
    let rows = (0..50).map(|n| row(n, 0)).map(|(k, v)| (k.to_vec(), Some(v.to_vec())));
    history.record(1, rows.collect()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (history, stop) = (history.clone(), Arc::clone(&stop));
        async move {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                let found = history.scan(all()).await.unwrap();
                let value = found[0].1[0];
                assert_eq!(found.len(), 50 + usize::from(value));
                assert!(found.iter().all(|(_, bytes)| bytes.iter().all(|byte| *byte == value)));
                seen = seen.max(value);
            }
            seen
        }
    });
    for round in 1..=40_u8 {
        let new = generations.create().unwrap();
        new.fill((0..50 + u32::from(round)).map(|n| row(n, round))).unwrap();
        if round == 20 {
            assert!(matches!(history.switch_to(new.clone()).await, Err(Error::Damaged { .. })));
        }
        new.complete(u64::from(round) * 10).unwrap();
        new.keep();
        let old = history.switch_to(new).await.unwrap();
        old.give_up();
        assert_eq!(history.durable_index(), Some(u64::from(round) * 10));
        assert_eq!(history.waiting_bytes(), 0, "what was not written is dropped");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    stop.store(true, Ordering::Relaxed);
    assert!(reader.await.unwrap() > 1);
    assert_eq!(generations.numbers().unwrap(), [40]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_removed_while_it_is_read_is_no_damage() {
    let kv = Arc::new(MemoryKv::new(Limits::STATE));
    let history = History::open(Generation::of(kv), Fatal::default()).unwrap();
    let reader = tokio::spawn({
        let history = history.clone();
        async move {
            while history.durable_index() < Some(300) {
                for (_, value) in history.scan(all()).await.unwrap() {
                    assert_eq!(value.len(), 60_000);
                }
            }
        }
    });
    for index in 1..=300_u64 {
        let rows = (0..20).map(|n| (vec![n], (index % 2 == 1).then(|| vec![n; 60_000])));
        history.record(index, rows.collect()).unwrap();
        history.persist().await.unwrap();
    }
    reader.await.unwrap();
}
