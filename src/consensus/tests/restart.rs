use super::super::{Handle, SubmitError};
use super::fixture::{
    accepted, disk, node, node_on, node_with_many_checkpoints, numbered, numbers, row_of,
};

/// Ends a node without a checkpoint or a last flush.
async fn abandon(node: Handle) {
    node.running.raft.shutdown().await.unwrap();
    let tasks = node.running.tasks.lock().unwrap().take().unwrap();
    for task in [tasks.proposer, tasks.checkpointer, tasks.write_behind, tasks.leadership] {
        task.abort();
        let _ = task.await;
    }
}

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
    assert!(second.history().get(&row_of(&second, 49)).await.unwrap().is_some());
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
    abandon(first).await;

    let second = node(dir.path()).await;
    assert_eq!(numbers(&second.state()), (0..20).collect::<Vec<_>>());
    assert!(second.history().get(&row_of(&second, 0)).await.unwrap().is_some());
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_crash_that_loses_unflushed_writes_loses_nothing_answered() {
    let disk = disk();
    for round in 0..5 {
        let node = node_on(&disk).await;
        assert_eq!(numbers(&node.state()), (0..round * 40).collect::<Vec<_>>());
        for n in round * 40..round * 40 + 40 {
            assert!(accepted(&node.submit(numbered(n)).await.unwrap().answer));
            if n % 17 == 0 {
                node.history().persist().await.unwrap();
            }
        }
        if round == 2 {
            node.shutdown().await.unwrap();
        } else {
            abandon(node).await;
        }
        disk.crash();
    }
    let node = node_on(&disk).await;
    for n in 0..200 {
        assert!(node.history().get(&row_of(&node, n)).await.unwrap().is_some());
    }
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn after_a_failed_flush_nothing_is_acknowledged_and_the_node_says_so() {
    let disk = disk();
    let node = node_on(&disk).await;
    node.submit(numbered(1)).await.unwrap();
    disk.break_log();
    for n in 2..5 {
        let error = node.submit(numbered(n)).await.unwrap_err();
        assert!(matches!(error, SubmitError::Unknown | SubmitError::Stopping), "{error}");
    }
    let mut fatal = node.fatal();
    assert!(fatal.wait_for(Option::is_some).await.is_ok());
    assert_eq!(numbers(&node.state()), [1]);
}

#[tokio::test]
async fn a_failed_write_of_the_history_stops_the_node() {
    let disk = disk();
    let node = node_on(&disk).await;
    disk.break_history();
    node.submit(numbered(1)).await.unwrap();
    let mut fatal = node.fatal();
    let reason = fatal.wait_for(Option::is_some).await.unwrap().clone();
    assert!(reason.unwrap().contains("history"));
    assert!(node.submit(numbered(2)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_taken_and_the_log_is_purged_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let node = node_with_many_checkpoints(dir.path()).await;
    let mut n = 0;
    while node.status().purged == 0 {
        node.submit(numbered(n)).await.unwrap();
        n += 1;
        assert!(n < 100_000, "the log is never purged");
    }
    let status = node.status();
    assert!(status.purged < status.checkpoint, "the older checkpoint needs its log");
    assert!(status.history >= status.checkpoint);
    assert!(node.read_barrier().await.unwrap() >= status.checkpoint);
    abandon(node).await;
    let node = node_with_many_checkpoints(dir.path()).await;
    assert_eq!(numbers(&node.state()).len() as u64, n);
    node.shutdown().await.unwrap();
}
