//! Several nodes in one process, over real sockets on loopback.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::super::contact::hello;
use super::super::{
    Handle, MemberError, Options, Reach, Role, SubmitError, Tcp, Tls, Transport, open,
};
use super::fixture::{NOW_MS, command, disk, numbered, numbers, row_of, wanted};
use crate::machine::command::{Op, TriggerRun};
use crate::metrics::{Gauges, Metrics};
use crate::model::Span;
use crate::storage::MemoryDisk;

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Site {
    /// Where it listens; port 0: at another address each time.
    listen: String,
    disk: Arc<MemoryDisk>,
    transport: Arc<dyn Transport>,
    metrics: Arc<Metrics>,
}

impl Site {
    pub(super) fn new() -> Site {
        Site::through(Arc::new(Tcp))
    }

    fn holding(key: &str) -> Site {
        Site::through(keyed(key, None))
    }

    fn through(transport: Arc<dyn Transport>) -> Site {
        let listen = "127.0.0.1:0".to_owned();
        Site { listen, disk: disk(), transport, metrics: Arc::new(Metrics::new(0).unwrap()) }
    }

    pub(super) async fn open(&self, join: &[&str]) -> Handle {
        self.open_of(3, join).await
    }

    /// As one that wants this many voters.
    pub(super) async fn open_of(&self, voters: usize, join: &[&str]) -> Handle {
        let (transport, listen) = (Arc::clone(&self.transport), self.listen.clone());
        let options = Options {
            in_memory: Some(Arc::clone(&self.disk)),
            reach: Some(Reach { transport, listen, advertise: None }),
            join: join.iter().map(|addr| (*addr).to_owned()).collect(),
            checkpoint_entries: 30,
            // So often that every test here proves whole states, and nodes tell of the same ones.
            prove_every: Span::from_millis(200),
            voters,
            metrics: Some(Arc::clone(&self.metrics)),
            ..Options::new("unused", NOW_MS)
        };
        open(options).await.unwrap()
    }
}

fn keyed(key: &str, old: Option<&str>) -> Arc<dyn Transport> {
    Arc::new(Tls::rotating(Arc::new(Tcp), key, old).unwrap())
}

pub(super) async fn three() -> [Handle; 3] {
    let first = Site::new().open(&[]).await;
    let second = Site::new().open(&[first.addr()]).await;
    let third = Site::new().open(&[first.addr()]).await;
    for node in [&second, &third] {
        has_role(node, Role::Follower).await;
    }
    [first, second, third]
}

pub(super) async fn has_role(node: &Handle, role: Role) {
    eventually(|| node.status().role == role, &format!("{role:?}")).await;
}

