use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::index::Place;
use super::log::Wal;
use super::scan::scan;
use crate::storage::Error;
use crate::storage::log::{LogDisk, Mark, Write};

const OWNER: u64 = 9;

fn record(index: u64) -> Bytes {
    let text = format!("the entry {index} ");
    Bytes::from(text.repeat(1 + index as usize % 3))
}

fn entries(indexes: std::ops::Range<u64>) -> Write {
    Write::Append { entries: indexes.map(|index| (index, record(index))).collect() }
}

/// Writes a group that somebody waits for.
fn acknowledged(wal: &Wal, group: Vec<Write>) {
    wal.write(group).unwrap();
    wal.sync().unwrap();
}

fn create(path: &Path) -> Wal {
    Wal::create(path, OWNER, Arc::new(())).unwrap()
}

fn open(path: &Path) -> Result<Wal, Error> {
    Wal::open(path, OWNER, Arc::new(()))
}

/// A log with entries 1..=40, of which 1..=4 are purged, a vote, and a truncation in between, in
/// segments of this size.
fn sample(path: &Path, segment_bytes: u64) -> Wal {
    let wal = create(path).with_segments_of(segment_bytes);
    acknowledged(&wal, vec![Write::Mark(Mark::Vote, Bytes::from_static(b"vote of term 1"))]);
    for index in 1..=30 {
        acknowledged(&wal, vec![entries(index..index + 1)]);
    }
    acknowledged(&wal, vec![Write::Truncate { since: 25 }, entries(25..29)]);
    acknowledged(&wal, vec![Write::Mark(Mark::Vote, Bytes::from_static(b"vote of term 2"))]);
    wal.write(vec![Write::Mark(Mark::Committed, Bytes::from_static(b"28"))]).unwrap();
    acknowledged(&wal, vec![Write::Purge { upto: 4, mark: Bytes::from_static(b"4") }]);
    for index in 29..=40 {
        acknowledged(&wal, vec![entries(index..index + 1)]);
    }
    wal
}

/// What a scan makes of a log: its entries and marks. It changes nothing.
type Seen = (Vec<(u64, Place)>, BTreeMap<Mark, Bytes>);

fn seen(path: &Path) -> Result<Seen, Error> {
    let scanned = scan(path, OWNER)?;
    Ok((scanned.index.range(0, u64::MAX).collect(), scanned.index.marks.clone()))
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// Bytes of a file that are in use.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Whether damage was found, or did no harm.
fn judged(path: &Path, sound: &Seen, what: &str) -> bool {
    match seen(path) {
        Ok(found) => {
            assert!(found == *sound, "{what}: something is lost without a word");
            false
        }
        Err(Error::Damaged { what: place, .. }) => {
            assert!(place.contains(&*path.to_string_lossy()), "{what}: {place}");
            true
        }
        Err(other) => panic!("{what}: {other}"),
    }
}

#[test]
fn a_flip_anywhere_in_one_file_is_refused_or_harmless() {
    flip_anywhere(u64::MAX);
}

#[test]
fn a_flip_anywhere_in_many_files_is_refused_or_harmless() {
    flip_anywhere(900);
}

fn flip_anywhere(segment_bytes: u64) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wal");
    let wal = sample(&path, segment_bytes);
    wal.settle().unwrap();
    drop(wal);
    let sound = seen(&path).unwrap();
    assert_eq!((sound.0.len(), sound.1.len()), (36, 3));
    let (mut found, mut harmless) = (0, 0);
    for file in files(&path) {
        let before = fs::read(&file).unwrap();
        let open = fs::OpenOptions::new().write(true).open(&file).unwrap();
        for at in 0..used(&before) {
            let what = format!("byte {at} of {}", file.display());
            open.write_all_at(&[before[at] ^ (1 << (at % 8))], at as u64).unwrap();
            match judged(&path, &sound, &what) {
                true => found += 1,
                // One of its two slots is enough.
                false if file.ends_with("synced") => {}
                false => harmless += 1,
            }
            open.write_all_at(&before[at..=at], at as u64).unwrap();
        }
    }
    // What fills groups up to the next multiple of 8.
    assert!(found > 10 * harmless, "{found} found, {harmless} harmless");
}

