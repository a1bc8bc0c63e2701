//! A data directory that format 1 wrote (commit 09235ad, one node): it opens, holds what it held,
//! and goes on.

use std::fs;
use std::path::{Path, PathBuf};

use cronapi::consensus::Handle;
use cronapi::machine::state::FORMAT;
use cronapi::machine::{Op, history};
use cronapi::model::{AuditRecord, Run, RunStatus};
use cronapi::offline::inspect;
use serde_json::{Value, json};

use crate::fixture::{open, put, restore, rows, submit, take};

/// A copy of it, that may be written to.
fn copy(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/directory-1");
    copy_all(&from, to);
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let place = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_all(&path, &place),
            false => drop(fs::copy(&path, &place).unwrap()),
        }
    }
}

fn format(data: &Path) -> Value {
    let text = fs::read(data.join("FORMAT")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["format"].clone()
}

async fn holds_what_it_held(node: &Handle) {
    let state = node.state();
    let names: Vec<&str> = state.names.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["every", "gated", "paused", "python", "told"]);
    let every = state.job("every").unwrap();
    assert_eq!((every.version, every.spec.enabled.0), (2, false));
    assert_eq!(every.spec.to_map()["runner"]["env"], json!({"A": "b"}));
    assert_eq!(state.job("python").unwrap().spec.code.as_deref().unwrap().lines().count(), 2);
    let (totals, counters) = (state.totals, state.counters);
    assert_eq!((totals.fired, totals.succeeded, totals.failed), (11, 12, 4));
    let runs: Vec<Run> =
        rows(node, b"r").await.iter().map(|(_, row)| history::unpack(row).unwrap()).collect();
    assert_eq!(runs.len() as u64, counters.closed);
    assert_eq!(runs.iter().filter(|run| run.status == RunStatus::Failed).count(), 4);
    let audit: Vec<AuditRecord> = rows(node, b"a")
        .await
        .iter()
        .flat_map(|(_, row)| history::unpack::<Vec<AuditRecord>>(row).unwrap())
        .collect();
    assert!(audit.iter().map(|record| record.seq).eq(1..=counters.audit));
    assert!(!rows(node, b"o").await.is_empty() && rows(node, b"v").await.len() >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_opens_and_goes_on_and_its_format_rises_when_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let data: PathBuf = dir.path().join("data");
    copy(&data);
    let found = inspect(&data, &dir.path().join("scratch")).await.unwrap();
    assert!(found.is_sound(), "{:?}", found.faults);
    let node = open(&data).await;
    holds_what_it_held(&node).await;
    assert_eq!((node.state().format(), format(&data)), (1, json!(1)));
    assert!(data.join("log").exists() && !data.join("wal").exists(), "a way back is left");
    submit(&node, Op::RaiseFormat { to: FORMAT }).await;
    let noted = async {
        while format(&data) != json!(FORMAT) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), noted).await.unwrap();
    put(&node, json!({"name": "new"})).await;
    node.shutdown().await.unwrap();
    let node = open(&data).await;
    assert_eq!(node.state().format(), FORMAT);
    assert!(node.state().job("new").is_some());
    assert!(data.join("wal").exists() && !data.join("log").exists(), "the log has moved");
    put(&node, json!({"name": "newer"})).await;
    node.shutdown().await.unwrap();
    let found = inspect(&data, &dir.path().join("scratch")).await.unwrap();
    assert!(found.is_sound(), "{:?}", found.faults);
    let node = open(&data).await;
    assert!(node.state().job("newer").is_some() && node.state().job("python").is_some());
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_it_restores() {
    let dir = tempfile::tempdir().unwrap();
    let [data, file, made] = ["data", "file", "made"].map(|name| dir.path().join(name));
    copy(&data);
    let node = open(&data).await;
    take(&node, &file, None).await;
    node.shutdown().await.unwrap();
    restore(&file, &made);
    let node = open(&made).await;
    assert_eq!((node.state().jobs.len(), node.state().format()), (5, FORMAT));
    node.shutdown().await.unwrap();
}
