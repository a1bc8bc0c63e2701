//! The move of the log out of the storage engine: it may be ended anywhere, and nothing is lost.
//!
//! The test runs itself again as a child that kills itself at a step.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::convert;
use super::damage::copy;
use super::fixture::{NOW_MS, accepted, node, numbered, numbers};
use crate::machine::state::FORMAT;
use crate::storage::{
    DataDirectory, Identity, KvLog, Mark, Profile, SledKv, Step, Write, open_log,
};

const CHILD: &str = "CRONAPI_TEST_MOVE_CHILD";

/// Turns a directory into one that an older version left: its log is in the engine.
fn make_old(path: &Path) {
    let look = DataDirectory::look(path).unwrap().unwrap();
    let mut held = DataDirectory::open(path, &look).unwrap();
    let log = open_log(&mut held, convert::index_of, &|_| ()).unwrap();
    let kv = SledKv::open(&path.join("log"), Profile::Log, std::sync::Arc::new(())).unwrap();
    let old = KvLog::over(std::sync::Arc::new(kv));
    let mut group = vec![Write::Append { entries: log.read(0, u64::MAX, usize::MAX).unwrap() }];
    for mark in Mark::ALL {
        group.extend(log.mark(mark).unwrap().map(|bytes| Write::Mark(mark, bytes)));
    }
    old.write(group).unwrap();
    old.sync().unwrap();
    drop((log, old));
    held.change(|identity| (identity.wal, identity.format) = (false, FORMAT)).unwrap();
    fs::remove_dir_all(path.join("wal")).unwrap();
}

/// An old directory with numbers 0..60, of which the first are in checkpoints only.
async fn prepared(path: &Path) {
    for round in 0..3 {
        let node = node(path).await;
        for n in round * 20..round * 20 + 20 {
            node.submit(numbered(n)).await.unwrap();
        }
        node.shutdown().await.unwrap();
    }
    make_old(path);
}

/// What the child does, when the test runs as the child; otherwise nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_moves() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (step, path) = order.split_once(':').unwrap();
    let identity = Identity::generate(NOW_MS).unwrap();
    let mut directory = DataDirectory::open(Path::new(path), &identity).unwrap();
    let end = |done: Step| {
        if format!("{done:?}") == step {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
            std::thread::sleep(std::time::Duration::from_secs(10));
        }
    };
    open_log(&mut directory, convert::index_of, &end).unwrap();
    panic!("step {step} never came");
}

fn killed_at(step: Step, path: &Path) {
    let test = "consensus::tests::moving::child_that_moves";
    let status = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{step:?}:{}", path.display()))
        .status()
        .unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    assert_eq!(signal, Some(9), "{step:?}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_step_of_the_move_leaves_the_old_log_or_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    prepared(&old).await;
    let steps = [Step::Begun, Step::Copied, Step::Synced, Step::Named, Step::Noted, Step::Removed];
    for step in steps {
        let path = dir.path().join(format!("{step:?}"));
        copy(&old, &path);
        killed_at(step, &path);
        let moved = matches!(step, Step::Noted | Step::Removed);
        let identity = DataDirectory::look(&path).unwrap().unwrap();
        assert_eq!(identity.wal, moved, "{step:?}");
        // The same again, on what the first try left, wherever that ended.
        if step == Step::Copied {
            killed_at(Step::Named, &path);
        }
        let node = node(&path).await;
        assert_eq!(numbers(&node.state()), (0..60).collect::<Vec<_>>(), "{step:?}");
        assert!(accepted(&node.submit(numbered(60)).await.unwrap().answer));
        node.shutdown().await.unwrap();
        assert!(path.join("wal").exists() && !path.join("log").exists(), "{step:?}");
        assert!(!path.join("wal.unfinished").exists(), "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_log_stays_until_the_cluster_has_the_format_that_names_the_new() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path()).await;
    let look = DataDirectory::look(dir.path()).unwrap().unwrap();
    let mut held = DataDirectory::open(dir.path(), &look).unwrap();
    held.change(|identity| identity.format = 4).unwrap();
    drop(held);
    let first = node(dir.path()).await;
    assert!(accepted(&first.submit(numbered(60)).await.unwrap().answer));
    assert!(dir.path().join("log").exists() && !dir.path().join("wal").exists());
    first.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_format_names_and_is_gone_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    prepared(dir.path()).await;
    fs::rename(dir.path().join("log"), dir.path().join("lost")).unwrap();
    let options = super::super::Options::new(dir.path(), NOW_MS);
    let text = super::super::open(options).await.err().unwrap().to_string();
    assert!(text.contains("it is missing, and the log is in it"), "{text}");
}
