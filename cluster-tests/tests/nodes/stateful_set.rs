//! Nodes as a StatefulSet runs them: with the environment of the chart's pods, by names whose
//! addresses change, started all at once, stopped and replaced as its controller does it.

#[path = "stateful_set/set.rs"]
mod set;

use cluster_tests::harness::{Sandbox, skipped};
use set::Set;

/// A set that fires every second, or none where this can't be done.
async fn ticking<'a>(name: &str, sandbox: &'a Sandbox, replicas: usize) -> Option<Set<'a>> {
    match Set::new(sandbox) {
        Ok(mut set) => {
            set.scale(replicas).await;
            set.voters(replicas.min(3)).await;
            set.tick().await;
            Some(set)
        }
        Err(why) => {
            skipped(name, &why);
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_grows_from_one_to_five_and_back_to_three_and_fires_every_second() {
    let sandbox = Sandbox::new();
    let Some(mut set) = ticking("scale", &sandbox, 1).await else { return };
    let cluster = set.only_cluster().await;
    for (replicas, voters) in [(3, 3), (5, 3), (3, 3)] {
        set.scale(replicas).await;
        set.voters(voters).await;
        set.fires_go_on().await;
        assert_eq!(set.only_cluster().await, cluster, "at {replicas}");
    }
    set.every_second_fired().await;
    set.audited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_changes_every_address_and_loses_no_fire() {
    let sandbox = Sandbox::new();
    let Some(mut set) = ticking("rolling", &sandbox, 3).await else { return };
    let (cluster, nodes) = (set.only_cluster().await, set.node_ids().await);
    set.roll().await;
    set.roll().await;
    set.voters(3).await;
    set.fires_go_on().await;
    assert_eq!(set.only_cluster().await, cluster);
    assert_eq!(set.node_ids().await, nodes, "a pod keeps its node");
    set.every_second_fired().await;
    set.audited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_votes_are_five_become_three_at_once() {
    let sandbox = Sandbox::new();
    let Some(mut set) = ticking("shrink", &sandbox, 5).await else { return };
    // Each stop hands a vote on: to those that are to go, while the others are down.
    for ordinal in [0, 1] {
        set.stop(&[ordinal]).await;
        set.voters(3).await;
    }
    for ordinal in [0, 1] {
        set.start(ordinal).await;
    }
    set.wait_ready().await;
    let voting = set.voting().await;
    assert!(voting.contains(&3) && voting.contains(&4), "{voting:?}");
    set.scale(3).await;
    set.voters(3).await;
    set.fires_go_on().await;
    set.every_second_fired().await;
    set.audited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_lost_its_disk_takes_its_place_again_the_first_one_too() {
    let sandbox = Sandbox::new();
    let Some(mut set) = ticking("wiped", &sandbox, 3).await else { return };
    let cluster = set.only_cluster().await;
    for ordinal in [2, 0] {
        set.kill(ordinal).await;
        set.wipe(ordinal).await;
        set.start(ordinal).await;
        set.wait_ready().await;
        set.voters(3).await;
        set.members(3).await;
        set.fires_go_on().await;
        assert_eq!(set.only_cluster().await, cluster, "after {ordinal}");
    }
    set.every_second_fired().await;
    set.audited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ordinal_0_the_set_goes_on_grows_and_takes_it_in_again() {
    let sandbox = Sandbox::new();
    let Some(mut set) = ticking("ordinal 0", &sandbox, 3).await else { return };
    let cluster = set.only_cluster().await;
    set.kill(0).await;
    set.fires_go_on().await;
    // Two more join by what is left.
    set.scale_without(5, &[0]).await;
    set.fires_go_on().await;
    set.wipe(0).await;
    set.start(0).await;
    set.wait_ready().await;
    set.voters(3).await;
    assert_eq!(set.only_cluster().await, cluster);
    set.every_second_fired().await;
    set.audited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_down_at_once_and_back_in_any_order_under_new_addresses() {
    let sandbox = Sandbox::new();
    let Some(mut set) = ticking("all down", &sandbox, 3).await else { return };
    let (cluster, nodes) = (set.only_cluster().await, set.node_ids().await);
    for order in [[2, 0, 1], [1, 2, 0]] {
        for ordinal in 0..3 {
            set.kill(ordinal).await;
        }
        for ordinal in order {
            set.start(ordinal).await;
        }
        set.wait_ready().await;
        set.voters(3).await;
        set.fires_go_on().await;
        assert_eq!(set.only_cluster().await, cluster);
        assert_eq!(set.node_ids().await, nodes);
    }
    set.audited().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_pod_alone_without_its_disk_begins_no_second_cluster() {
    let sandbox = Sandbox::new();
    let Some(mut set) = ticking("alone", &sandbox, 3).await else { return };
    let cluster = set.only_cluster().await;
    for ordinal in 0..3 {
        set.kill(ordinal).await;
    }
    set.wipe(0).await;
    set.start(0).await;
    set.stays_out(0).await;
    set.start(2).await;
    set.stays_out(0).await;
    set.start(1).await;
    set.wait_ready().await;
    set.voters(3).await;
    assert_eq!(set.only_cluster().await, cluster);
    set.fires_go_on().await;
    set.audited().await;
}
