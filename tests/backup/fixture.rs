//! A node in a directory, with something in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cronapi::backup::{Encoder, Part};
use cronapi::consensus::{self, Handle, Options};
use cronapi::machine::command::{AuditNote, SigningKey, TriggerRun};
use cronapi::machine::prepare::{Intent, PutMode, prepare};
use cronapi::machine::{Command, Op};
use cronapi::model::{Actor, JobSpec, Parameters, Role, Scope, Timestamp, User};
use cronapi::offline::{AsOf, Restored, Restoring};
use cronapi::storage::{Direction, Scan};
use serde_json::{Value, json};
use uuid::Uuid;

pub const NOW: i64 = 1_800_000_000;

pub fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

pub async fn open(path: &Path) -> Handle {
    consensus::open(Options::new(path, now().millis())).await.unwrap()
}

pub async fn submit(node: &Handle, op: Op) {
    let actor = Some(Actor { name: "ann".into(), from: None, request_id: None, trace: None });
    let command = Command { at: now(), actor, request: None, op };
    node.submit(command).await.unwrap().answer.unwrap();
}

pub async fn put(node: &Handle, spec: Value) {
    let spec = JobSpec::from_map(spec.as_object().unwrap().clone()).unwrap();
    let intent = Intent::PutJob { spec: Arc::new(spec), mode: PutMode::Upsert, expected: None };
    let command = prepare(&node.state(), intent, now(), None, None).unwrap();
    node.submit(command).await.unwrap().answer.unwrap();
}

/// A run of a job that does nothing but be a row of history.
pub async fn trigger(node: &Handle, job: &str) {
    let found = node.state().job(job).cloned().unwrap();
    let (no, version) = (found.no, found.version);
    let (parameters, force, cause, place) = (Parameters::default(), false, None, None);
    let trigger = TriggerRun { no, version, parameters, force, cause, place, kept: None };
    submit(node, Op::Trigger(Box::new(trigger))).await;
}

/// A node with an admin, some jobs, some runs, and one that waits for a worker.
pub async fn furnished(path: &Path) -> Handle {
    let node = open(path).await;
    let admin = User {
        uid: Uuid::from_u128(1),
        name: cronapi::model::Name::parse("admin").unwrap(),
        role: Role::Admin,
        scope: Scope::default(),
        password: "hash".into(),
        external: None,
        epoch: 0,
        created_at: now(),
        updated_at: now(),
    };
    let signing_key = SigningKey::new(Uuid::from_u128(2), [7; 32]);
    submit(&node, Op::Bootstrap { signing_key, admin: Box::new(admin) }).await;
    for n in 0..20 {
        put(&node, json!({"name": format!("job-{n}"), "overlap": "allow"})).await;
        trigger(&node, &format!("job-{n}")).await;
    }
    put(&node, json!({"name": "every", "expr": "* * * * *", "code": "pass"})).await;
    put(&node, json!({"name": "open", "code": "pass"})).await;
    trigger(&node, "open").await;
    node
}

/// Keeps a node writing until it is told to stop; gives how many entries it wrote.
pub fn busy(node: &Handle) -> (Arc<AtomicBool>, tokio::task::JoinHandle<u64>) {
    let (stop, node) = (Arc::new(AtomicBool::new(false)), node.clone());
    let told = Arc::clone(&stop);
    let task = tokio::spawn(async move {
        let mut written = 0;
        while !told.load(Ordering::Relaxed) {
            trigger(&node, &format!("job-{}", written % 20)).await;
            let note = AuditNote {
                at: now(),
                actor: Actor { name: "busy".into(), from: None, request_id: None, trace: None },
                action: "note".into(),
                target: written.to_string(),
                change: json!("x".repeat(200)),
            };
            submit(&node, Op::Note { entries: vec![note] }).await;
            written += 1;
        }
        written
    });
    (stop, task)
}

/// Takes a backup of a node into a file; gives its index.
pub async fn take(node: &Handle, file: &Path, passphrase: Option<&str>) -> u64 {
    take_changed(node, file, passphrase, |part| part).await
}

/// The same of a node whose history is not what it was.
pub async fn take_changed(
    node: &Handle,
    file: &Path,
    passphrase: Option<&str>,
    change: impl Fn(Part) -> Part,
) -> u64 {
    let least = node.read_barrier().await.unwrap();
    let mut backup = node.backup(least).await.unwrap();
    assert!(backup.header().index >= least);
    let (mut encoder, first) = Encoder::begin(backup.header(), passphrase).unwrap();
    let mut bytes = first.to_vec();
    while let Some(part) = backup.next().await.unwrap() {
        bytes.extend(encoder.part(change(part)).unwrap());
    }
    bytes.extend(encoder.end().unwrap());
    std::fs::write(file, bytes).unwrap();
    backup.header().index
}

pub fn restoring<'a>(file: &'a Path, data: &'a Path) -> Restoring<'a> {
    let now = Timestamp::from_secs(NOW + 3_600);
    let who = "op".to_owned();
    Restoring { file, data, passphrase: None, as_of: AsOf::At(now), who, now }
}

pub fn restore(file: &Path, data: &Path) -> Restored {
    cronapi::offline::restore(&restoring(file, data), &mut |_| {}).unwrap()
}

/// All rows of a history whose keys begin so.
pub async fn rows(node: &Handle, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let scan = Scan::prefix(prefix, Direction::Forward, usize::MAX);
    let rows = node.history().scan(scan).await.unwrap();
    rows.into_iter().map(|(key, value)| (key, value.to_vec())).collect()
}

/// A stopped node's directory, and a place beside it.
pub async fn directory() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let node = furnished(&data).await;
    node.shutdown().await.unwrap();
    let node = open(&data).await;
    trigger(&node, "job-3").await;
    node.shutdown().await.unwrap();
    (dir, data)
}