#[test]
fn a_flip_in_what_has_a_successor_is_found_without_a_quiet_moment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wal");
    drop(sample(&path, u64::MAX));
    let sound = seen(&path).unwrap();
    let (_, last) = sound.0[sound.0.len() - 1];
    let file = super::segment_path(&path, 1);
    let bytes = fs::read(&file).unwrap();
    let begin = last.offset as usize - super::frame::HEADER - 13;
    let open = fs::OpenOptions::new().write(true).open(&file).unwrap();
    for at in 0..begin {
        open.write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
        judged(&path, &sound, &format!("byte {at}"));
        open.write_all_at(&bytes[at..=at], at as u64).unwrap();
    }
}

#[test]
fn files_that_are_missing_cut_stale_or_mixed_up_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wal");
    let wal = sample(&path, 900);
    let last = files(&path).into_iter().rev().nth(1).unwrap();
    let stale = fs::read(&last).unwrap();
    acknowledged(&wal, vec![entries(41..42)]);
    wal.settle().unwrap();
    drop(wal);
    let sound = seen(&path).unwrap();
    let all = files(&path);
    assert!(all.len() > 5, "{all:?}");
    let other = dir.path().join("other");
    sample(&other, 900).settle().unwrap();
    let needed = super::segment_path(&path, sound.0[0].1.segment);
    for file in all.iter().filter(|file| **file >= needed) {
        let before = fs::read(file).unwrap();
        let (name, used) = (file.file_name().unwrap(), used(&before));
        let check = |bytes: &[u8], how: &str, must: bool| {
            fs::write(file, bytes).unwrap();
            let refused = judged(&path, &sound, &format!("{} {how}", file.display()));
            assert!(refused || !must, "{}: {how}", file.display());
        };
        fs::remove_file(file).unwrap();
        assert!(judged(&path, &sound, "gone"), "{}", file.display());
        check(&[], "empty", true);
        let is_marker = name == "synced";
        for length in (0..used).step_by(37) {
            check(&before[..length], &format!("cut to {length}"), !is_marker);
        }
        let theirs = fs::read(other.join(name)).unwrap();
        check(&theirs, "of another log", true);
        for sector in 0..used.div_ceil(512) {
            let mut bytes = before.clone();
            let end = bytes.len().min(sector * 512 + 512);
            bytes[sector * 512..end].fill(0);
            check(&bytes, &format!("without sector {sector}"), false);
            if end - sector * 512 == 512 && sector > 0 {
                let mut bytes = before.clone();
                let (a, b) = bytes.split_at_mut(sector * 512);
                a[sector * 512 - 512..].swap_with_slice(&mut b[..512]);
                check(&bytes, &format!("sectors {sector} swapped"), !is_marker);
            }
        }
        fs::write(file, &before).unwrap();
    }
    fs::write(&last, stale).unwrap();
    assert!(judged(&path, &sound, "the last segment as it was earlier"));
}

#[test]
fn an_end_that_was_cut_off_is_removed_and_the_log_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wal");
    let wal = sample(&path, u64::MAX);
    wal.settle().unwrap();
    let before = seen(&path).unwrap();
    let file = super::segment_path(&path, 1);
    let end = used(&fs::read(&file).unwrap()).next_multiple_of(8);
    wal.write(vec![entries(41..45)]).unwrap();
    drop(wal);
    let bytes = fs::read(&file).unwrap();
    for kept in end..used(&bytes) - 1 {
        let mut torn = bytes.clone();
        torn[kept..].fill(0);
        fs::write(&file, &torn).unwrap();
        assert_eq!(seen(&path).unwrap(), before, "{kept} of {} bytes", bytes.len());
        fs::write(&file, &bytes[..kept]).unwrap();
        assert_eq!(seen(&path).unwrap(), before, "{kept} of {} bytes", bytes.len());
    }
    // Sectors reach the disk in any order.
    let mut torn = bytes.clone();
    torn[end..end + 100].fill(0);
    fs::write(&file, &torn).unwrap();
    let wal = open(&path).unwrap();
    assert_eq!(wal.last_index().unwrap(), Some(40));
    acknowledged(&wal, vec![entries(41..42)]);
    drop(wal);
    assert_eq!(open(&path).unwrap().read(40, 99, usize::MAX).unwrap().len(), 2);
}

