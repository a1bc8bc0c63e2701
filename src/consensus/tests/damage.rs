//! What a node does with a data directory that is not what it left there.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::{OpenError, Options, open};
use super::fixture::{NOW_MS, accepted, node, numbered, numbers, row_of};
use crate::machine::state::FORMAT;

/// The first file of the log.
const SEGMENT: &str = "wal/0000000000000001.log";

async fn refusal(path: &Path) -> String {
    match open(Options::new(path, NOW_MS)).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

/// Leaves a directory with numbers 0..20 behind two graceful stops, so two checkpoints.
async fn prepared(path: &Path) {
    for round in 0..2 {
        let node = node(path).await;
        for n in round * 10..round * 10 + 10 {
            node.submit(numbered(n)).await.unwrap();
        }
        node.shutdown().await.unwrap();
    }
}

fn checkpoints(path: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(path.join("checkpoints")).unwrap();
    let mut found: Vec<_> = found.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

fn spoil(file: &Path, at: u64) {
    let mut file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(b"spoilt spoilt spoilt spoilt").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_is_replaced_by_the_one_before_and_the_log() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path()).await;
    let files = checkpoints(dir.path());
    assert_eq!(files.len(), 2);
    spoil(&files[1], 40);

    let node = node(dir.path()).await;
    assert_eq!(numbers(&node.state()), (0..20).collect::<Vec<_>>());
    node.shutdown().await.unwrap();
    let kept = checkpoints(dir.path());
    assert!(kept.iter().any(|file| file.extension().unwrap() == "damaged"), "never deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_checkpoints_over_a_purged_log_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path()).await;
    prepared_again(dir.path()).await;
    let files = checkpoints(dir.path());
    spoil(&files[0], 40);
    spoil(&files[1], 40);
    let text = refusal(dir.path()).await;
    assert!(text.contains("no checkpoint can be read"), "{text}");
    assert!(text.contains("restore a backup") && text.contains("--move-aside-damaged"), "{text}");
    assert_eq!(checkpoints(dir.path()), files, "nothing is changed");
}

/// One more graceful stop: now the log is purged up to the older checkpoint.
async fn prepared_again(path: &Path) {
    let node = node(path).await;
    node.submit(numbered(100)).await.unwrap();
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_lost_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path()).await;
    fs::rename(dir.path().join("wal"), dir.path().join("wal.lost")).unwrap();
    let text = refusal(dir.path()).await;
    assert!(text.contains("it is missing, and the log is in it"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_lost_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path()).await;
    fs::rename(dir.path().join("state"), dir.path().join("state.lost")).unwrap();
    let text = refusal(dir.path()).await;
    assert!(text.contains("the history ends at entry the beginning"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_refused_or_moved_aside_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    prepared(&path).await;
    let before = node_id(&path);
    fs::write(path.join("state/conf"), b"segment_size: nonsense").unwrap();
    let text = refusal(&path).await;
    assert!(text.contains(&path.display().to_string()), "{text}");
    assert!(text.contains("restore a backup") && text.contains("--move-aside-damaged"), "{text}");

    let options = Options { move_aside_damaged: true, ..Options::new(&path, NOW_MS) };
    let fresh = open(options).await.unwrap();
    assert!(numbers(&fresh.state()).is_empty());
    assert_ne!(fresh.node_id(), before, "a voter that lost its vote never comes back");
    assert!(accepted(&fresh.submit(numbered(1)).await.unwrap().answer));
    fresh.shutdown().await.unwrap();
    let aside = dir.path().join(format!("data.damaged-{NOW_MS}"));
    assert!(aside.join("state/conf").exists(), "every byte is kept");
}

fn node_id(path: &Path) -> u64 {
    let text = fs::read(path.join("FORMAT")).unwrap();
    serde_json::from_slice::<serde_json::Value>(&text).unwrap()["node_id"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_log_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path()).await;
    let file = fs::OpenOptions::new().write(true).open(dir.path().join(SEGMENT)).unwrap();
    file.set_len(1_000).unwrap();
    drop(file);
    let text = refusal(dir.path()).await;
    assert!(text.contains("is damaged") && text.contains("were acknowledged"), "{text}");
}

/// Where in the log the record of a number lies.
fn place_of(path: &Path, n: u64) -> u64 {
    let bytes = fs::read(path.join(SEGMENT)).unwrap();
    let name = format!("n{n}");
    let found = bytes.windows(name.len()).position(|window| window == name.as_bytes());
    found.unwrap() as u64
}

/// Twenty jobs are acknowledged, the process is ended, a bit of one is flipped.
async fn with_a_flip_in(n: u64, path: &Path) {
    let node = node(path).await;
    for n in 10..30 {
        node.submit(numbered(n)).await.unwrap();
    }
    if n == 29 {
        // The last has no successor: a quiet moment proves it.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let log = path.join("wal");
    copy(&log, &path.join("as-killed"));
    node.shutdown().await.unwrap();
    fs::remove_dir_all(&log).unwrap();
    fs::rename(path.join("as-killed"), &log).unwrap();
    fs::remove_dir_all(path.join("checkpoints")).unwrap();
    fs::remove_dir_all(path.join("state")).unwrap();
    let at = place_of(path, n);
    let file = fs::OpenOptions::new().read(true).write(true).open(path.join(SEGMENT)).unwrap();
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, at).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[byte[0] ^ 1], at).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_bit_in_what_was_acknowledged_is_refused_and_nothing_is_cut() {
    for n in [10, 19, 28, 29] {
        let dir = tempfile::tempdir().unwrap();
        with_a_flip_in(n, dir.path()).await;
        let before = fs::read(dir.path().join(SEGMENT)).unwrap();
        for _ in 0..2 {
            let text = refusal(dir.path()).await;
            for word in [SEGMENT, "at byte", "checksum", "acknowledged", "--move-aside-damaged"] {
                assert!(text.contains(word), "{n}: {word} is not in: {text}");
            }
        }
        assert!(fs::read(dir.path().join(SEGMENT)).unwrap() == before, "nothing is cut");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let first = node(dir.path()).await;
    let text = refusal(dir.path()).await;
    let pid = std::process::id();
    assert!(text.contains(&format!("in use by another process (pid {pid})")), "{text}");
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_format_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path()).await;
    fs::write(dir.path().join("FORMAT"), br#"{"format": 9, "shape": "unknown"}"#).unwrap();
    let text = refusal(dir.path()).await;
    assert!(text.contains("format 9") && text.contains(&format!("format {FORMAT}")), "{text}");
}

#[tokio::test]
async fn a_file_or_an_unwritable_place_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    assert!(refusal(&file).await.contains("is a file"));
    let text = refusal(Path::new("/proc/cronapi")).await;
    assert!(text.contains("can't be written"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/data");
    node(&path).await.shutdown().await.unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_is_not_damage_moves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let first = node(dir.path()).await;
    let options = Options { move_aside_damaged: true, ..Options::new(dir.path(), NOW_MS) };
    let refused = open(options).await;
    assert!(matches!(refused, Err(OpenError::Directory(_))));
    assert!(dir.path().exists());
    first.shutdown().await.unwrap();
}

/// Wherever a file is spoilt, the node has everything or refuses; it never goes on with less.
#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_is_refused_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good");
    prepared(&good).await;
    prepared_again(&good).await;
    let files = [SEGMENT, "state/db"];
    let (mut opened, mut refused) = (0, 0);
    for (case, file) in files.iter().cycle().take(60).enumerate() {
        let path = dir.path().join(format!("case-{case}"));
        copy(&good, &path);
        let length = fs::metadata(path.join(file)).unwrap().len();
        let used = length.min(9_000);
        spoil(&path.join(file), (case as u64 * 7919) % used);
        match open(Options::new(&path, NOW_MS)).await {
            Ok(node) => {
                opened += 1;
                let state = node.state();
                assert_eq!(numbers(&state).len(), 21, "case {case}: {file}");
                for n in 0..20 {
                    let row = node.history().get(&row_of(&node, n)).await;
                    let there = row.as_ref().is_ok_and(Option::is_some);
                    assert!(there || row.is_err(), "case {case}: row {n} is gone");
                }
                let _ = node.shutdown().await;
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("is damaged"), "case {case}: {error}");
            }
        }
    }
    println!("{opened} opened, {refused} refused");
}

/// Copies a directory, as a crash would leave it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
