//! What is there after a restore.

use cronapi::model::RunStatus;
use cronapi::offline::AsOf;
use serde_json::json;

use crate::fixture::{
    NOW, furnished, now, open, put, restore, restoring, rows, submit, take, trigger,
};

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_and_the_cluster_is_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let [data, file, copy] = ["data", "file", "copy"].map(|name| dir.path().join(name));
    let node = furnished(&data).await;
    take(&node, &file, None).await;
    let made = restore(&file, &copy);
    assert_eq!((made.lost, made.skipped_jobs), (1, 1));
    let (before, status) = (node.state(), node.status());
    let versions = rows(&node, b"v").await;
    let runs = rows(&node, b"r").await;
    node.shutdown().await.unwrap();

    let new = open(&copy).await;
    assert_ne!(new.status().cluster_id, status.cluster_id);
    assert_eq!(new.status().cluster_id, made.cluster);
    assert_ne!(new.status().node_id, status.node_id);
    assert!(new.leadership().borrow().is_leader, "it is all of its cluster");
    let after = new.state();
    assert!(
        before
            .jobs
            .iter()
            .map(|(no, job)| (no, &job.spec, job.uid, job.version))
            .eq(after.jobs.iter().map(|(no, job)| (no, &job.spec, job.uid, job.version)))
    );
    assert_eq!(before.access.users, after.access.users);
    assert_ne!(before.access.keys, after.access.keys);
    assert_eq!(rows(&new, b"v").await, versions);
    let now_there = rows(&new, b"r").await;
    assert!(runs.iter().all(|row| now_there.contains(row)), "no closed run was changed");
    assert_eq!(now_there.len(), runs.len() + 1, "and the open one is closed");
    let last = after.job("open").unwrap().live.last_run.unwrap();
    assert_eq!(last.status, RunStatus::Lost);
    // It takes writes, and a restart finds them.
    put(&new, json!({"name": "new"})).await;
    trigger(&new, "new").await;
    new.shutdown().await.unwrap();
    let again = open(&copy).await;
    assert!(again.state().job("new").unwrap().live.last_run.is_some());
    assert_eq!(rows(&again, b"r").await.len(), runs.len() + 2);
    again.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let [data, file, copy] = ["data", "file", "copy"].map(|name| dir.path().join(name));
    let node = furnished(&data).await;
    take(&node, &file, None).await;
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join("precious"), "x").unwrap();
    for place in [&copy, &data, &file] {
        let refused = cronapi::offline::restore(&restoring(&file, place), &mut |_| {});
        let text = refused.err().unwrap().to_string();
        assert!(text.contains("not empty") || text.contains("is a file"), "{text}");
    }
    assert_eq!(std::fs::read(copy.join("precious")).unwrap(), b"x");
    assert_eq!(std::fs::read_dir(&copy).unwrap().count(), 1);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_cut_short_is_no_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let [data, file, copy] = ["data", "file", "copy"].map(|name| dir.path().join(name));
    let node = furnished(&data).await;
    take(&node, &file, None).await;
    node.shutdown().await.unwrap();
    restore(&file, &copy);
    // The last thing that a restore writes.
    std::fs::remove_file(copy.join("FORMAT")).unwrap();
    let options = cronapi::consensus::Options::new(&copy, now().millis());
    let refused = cronapi::consensus::open(options).await.err().unwrap().to_string();
    assert!(refused.contains("FORMAT file is missing"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_of_must_be_a_time_that_can_have_been() {
    let dir = tempfile::tempdir().unwrap();
    let [data, file, copy] = ["data", "file", "copy"].map(|name| dir.path().join(name));
    let node = furnished(&data).await;
    take(&node, &file, None).await;
    node.shutdown().await.unwrap();
    for (secs, word) in [(1_700_000_000, "before the backup"), (NOW + 7_200, "future")] {
        let as_of = AsOf::At(cronapi::model::Timestamp::from_secs(secs));
        let restoring = cronapi::offline::Restoring { as_of, ..restoring(&file, &copy) };
        match cronapi::offline::restore(&restoring, &mut |_| {}) {
            Ok(made) => panic!("{secs} was taken: {:?}", made.header),
            Err(refused) => assert!(refused.to_string().contains(word), "{refused}"),
        }
        assert!(!copy.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_backup_of_a_restored_cluster_restores_again() {
    let dir = tempfile::tempdir().unwrap();
    let [data, first, second] = ["data", "one", "two"].map(|name| dir.path().join(name));
    let [file, again] = ["file", "again"].map(|name| dir.path().join(name));
    let node = furnished(&data).await;
    take(&node, &file, None).await;
    node.shutdown().await.unwrap();
    restore(&file, &first);
    let node = open(&first).await;
    let rotate = cronapi::machine::command::SigningKey::new(uuid::Uuid::nil(), [1; 32]);
    let rotate = cronapi::machine::Op::RotateKey { signing_key: rotate, revoke: false };
    submit(&node, rotate).await;
    take(&node, &again, None).await;
    let fence = node.state().counters.fence;
    node.shutdown().await.unwrap();
    restore(&again, &second);
    let node = open(&second).await;
    assert!(node.state().counters.fence > fence);
    assert_eq!(node.state().jobs.len(), 22);
    node.shutdown().await.unwrap();
}
