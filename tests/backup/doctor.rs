//! `doctor` finds what was planted, names the file, and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use cronapi::offline::{Fault, Inspected, inspect};

use crate::fixture::{directory, open};

/// The first file of the log.
const SEGMENT: &str = "wal/0000000000000001.log";

async fn look(data: &Path) -> Inspected {
    let before = contents(data);
    let scratch = data.with_extension("scratch");
    let found = inspect(data, &scratch).await.unwrap();
    assert!(!scratch.exists(), "the copies are gone");
    assert!(contents(data) == before, "it changes nothing");
    found
}

/// Every file with its bytes.
fn contents(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => all.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    all.sort();
    all
}

/// The grave faults, as file name and text.
fn graves(found: &Inspected) -> Vec<(String, String)> {
    let grave = found.faults.iter().filter(|fault| fault.grave);
    grave
        .map(|fault| {
            let name = fault.file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(!fault.advice.is_empty());
            (name, fault.what.clone())
        })
        .collect()
}

fn checkpoints(data: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(data.join("checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at.min(bytes.len() - 1);
    bytes[at] ^= 0x55;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_directory_has_no_fault() {
    let (_dir, data) = directory().await;
    let found = look(&data).await;
    assert_eq!(graves(&found), []);
    assert!(found.is_sound() && found.faults.is_empty(), "{:?}", found.faults);
    assert_eq!(found.jobs, 22);
    let (entries, rows) = (found.entries, found.rows);
    assert!(entries > 0 && rows > 40, "{entries} entries, {rows} rows");
    assert!(found.last_log >= found.checkpoint && found.checkpoint > 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_use_is_left_alone() {
    let (_dir, data) = directory().await;
    let node = open(&data).await;
    let refused = inspect(&data, &data.with_extension("scratch")).await.err().unwrap();
    let pid = format!("pid {}", std::process::id());
    assert!(refused.to_string().contains(&pid), "{refused}");
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_that_is_newer_unreadable_or_gone_is_told() {
    let newer = Some(r#"{"format": 99}"#);
    for (text, word) in [(newer, "99"), (Some("{"), "FORMAT"), (None, "cut short")] {
        let (_dir, data) = directory().await;
        match text {
            Some(text) => fs::write(data.join("FORMAT"), text).unwrap(),
            None => fs::remove_file(data.join("FORMAT")).unwrap(),
        }
        let graves = graves(&look(&data).await);
        assert_eq!(graves.len(), 1);
        assert!(graves[0].0 == "FORMAT" && graves[0].1.contains(word), "{graves:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_checkpoint_is_a_note_and_two_are_a_fault() {
    let (_dir, data) = directory().await;
    let all = checkpoints(&data);
    assert_eq!(all.len(), 2);
    flip(&all[1], 60);
    let found = look(&data).await;
    assert!(found.is_sound(), "{:?}", found.faults);
    let told = |fault: &Fault| fault.file == all[1] && fault.what.contains("damaged");
    assert!(found.faults.iter().any(told));
    flip(&all[0], 60);
    fs::remove_dir_all(data.join("wal")).unwrap();
    let found = look(&data).await;
    assert!(!found.is_sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_under_its_checkpoint_is_a_fault() {
    let (_dir, data) = directory().await;
    fs::remove_dir_all(data.join("wal")).unwrap();
    let graves = graves(&look(&data).await);
    assert!(
        graves.iter().any(|(_, what)| what.contains("it is missing, and the log is in it")),
        "{graves:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_gone_is_a_fault() {
    let (_dir, data) = directory().await;
    fs::remove_dir_all(data.join("state")).unwrap();
    let graves = graves(&look(&data).await);
    let history = |what: &String| what.contains("the history ends");
    assert!(graves.iter().any(|(_, what)| history(what)), "{graves:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_a_fault_of_its_file() {
    for (file, word) in [(SEGMENT, "wal"), ("state/db", "state")] {
        let (_dir, data) = directory().await;
        let db = data.join(file);
        let length = fs::metadata(&db).unwrap().len() as usize;
        // Its first pages: what is there is referred to by everything.
        let mut bytes = fs::read(&db).unwrap();
        for byte in bytes.iter_mut().take(length.min(64 * 1024)) {
            *byte ^= 0x55;
        }
        fs::write(&db, bytes).unwrap();
        let found = look(&data).await;
        assert!(!found.is_sound(), "{file}");
        let told = found
            .faults
            .iter()
            .any(|fault| format!("{} {}", fault.file.display(), fault.what).contains(word));
        assert!(told, "{:?}", found.faults);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_bit_of_the_log_is_a_fault_with_its_place() {
    let (_dir, data) = directory().await;
    let sound = fs::read(data.join(SEGMENT)).unwrap();
    let used = sound.iter().rposition(|byte| *byte != 0).unwrap();
    // The header, somewhere within, and what was written last.
    for at in [20, used / 3, used / 2, used - 9] {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(data.join(SEGMENT), bytes).unwrap();
        let graves = graves(&look(&data).await);
        let told =
            graves.iter().any(|(_, what)| what.contains(SEGMENT) && what.contains("at byte"));
        assert!(told, "{at}: {graves:?}");
    }
    fs::write(data.join(SEGMENT), &sound).unwrap();
    fs::write(data.join("wal/synced"), "").unwrap();
    let graves = graves(&look(&data).await);
    assert!(graves.iter().any(|(_, what)| what.contains("wal/synced")), "{graves:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_belong_there_and_what_others_can_read_is_noted() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, data) = directory().await;
    fs::write(data.join("notes.txt"), "mine").unwrap();
    fs::create_dir_all(data.join("state/blobs")).unwrap();
    fs::write(data.join("state/blobs/7"), "x").unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let found = look(&data).await;
    assert!(found.is_sound(), "{:?}", found.faults);
    let told: Vec<String> = found.faults.iter().map(|fault| fault.what.clone()).collect();
    for word in ["not of CronAPI", "does not sync", "others may read"] {
        assert!(told.iter().any(|what| what.contains(word)), "{word}: {told:?}");
    }
}