#[test]
fn a_flip_after_the_start_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wal");
    let wal = sample(&path, u64::MAX);
    let (_, place) = seen(&path).unwrap().0[9];
    let file = super::segment_path(&path, 1);
    let open = fs::OpenOptions::new().read(true).write(true).open(&file).unwrap();
    open.write_all_at(b"spoilt", place.offset).unwrap();
    let text = wal.read(1, 99, usize::MAX).unwrap_err().to_string();
    assert!(text.contains(&format!("at byte {}", place.offset)), "{text}");
    assert_eq!(wal.read(20, 30, usize::MAX).unwrap().len(), 10);
}

#[test]
fn what_is_purged_leaves_the_disk_and_marks_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wal");
    let wal = sample(&path, 900);
    let count = files(&path).len();
    acknowledged(&wal, vec![Write::Purge { upto: 38, mark: Bytes::from_static(b"38") }]);
    while wal.tidy().unwrap() {}
    assert!(files(&path).len() + 4 < count, "{:?}", files(&path));
    drop(wal);
    let wal = open(&path).unwrap();
    assert_eq!(wal.mark(Mark::Vote).unwrap().unwrap(), "vote of term 2");
    assert_eq!(wal.mark(Mark::Purged).unwrap().unwrap(), "38");
    let left = wal.read(0, 99, usize::MAX).unwrap();
    assert_eq!(left, [(39, record(39)), (40, record(40))]);
    // Ahead of the log, as after a checkpoint of a leader.
    acknowledged(&wal, vec![Write::Purge { upto: 90, mark: Bytes::from_static(b"90") }]);
    acknowledged(&wal, vec![entries(91..93)]);
    drop(wal);
    assert_eq!(open(&path).unwrap().read(0, 99, usize::MAX).unwrap().len(), 2);
}

#[test]
fn a_log_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wal");
    drop(sample(&path, u64::MAX));
    let refused = Wal::open(&path, OWNER + 1, Arc::new(())).err().unwrap().to_string();
    assert!(refused.contains("another node"), "{refused}");
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64),
    Truncate(u64),
    Purge(u64),
    Vote(u8),
    Committed(u8),
    Open,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1..5_u64).prop_map(Step::Append),
        2 => (0..6_u64).prop_map(Step::Truncate),
        1 => (0..30_u64).prop_map(Step::Purge),
        1 => any::<u8>().prop_map(Step::Vote),
        1 => any::<u8>().prop_map(Step::Committed),
        1 => Just(Step::Open),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn it_holds_what_a_map_would(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wal");
        let mut wal = create(&path).with_segments_of(1_000);
        let mut map: BTreeMap<u64, Bytes> = BTreeMap::new();
        let (mut next, mut purged) = (1, 0);
        let mut marks: BTreeMap<Mark, Bytes> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Append(count) => {
                    acknowledged(&wal, vec![entries(next..next + count)]);
                    map.extend((next..next + count).map(|index| (index, record(index))));
                    next += count;
                }
                Step::Truncate(back) => {
                    let since = next.saturating_sub(back).max(purged + 1);
                    acknowledged(&wal, vec![Write::Truncate { since }]);
                    map.split_off(&since);
                    next = since;
                }
                Step::Purge(on) => {
                    let upto = purged + on;
                    let mark = Bytes::from(upto.to_string());
                    acknowledged(&wal, vec![Write::Purge { upto, mark: mark.clone() }]);
                    while wal.tidy().unwrap() {}
                    map = map.split_off(&(upto + 1));
                    marks.insert(Mark::Purged, mark);
                    (purged, next) = (upto, next.max(upto + 1));
                }
                Step::Vote(value) | Step::Committed(value) => {
                    let vote = matches!(step, Step::Vote(_));
                    let mark = if vote { Mark::Vote } else { Mark::Committed };
                    let bytes = Bytes::from(vec![value; 20]);
                    acknowledged(&wal, vec![Write::Mark(mark, bytes.clone())]);
                    marks.insert(mark, bytes);
                }
                Step::Open => {
                    wal.settle().unwrap();
                    drop(wal);
                    wal = open(&path).unwrap().with_segments_of(1_000);
                }
            }
            let held = wal.read(0, u64::MAX, usize::MAX).unwrap();
            prop_assert_eq!(held, map.clone().into_iter().collect::<Vec<_>>());
            prop_assert_eq!(wal.last_index().unwrap(), map.keys().next_back().copied());
            for mark in Mark::ALL {
                prop_assert_eq!(wal.mark(mark).unwrap(), marks.get(&mark).cloned());
            }
        }
    }
}
