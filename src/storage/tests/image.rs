//! An image of the history holds what was there at its index, whatever comes after.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::rows::PIECE_BYTES;
use super::super::{Fatal, Generation, History, Image, Profile};
use super::both;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// One entry with some rows: new ones, and ones that go.
async fn entry(history: &History, model: &mut Model, dice: &mut Dice, index: u64) {
    let mut rows = Vec::new();
    for _ in 0..dice.roll(4) {
        let key = vec![dice.roll(40) as u8, dice.roll(3) as u8];
        // A row is immutable: its value depends on its key alone.
        let size = [3, PIECE_BYTES + 1, 20_000][usize::from(key[0] % 3)];
        let value = (dice.roll(3) > 0).then(|| vec![key[0]; size]);
        match value.clone() {
            Some(value) => model.insert(key.clone(), value),
            None => model.remove(&key),
        };
        rows.push((key, value));
    }
    history.record(index, rows).unwrap();
    if dice.roll(5) == 0 {
        history.persist().await.unwrap();
    }
}

fn page(image: &Image, from: &[u8], read: &mut Model) -> Option<Vec<u8>> {
    let (rows, next) = image.page(from, 4).unwrap();
    for (key, value) in rows {
        assert!(read.last_key_value().is_none_or(|(last, _)| *last < key), "out of order");
        read.insert(key, value.to_vec());
    }
    next
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_what_was_there_at_its_index_while_rows_come_and_go() {
    let (_dir, kvs) = both(Profile::State);
    for (seed, kv) in (1..).zip(kvs) {
        let history = History::open(Generation::of(Arc::clone(&kv)), Fatal::default()).unwrap();
        let (mut model, mut dice, mut index) = (Model::new(), Dice(seed), 0);
        for round in 0..40 {
            for _ in 0..dice.roll(30) {
                index += 1;
                entry(&history, &mut model, &mut dice, index).await;
            }
            let image = history.image().unwrap();
            assert!(history.image().is_none(), "one at a time");
            assert_eq!(image.least(), index);
            for _ in 0..dice.roll(4) {
                index += 1;
                entry(&history, &mut model, &mut dice, index).await;
            }
            // As a checkpoint does: everything up to it is durable, perhaps more.
            let (fixed, expected) = (index, model.clone());
            for _ in 0..dice.roll(3) {
                index += 1;
                entry(&history, &mut model, &mut dice, index).await;
            }
            history.persist().await.unwrap();
            image.fix(fixed);
            let (mut read, mut from) = (Model::new(), Some(Vec::new()));
            while let Some(at) = from {
                from = page(&image, &at, &mut read);
                index += 1;
                entry(&history, &mut model, &mut dice, index).await;
            }
            assert!(read == expected, "seed {seed}, round {round}");
        }
    }
}
