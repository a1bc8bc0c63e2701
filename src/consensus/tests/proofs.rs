//! Replicas that are not alike are found out, and the odd one ends.

use super::super::{Handle, ProofOf, Role};
use super::cluster::{Site, eventually, has_role, stop};
use super::fixture::{command, numbered};
use crate::machine::state::FORMAT;
use crate::machine::{Op, State};

/// Seen in the digest of the next entry.
fn counts_otherwise(state: &mut State) {
    state.counters.run += 1;
}

/// Seen only in a digest of the whole.
fn forgets(state: &mut State) {
    state.totals.lost += 7;
}

fn plant(node: &Handle, what: fn(&mut State)) {
    *node.running.published.plant() = Some(what);
}

async fn cluster(voters: usize) -> Vec<Handle> {
    let mut nodes: Vec<Handle> = Vec::new();
    for _ in 0..voters {
        let join: Vec<&str> = nodes.first().map(Handle::addr).into_iter().collect();
        nodes.push(Site::new().open_of(3, &join).await);
    }
    for node in &nodes[1..] {
        has_role(node, Role::Follower).await;
    }
    // A machine under load may be without a leader for a moment.
    let raised = async {
        while nodes[0].submit(command(Op::RaiseFormat { to: FORMAT })).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::cluster::PATIENCE, raised).await.expect("it leads");
    nodes
}

/// Writes through `at` until `holds`.
async fn written_until(at: &Handle, from: u64, holds: impl Fn() -> bool, what: &str) {
    let writing = async {
        let mut n = from;
        while !holds() {
            // A node that ends answers nothing.
            let _ = at.submit(numbered(n)).await;
            n += 1;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let patience = super::cluster::PATIENCE;
    tokio::time::timeout(patience, writing).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn ended(node: &Handle) -> bool {
    node.fatal().borrow().as_ref().is_some_and(|why| why.contains("differs from a majority"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_is_not_like_the_others_ends_and_they_go_on() {
    for what in [counts_otherwise, forgets] {
        let nodes = cluster(3).await;
        let (leader, odd) = (&nodes[0], nodes[2].node_id());
        plant(&nodes[2], what);
        written_until(leader, 0, || ended(&nodes[2]), "the odd one ends").await;
        assert!(leader.compared()[&odd].differs.is_some());
        assert!(leader.members_told().iter().any(|m| m.node == odd && m.differs.is_some()));
        assert_eq!(leader.compared()[&nodes[1].node_id()].differs, None);
        for well in &nodes[..2] {
            assert_eq!(*well.fatal().borrow(), None);
        }
        leader.submit(numbered(100_000)).await.unwrap().answer.unwrap();
        let mut nodes = nodes;
        // Its log was let go when it ended.
        let _ = nodes.remove(2).shutdown().await;
        stop(nodes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_not_like_the_others_ends_itself() {
    for what in [counts_otherwise, forgets] {
        let [leader, second, third] = <[Handle; 3]>::try_from(cluster(3).await).ok().unwrap();
        plant(&leader, what);
        written_until(&leader, 0, || ended(&leader), "the leader ends").await;
        let _ = leader.shutdown().await;
        let leads = || [&second, &third].iter().any(|node| node.status().role == Role::Leader);
        eventually(leads, "a new leader").await;
        written_until(&second, 100_000, || second.state().job("n100002").is_some(), "writes").await;
        assert!(!ended(&second) && !ended(&third));
        stop([second, third]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_differ_alarm_and_go_on() {
    let nodes = cluster(2).await;
    let other = nodes[1].node_id();
    plant(&nodes[1], counts_otherwise);
    let differs = || nodes[0].compared().get(&other).is_some_and(|c| c.differs.is_some());
    written_until(&nodes[0], 0, differs, "a difference").await;
    assert_eq!(nodes[0].compared()[&other].differs.map(|(of, _)| of), Some(ProofOf::Log));
    nodes[0].submit(numbered(100_000)).await.unwrap().answer.unwrap();
    assert!(nodes.iter().all(|node| node.fatal().borrow().is_none()));
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_started_again_or_came_by_checkpoint_proves_itself() {
    let first = Site::new().open(&[]).await;
    first.submit(command(Op::RaiseFormat { to: FORMAT })).await.unwrap().answer.unwrap();
    let mut n = 0;
    while first.status().purged == 0 {
        first.submit(numbered(n)).await.unwrap().answer.unwrap();
        n += 1;
    }
    let site = Site::new();
    let second = site.open(&[first.addr()]).await;
    let third = Site::new().open(&[first.addr()]).await;
    for node in [&second, &third] {
        has_role(node, Role::Follower).await;
        let proven = || first.compared().get(&node.node_id()).is_some_and(|c| c.equal > n);
        written_until(&first, 10_000, proven, "a proof after a checkpoint").await;
    }
    let again = second.node_id();
    stop([second]).await;
    let upto = first.compared()[&again].equal;
    let second = site.open(&[first.addr()]).await;
    let proven = || first.compared()[&again].equal > upto + 10;
    written_until(&first, 20_000, proven, "a proof after a restart").await;
    assert!(first.compared().values().all(|compared| compared.differs.is_none()));
    stop([first, second, third]).await;
}
