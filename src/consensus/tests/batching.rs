//! Many commands in few entries: order, single failures, bounds.

use futures_util::FutureExt;

use super::super::SubmitError;
use super::fixture::{
    accepted, node, node_in_memory, number_in, numbered, numbers, panicking, sized, sized_rows,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_gets_its_own_answer() {
    let node = node_in_memory().await;
    let submit = |n| {
        let node = node.clone();
        tokio::spawn(async move { (n, node.submit(numbered(n)).await.unwrap()) })
    };
    // Each number twice: exactly one of the two is accepted.
    let tasks: Vec<_> = (0..500).chain(0..500).map(submit).collect();
    let mut wins = vec![0; 500];
    for task in tasks {
        let (n, done) = task.await.unwrap();
        wins[n as usize] += u32::from(accepted(&done.answer));
    }
    assert!(wins.iter().all(|wins| *wins == 1));
    assert!(node.status().applied < 600, "1,000 commands must not be 1,000 entries");
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_refused_command_leaves_the_rest_of_its_batch_alone() {
    let node = node_in_memory().await;
    let term = node.leadership().borrow().term;
    let batch = [1, 2, 1, 3].map(numbered).to_vec();
    let answers = node.propose(term, batch).await.unwrap();
    assert_eq!(answers.iter().map(accepted).collect::<Vec<_>>(), [true, true, false, true]);
    assert_eq!(numbers(&node.state()), [1, 2, 3]);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_large_batch_is_cut_and_stays_in_order() {
    let node = node_in_memory().await;
    let term = node.leadership().borrow().term;
    let answers = node.propose(term, (0..3000).map(numbered).collect()).await.unwrap();
    assert_eq!(answers.iter().filter(|answer| accepted(answer)).count(), 3000);
    let events = node.events_since(0, 0).unwrap();
    assert!(events.iter().map(number_in).eq(0..3000));
    assert!(events.is_sorted_by_key(|event| (event.index, event.sub)));
    assert!(node.events_since(events[0].index, events[0].sub).unwrap().len() == 2999);
    assert!(node.propose(term, vec![]).await.unwrap().is_empty());
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_batch_decided_in_another_term_is_refused() {
    let node = node_in_memory().await;
    let term = node.leadership().borrow().term;
    let refused = node.propose(term + 1, vec![numbered(1)]).await.unwrap_err();
    assert_eq!(refused, SubmitError::TermMoved { expected: term + 1, current: term });
    assert!(!refused.ambiguous());
    assert!(numbers(&node.state()).is_empty());
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_command_is_stored_in_parts_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let first = node(dir.path()).await;
    first.submit(sized(150 * 1024)).await.unwrap();
    first.submit(sized(59 * 1024)).await.unwrap();
    let refused = first.submit(sized(210 * 1024)).await.unwrap_err();
    assert!(matches!(refused, SubmitError::TooLarge { .. }));
    assert!(!refused.retryable());
    first.health().unwrap();
    let end = first.status().applied;
    first.shutdown().await.unwrap();
    // Without its checkpoint the node must read every entry again.
    std::fs::remove_dir_all(dir.path().join("checkpoints")).unwrap();

    let second = node(dir.path()).await;
    assert!(second.status().applied >= end);
    let rows = sized_rows(&second).await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().any(|bytes| (150_000..160_000).contains(bytes)), "{rows:?}");
    second.health().unwrap();
    second.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_its_caller_gave_up_while_it_waited_is_not_carried_out() {
    let node = node_in_memory().await;
    node.submit(numbered(1)).await.unwrap();
    let pause = node.running.pause.begin().unwrap();
    assert!(node.submit(numbered(2)).now_or_never().is_none(), "it waits in the queue");
    drop(pause);
    node.submit(numbered(3)).await.unwrap();
    assert_eq!(numbers(&node.state()), [1, 3]);
    node.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_stopped_node_refuses_without_doubt() {
    let node = node_in_memory().await;
    node.clone().shutdown().await.unwrap();
    let refused = node.submit(numbered(1)).await.unwrap_err();
    assert_eq!(refused, SubmitError::Stopping);
    assert!(!node.leadership().borrow().is_leader);
    assert!(node.shutdown().await.is_err(), "only once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_the_machine_stops_the_node() {
    let node = node_in_memory().await;
    node.submit(numbered(1)).await.unwrap();
    let unknown = node.submit(panicking()).await.unwrap_err();
    assert!(unknown.ambiguous());
    let mut fatal = node.fatal();
    let reason = fatal.wait_for(Option::is_some).await.unwrap().clone();
    assert!(reason.unwrap().contains("panicked"));
    assert!(node.submit(numbered(2)).await.is_err());
}
