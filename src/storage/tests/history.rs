use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::rows::PIECE_BYTES;
use super::super::{
    Direction, Error, Fatal, Generation, History, Kv, Limits, MemoryKv, Profile, Scan,
};
use super::both;

/// Small numbers that look random, from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

async fn check_scans(history: &History, model: &Model, dice: &mut Dice) {
    let everything: Vec<_> = model.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for direction in [Direction::Forward, Direction::Backward] {
        for limit in [1, 3, usize::MAX] {
            let (a, b) = (dice.roll(60) as u8, dice.roll(60) as u8);
            let scan = Scan { from: vec![a], to: vec![b], direction, limit };
            let mut expected: Vec<_> =
                everything.iter().filter(|(k, _)| *k >= vec![a] && *k < vec![b]).collect();
            if direction == Direction::Backward {
                expected.reverse();
            }
            expected.truncate(limit);
            let found = history.scan(scan).await.unwrap();
            assert!(
                found
                    .iter()
                    .map(|(k, v)| (k, v.as_ref()))
                    .eq(expected.iter().map(|(k, v)| (k, v.as_slice())))
            );
        }
    }
}

/// Keys at random, there or not, some twice, in any order.
async fn check_many(history: &History, model: &Model, dice: &mut Dice) {
    let keys: Vec<Vec<u8>> =
        (0..dice.roll(12)).map(|_| vec![dice.roll(60) as u8, dice.roll(3) as u8]).collect();
    let expected: Vec<_> = keys.iter().map(|key| model.get(key).cloned()).collect();
    let found = history.get_all(Arc::from(keys)).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|value| value.map(|value| value.to_vec())).collect();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_agree_with_a_plain_map_whatever_is_durable() {
    let (_dir, kvs) = both(Profile::State);
    for (seed, kv) in (1..).zip(kvs) {
        let history = History::open(Generation::of(Arc::clone(&kv)), Fatal::default()).unwrap();
        let mut model = Model::new();
        let mut dice = Dice(seed);
        for index in 1..400 {
            let mut rows = Vec::new();
            for _ in 0..dice.roll(4) {
                let key = vec![dice.roll(60) as u8, dice.roll(3) as u8];
                // A row is immutable: its value depends on its key alone.
                let size = [3, PIECE_BYTES, PIECE_BYTES + 1, 30_000][usize::from(key[0] % 4)];
                let value = (dice.roll(3) > 0).then(|| vec![key[0]; size]);
                match value.clone() {
                    Some(value) => model.insert(key.clone(), value),
                    None => model.remove(&key),
                };
                rows.push((key, value));
            }
            history.record(index, rows).unwrap();
            if dice.roll(10) == 0 {
                history.persist().await.unwrap();
            }
            if dice.roll(5) == 0 {
                check_scans(&history, &model, &mut dice).await;
                check_many(&history, &model, &mut dice).await;
            }
        }
        history.persist().await.unwrap();
        check_scans(&history, &model, &mut dice).await;
        for (key, value) in &model {
            assert_eq!(history.get(key).await.unwrap().unwrap(), value);
        }
        kv.health().unwrap();
        // Nothing but live rows is left: deleting took the pieces along.
        let pieces = kv.keys(b"c", b"d", usize::MAX).unwrap();
        let large = model
            .values()
            .map(|v| if v.len() > PIECE_BYTES { v.len().div_ceil(PIECE_BYTES) } else { 0 });
        assert_eq!(pieces.len(), large.sum::<usize>());
    }
}

#[tokio::test]
async fn applying_again_after_a_crash_rewrites_the_same_rows() {
    let kv = Arc::new(MemoryKv::new(Limits::STATE));
    let open =
        || History::open(Generation::of(Arc::clone(&kv) as Arc<dyn Kv>), Fatal::default()).unwrap();
    let apply = |history: &History, from, to| {
        for index in from..to {
            let mut rows = vec![(vec![index as u8], Some(vec![1]))];
            if index > 5 {
                rows.push((vec![index as u8 - 5], None));
            }
            history.record(index, rows).unwrap();
        }
    };
    let first = open();
    apply(&first, 1, 8);
    first.persist().await.unwrap();
    apply(&first, 8, 12);
    assert_eq!(first.durable_index(), Some(7));
    kv.crash();

    let second = open();
    assert_eq!(second.durable_index(), Some(7));
    apply(&second, 3, 12);
    let all = Scan { from: vec![], to: vec![255], direction: Direction::Forward, limit: 99 };
    let keys: Vec<u8> = second.scan(all).await.unwrap().iter().map(|(k, _)| k[0]).collect();
    assert_eq!(keys, [7, 8, 9, 10, 11], "what a durable row deleted does not come back");
}

#[tokio::test]
async fn paging_with_after_sees_each_row_once() {
    let history =
        History::open(Generation::of(Arc::new(MemoryKv::new(Limits::STATE))), Fatal::default())
            .unwrap();
    history.record(1, (0..50).map(|n| (vec![b'p', n], Some(vec![n]))).collect()).unwrap();
    history.persist().await.unwrap();
    history.record(2, (50..99).map(|n| (vec![b'p', n], Some(vec![n]))).collect()).unwrap();
    for direction in [Direction::Forward, Direction::Backward] {
        let mut seen = Vec::new();
        let mut scan = Scan::prefix(b"p", direction, 7);
        loop {
            let page = history.scan(scan.clone()).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            scan = scan.after(last);
            seen.extend(page.iter().map(|(k, _)| k[1]));
        }
        if direction == Direction::Backward {
            seen.reverse();
        }
        assert_eq!(seen, (0..99).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_machine_waits_while_too_much_is_not_durable() {
    let kv = Arc::new(MemoryKv::new(Limits::STATE));
    let history = History::open(Generation::of(kv), Fatal::default()).unwrap();
    history.room().await.unwrap();
    for n in 0..70_u64 {
        let row = (n.to_be_bytes().to_vec(), Some(vec![0; 1024 * 1024]));
        history.record(n, vec![row]).unwrap();
    }
    let waiting = tokio::spawn({
        let history = history.clone();
        async move { history.room().await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert!(!waiting.is_finished());
    history.persist().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(history.waiting_bytes(), 0);
}

#[tokio::test]
async fn a_row_that_can_not_be_stored_is_an_error_and_not_a_panic() {
    let kv = Arc::new(MemoryKv::new(Limits::STATE));
    let history = History::open(Generation::of(kv), Fatal::default()).unwrap();
    let refused = history.record(1, vec![(vec![0; 2000], None)]);
    assert!(matches!(refused, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn a_failed_flush_is_final() {
    let kv = Arc::new(MemoryKv::new(Limits::STATE));
    let fatal = Fatal::default();
    let history =
        History::open(Generation::of(Arc::clone(&kv) as Arc<dyn Kv>), fatal.clone()).unwrap();
    history.record(1, vec![(vec![1], Some(vec![1]))]).unwrap();
    kv.break_flushes();
    assert!(history.persist().await.is_err());
    assert!(fatal.is_raised());
    assert!(history.persist().await.is_err(), "it is not tried again");
    assert!(history.room().await.is_err());
    assert!(history.get(&[1]).await.unwrap().is_some(), "reads go on");
}
