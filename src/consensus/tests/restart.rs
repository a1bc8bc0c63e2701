use super::fixture::{accepted, node, numbered, numbers, row_of};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_graceful_stop() {
    let dir = tempfile::tempdir().unwrap();
    let first = node(dir.path()).await;
    for n in 0..50 {
        let done = first.submit(numbered(n)).await.unwrap();
        assert!(accepted(&done.answer));
        assert!(*first.applied().borrow() >= done.index);
    }
    let again = first.submit(numbered(7)).await.unwrap();
    assert!(!accepted(&again.answer), "a refusal is an answer");
    let before = first.status();
    first.shutdown().await.unwrap();

    let second = node(dir.path()).await;
    assert_eq!(numbers(&second.state()), (0..50).collect::<Vec<_>>());
    assert!(second.history().get(&row_of(49)).await.unwrap().is_some());
    let after = second.status();
    assert_eq!((before.node_id, &before.cluster_id), (after.node_id, &after.cluster_id));
    assert!(after.checkpoint >= before.applied, "a graceful stop takes a checkpoint");
    assert!(accepted(&second.submit(numbered(50)).await.unwrap().answer));
    second.health().unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_dropped_without_a_stop_applies_its_log_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = node(dir.path()).await;
    for n in 0..20 {
        first.submit(numbered(n)).await.unwrap();
    }
    // Only the library and its tasks are ended: no checkpoint, no flush of the history.
    first.running.raft.shutdown().await.unwrap();
    let tasks = first.running.tasks.lock().unwrap().take().unwrap();
    tasks.proposer.abort();
    tasks.checkpointer.abort();
    tasks.write_behind.abort();
    tasks.leadership.abort();
    drop((first, tasks));

    let second = node(dir.path()).await;
    assert_eq!(numbers(&second.state()), (0..20).collect::<Vec<_>>());
    assert!(second.history().get(&row_of(0)).await.unwrap().is_some());
    second.shutdown().await.unwrap();
}