/// Looks until it holds: what is waited for has no event of its own here.
pub(super) async fn eventually(holds: impl Fn() -> bool, what: &str) {
    let looked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, looked).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(super) async fn stop(nodes: impl IntoIterator<Item = Handle>) {
    for node in nodes {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_on_any_node_is_read_on_every_node() {
    let nodes = three().await;
    for n in 0..30 {
        let at = &nodes[n as usize % 3];
        at.submit(numbered(n)).await.unwrap().answer.unwrap();
        assert!(numbers(&at.state()).contains(&n), "acknowledged before it was applied here");
        let other = &nodes[(n as usize + 1) % 3];
        other.read_barrier().await.unwrap();
        assert!(numbers(&other.state()).contains(&n), "a read missed an acknowledged write");
    }
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_wants_is_refused_from_another_node_that_does_not_say_who() {
    let nodes = three().await;
    let leader = nodes.iter().position(|node| node.status().role == Role::Leader).unwrap();
    let (leader, other) = (&nodes[leader], &nodes[(leader + 1) % 3]);
    other.leadership().wait_for(|now| now.leader == Some(leader.node_id())).await.unwrap();
    let name = crate::model::Name::parse("admin").unwrap();
    let (role, scope) = (crate::model::Role::Admin, crate::model::Scope::default());
    let op = Op::SetRole { name, role, scope };
    let refused = other.submit(command(op.clone())).await;
    assert!(refused.is_err(), "{refused:?}");
    // With a name it is judged by what it wants.
    let judged = other.submit(wanted(op)).await.unwrap();
    assert!(judged.answer.is_err(), "there is no such user here");
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_go_on_when_the_leader_is_gone() {
    let [leader, second, third] = three().await;
    leader.submit(numbered(1)).await.unwrap().answer.unwrap();
    stop([leader]).await;
    eventually(
        || [&second, &third].iter().any(|node| node.status().role == Role::Leader),
        "a new leader",
    )
    .await;
    second.read_barrier().await.unwrap();
    assert_eq!(numbers(&second.state()), [1]);
    let written = async {
        while third.submit(numbered(2)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, written).await.unwrap();
    stop([second, third]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_that_nobody_waits_for_leaves_the_leader_leading() {
    let mut nodes: Vec<Handle> = Vec::new();
    for _ in 0..5 {
        let join: Vec<&str> = nodes.first().map(Handle::addr).into_iter().collect();
        nodes.push(Site::new().open_of(5, &join).await);
    }
    eventually(|| nodes.iter().all(|node| node.status().role != Role::Learner), "five").await;
    let (leads, to) = (nodes[0].node_id(), nodes[4].node_id());
    let handed = timeout(Duration::from_millis(20), nodes[0].transfer(Some(to))).await;
    assert!(handed.is_err(), "five voters have to miss their leader first: {handed:?}");
    // A leader that is silent for a lease is replaced: it has to be heard for longer than that.
    let silent = || nodes[2].running.heartbeat.silent_for();
    let mut before = silent();
    let heard = async {
        for _ in 0..20 {
            while silent() >= before {
                before = silent();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            before = silent();
        }
    };
    timeout(PATIENCE, heard).await.unwrap();
    // On a machine that stood still it may have been handed over before it was given up.
    let leader = nodes[1].leadership().borrow().leader;
    assert!(leader == Some(leads) || leader == Some(to), "{leader:?} was elected");
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_goes_where_it_is_sent_without_an_election_timeout() {
    let nodes = three().await;
    let to = nodes[2].node_id();
    // Asked on a follower, which passes it on.
    assert_eq!(nodes[1].transfer(Some(to)).await.unwrap(), to);
    has_role(&nodes[2], Role::Leader).await;
    let mut known = nodes[0].leadership();
    timeout(PATIENCE, known.wait_for(|known| known.leader == Some(to))).await.unwrap().unwrap();
    nodes[0].submit(numbered(1)).await.unwrap().answer.unwrap();
    let unknown = nodes[0].transfer(Some(7)).await;
    assert!(matches!(unknown, Err(MemberError::Refused(_))), "{unknown:?}");
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_node_gets_the_state_and_the_history_by_checkpoint() {
    let first = Site::new().open(&[]).await;
    let mut n = 0;
    while first.status().purged == 0 {
        first.submit(numbered(n)).await.unwrap().answer.unwrap();
        n += 1;
    }
    let late = Site::new().open(&[first.addr()]).await;
    has_role(&late, Role::Follower).await;
    late.read_barrier().await.unwrap();
    assert_eq!(numbers(&late.state()), (0..n).collect::<Vec<_>>());
    for n in 0..n {
        let key = row_of(&first, n);
        let (theirs, ours) = (late.history().get(&key), first.history().get(&key));
        assert_eq!(theirs.await.unwrap(), ours.await.unwrap());
    }
    assert!(late.status().purged > 0, "it came by checkpoint, not by log");
    stop([late, first]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_disk_takes_its_own_place_as_another_node() {
    let first = Site::new().open(&[]).await;
    let second = Site::new().open(&[first.addr()]).await;
    let site = Site::new();
    let third = site.open(&[first.addr()]).await;
    has_role(&third, Role::Follower).await;
    has_role(&second, Role::Follower).await;
    let (addr, gone) = (third.addr().to_owned(), third.node_id());
    stop([third]).await;
    let options = Options {
        in_memory: Some(disk()),
        reach: Some(Reach { transport: Arc::new(Tcp), listen: addr, advertise: None }),
        join: vec![first.addr().to_owned()],
        ..Options::new("unused", NOW_MS)
    };
    let anew = open(options).await.unwrap();
    has_role(&anew, Role::Follower).await;
    eventually(
        || first.members_told().iter().all(|member| member.node != gone),
        "the lost node is forgotten",
    )
    .await;
    let members = first.members_told();
    assert_eq!(members.iter().filter(|member| member.voter).count(), 3);
    // The leader first: it may be telling the log that the node is gone.
    stop([first, second, anew]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_moved_is_found_where_it_is_now() {
    let first = Site::new().open(&[]).await;
    let second = Site::new().open(&[first.addr()]).await;
    let site = Site::new();
    let third = site.open(&[first.addr()]).await;
    has_role(&third, Role::Follower).await;
    has_role(&second, Role::Follower).await;
    let (before, node) = (third.addr().to_owned(), third.node_id());
    stop([third]).await;
    // Port 0 gives it another one.
    let third = site.open(&[]).await;
    assert_ne!(third.addr(), before);
    eventually(
        || first.members_told().iter().any(|m| m.node == node && m.addr == third.addr()),
        "the membership has its new address",
    )
    .await;
    second.submit(numbered(1)).await.unwrap().answer.unwrap();
    third.read_barrier().await.unwrap();
    assert_eq!(numbers(&third.state()), [1]);
    stop([third, second, first]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_stops_and_may_come_back() {
    let [first, second, third] = three().await;
    let (addr, gone) = (first.addr().to_owned(), third.node_id());
    second.remove_node(gone, None).await.unwrap();
    let mut fatal = third.fatal();
    let why = timeout(PATIENCE, fatal.wait_for(Option::is_some)).await.unwrap().unwrap().clone();
    assert!(why.unwrap().contains("removed"));
    let again = second.remove_node(gone, None).await;
    assert!(matches!(again, Err(MemberError::NotFound(_))), "{again:?}");
    let _ = third.shutdown().await;
    let back = Site::new().open(&[&addr]).await;
    has_role(&back, Role::Follower).await;
    stop([back, second, first]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_voter_stays() {
    let only = Site::new().open(&[]).await;
    let refused = only.remove_node(only.node_id(), None).await;
    assert!(matches!(refused, Err(MemberError::Refused(_))), "{refused:?}");
    only.submit(numbered(1)).await.unwrap().answer.unwrap();
    stop([only]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_the_key_gets_in() {
    let first = Site::holding("a key of the right cluster").open(&[]).await;
    let friend = Site::holding("a key of the right cluster").open(&[first.addr()]).await;
    has_role(&friend, Role::Follower).await;
    for stranger in [Site::new(), Site::holding("a key of another cluster")] {
        let stranger = stranger.open(&[first.addr()]).await;
        assert!(hello(&stranger, first.addr()).await.is_none());
        assert_eq!(stranger.status().cluster_id, "");
        stop([stranger]).await;
    }
    assert_eq!(first.members_told().len(), 2);
    stop([friend, first]).await;
}

/// Runs that a node counted.
fn counted(site: &Site) -> u64 {
    let page = site.metrics.page(&Gauges::default()).unwrap();
    let series = "cronapi_runs_total{result=\"succeeded\",trigger=\"manual\"} ";
    let value = page.lines().find_map(|line| line.strip_prefix(series)).unwrap();
    value.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_does_is_counted_by_one_node_whoever_leads() {
    let sites = [Site::new(), Site::new(), Site::new()];
    let first = sites[0].open(&[]).await;
    let mut nodes = vec![first];
    for site in &sites[1..] {
        let node = site.open(&[nodes[0].addr()]).await;
        has_role(&node, Role::Follower).await;
        nodes.push(node);
    }
    nodes[0].submit(numbered(1)).await.unwrap().answer.unwrap();
    let no = *nodes[0].state().jobs.keys().next().unwrap();
    for (leader, so_far) in [(1, 1), (2, 2), (0, 3)] {
        nodes[leader].transfer(Some(nodes[leader].node_id())).await.unwrap();
        let parameters = Default::default();
        let (cause, place, kept) = (None, None, None);
        let run = TriggerRun { no, version: 1, parameters, force: false, cause, place, kept };
        // Asked on another node than the one that leads.
        let asked = &nodes[(leader + 1) % 3];
        let leads = nodes[leader].node_id();
        asked.leadership().wait_for(|now| now.leader == Some(leads)).await.unwrap();
        let trigger = wanted(Op::Trigger(Box::new(run)));
        let started = async {
            loop {
                // Refused before it was written: it is asked again.
                match asked.submit(trigger.clone()).await {
                    Err(SubmitError::NoLeader { .. }) => tokio::task::yield_now().await,
                    other => return other,
                }
            }
        };
        timeout(PATIENCE, started).await.unwrap().unwrap().answer.unwrap();
        let index = asked.status().applied;
        for node in &nodes {
            node.applied().wait_for(|applied| *applied >= index).await.unwrap();
        }
        assert_eq!(sites.iter().map(counted).sum::<u64>(), so_far);
    }
    assert_eq!(sites.each_ref().map(counted), [1, 1, 1], "each counted what it wrote");
    stop(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_replaced_node_by_node_and_nothing_stops() {
    const OLD: &str = "the key that the cluster had";
    const NEW: &str = "the key that the cluster gets";
    let mut sites = [Site::holding(OLD), Site::holding(OLD), Site::holding(OLD)];
    let first = sites[0].open(&[]).await;
    let addr = first.addr().to_owned();
    let mut nodes = vec![first, sites[1].open(&[&addr]).await, sites[2].open(&[&addr]).await];
    for node in &nodes[1..] {
        has_role(node, Role::Follower).await;
    }
    let mut n = 0;
    for (key, old) in [(NEW, Some(OLD)), (NEW, None)] {
        for (at, site) in sites.iter_mut().enumerate() {
            let node = nodes.remove(at);
            site.listen = node.addr().to_owned();
            node.shutdown().await.unwrap();
            site.transport = keyed(key, old);
            let known = nodes[0].addr().to_owned();
            nodes.insert(at, site.open(&[&known]).await);
            // Every node takes a write, and every node shows it.
            for by in 0..3 {
                let written = async {
                    while nodes[by].submit(numbered(n)).await.is_err() {
                        tokio::task::yield_now().await;
                    }
                };
                timeout(PATIENCE, written).await.unwrap();
                for node in &nodes {
                    let read = async {
                        while node.read_barrier().await.is_err() {
                            tokio::task::yield_now().await;
                        }
                    };
                    timeout(PATIENCE, read).await.unwrap();
                    assert!(numbers(&node.state()).contains(&n), "step {key}, node {at}, {n}");
                }
                n += 1;
            }
        }
    }
    let late = Site::holding(OLD).open(&[nodes[0].addr()]).await;
    assert!(hello(&late, nodes[0].addr()).await.is_none(), "the old key opens nothing now");
    stop([late]).await;
    stop(nodes).await;
}
