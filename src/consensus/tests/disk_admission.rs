//! What a node does without while its disk is nearly full.

use std::sync::Arc;

use super::super::{Intended, SubmitError};
use super::fixture::{disk, node_on, numbered, output};
use crate::machine::Rejection;
use crate::machine::prepare::{Intent, PutMode};
use crate::model::{JobSpec, Name};
use crate::storage::Pressure;

fn name() -> Name {
    Name::parse("asked").unwrap()
}

fn put() -> Intent {
    let spec = Arc::new(JobSpec::new(name()));
    Intent::PutJob { spec, mode: PutMode::Create, expected: None }
}

fn trigger() -> Intent {
    Intent::Trigger { name: name(), parameters: Default::default(), force: false, cause: None }
}

fn entries() -> Intent {
    Intent::TakeEntries { trigger: name(), fence: 1, entries: Vec::new() }
}

#[tokio::test]
async fn a_disk_short_of_room_is_freed_of_log_sooner() {
    let disk = disk();
    let node = node_on(&disk).await;
    disk.press(Pressure::Output);
    let mut n = 0;
    while node.status().purged == 0 {
        node.submit(numbered(n)).await.unwrap();
        n += 1;
        assert!(n < 10_000, "the log is never purged");
    }
    assert!(node.status().last_log < 19_000, "long before the next checkpoint would be due");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn output_is_refused_first_and_then_what_is_asked_for() {
    let disk = disk();
    let node = node_on(&disk).await;
    let refused = |answer: &Result<_, Rejection>| matches!(answer, Err(Rejection::Limit { .. }));
    assert!(!refused(&node.submit(output()).await.unwrap().answer), "it names no run, no more");

    disk.press(Pressure::Output);
    assert!(refused(&node.submit(output()).await.unwrap().answer));
    node.submit(Intended::new(put(), None, None)).await.unwrap().answer.unwrap();
    node.submit(Intended::new(trigger(), None, None)).await.unwrap().answer.unwrap();

    disk.press(Pressure::Writes);
    assert_eq!(*node.space().borrow(), Pressure::Writes);
    let before = node.status().last_log;
    assert!(refused(&node.submit(output()).await.unwrap().answer));
    for intent in [put(), trigger(), entries()] {
        let error = node.submit(Intended::new(intent, None, None)).await.unwrap_err();
        assert_eq!(error, SubmitError::NoRoom);
        assert!(error.retryable() && !error.ambiguous());
    }
    assert_eq!(node.status().last_log, before, "nothing of it reached the log");
    // What frees room, and what the cluster itself decides, goes on.
    let delete = Intent::DeleteJob { name: name(), expected: None };
    node.submit(Intended::new(delete, None, None)).await.unwrap().answer.unwrap();
    node.submit(numbered(1)).await.unwrap().answer.unwrap();

    disk.press(Pressure::None);
    node.submit(Intended::new(put(), None, None)).await.unwrap().answer.unwrap();
    node.shutdown().await.unwrap();
}
