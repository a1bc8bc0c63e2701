//! What nodes can read decides what is written.

use std::sync::Arc;
use std::time::Duration;

use tonic::Request;

use super::super::proposal::Proposal;
use super::super::rpc::{self, Lane};
use super::super::{Handle, Options, Reach, Tcp, open};
use super::cluster::{PATIENCE, three};
use super::fixture::{NOW_MS, accepted, command, disk, numbered, numbers};
use crate::machine::Op;
use crate::machine::reply::Rejection;
use crate::machine::state::FORMAT;
use crate::wire::proto;

async fn node(join: &[&str]) -> Handle {
    let (transport, listen) = (Arc::new(Tcp), "127.0.0.1:0".to_owned());
    let options = Options {
        in_memory: Some(disk()),
        reach: Some(Reach { transport, listen, advertise: None }),
        join: join.iter().map(|addr| (*addr).to_owned()).collect(),
        ..Options::new("unused", NOW_MS)
    };
    open(options).await.unwrap()
}

async fn joins(leader: &Handle, reads: u32) -> Result<(), String> {
    let mut client = leader.running.peers.stranger(leader.addr()).unwrap();
    let message = proto::JoinRequest { node: 7, addr: "127.0.0.1:9".to_owned(), reads };
    let joined = client.join(Request::new(message)).await;
    joined.map(drop).map_err(|status| status.message().to_owned())
}

/// Until all members have spoken: there is no event for it here.
async fn agreed(node: &Handle) -> u32 {
    let agree = async {
        loop {
            match node.format_read_by_all() {
                Some(format) => return format,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), agree).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_reads_too_little_is_refused_with_both_numbers() {
    let leader = node(&[]).await;
    leader.submit(command(Op::RaiseFormat { to: FORMAT })).await.unwrap().answer.unwrap();
    // What earlier versions say: nothing.
    let why = joins(&leader, 0).await.unwrap_err();
    assert!(why.contains("up to 1") && why.contains(&format!("format {FORMAT}")), "{why}");
    assert_eq!(leader.members_told().len(), 1);
    leader.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_that_reads_less_or_is_silent_holds_the_format_back() {
    let leader = node(&[]).await;
    assert_eq!(agreed(&leader).await, FORMAT, "alone it need not ask");
    let other = node(&[leader.addr()]).await;
    assert_eq!(agreed(&leader).await, FORMAT);
    // A member that nobody answers for.
    let joined = async {
        // Refused while another change is under way: the second node gets its vote.
        while joins(&leader, 1).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), joined).await.unwrap();
    let held_back = async {
        while leader.format_read_by_all().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), held_back).await.unwrap();
    let spoken = async {
        loop {
            match leader.heard().get(&other.node_id()) {
                Some(heard) => return heard.clone(),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let mut heard = tokio::time::timeout(Duration::from_secs(20), spoken).await.unwrap();
    heard.reads = 1;
    leader.running.presence.hear(7, heard);
    assert_eq!(agreed(&leader).await, 1);
    for node in [other, leader] {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_only_rises() {
    let node = node(&[]).await;
    node.submit(command(Op::RaiseFormat { to: FORMAT })).await.unwrap().answer.unwrap();
    let again = node.submit(command(Op::RaiseFormat { to: FORMAT })).await.unwrap().answer;
    assert!(again.is_err());
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stops_at_a_format_that_it_does_not_read() {
    let node = node(&[]).await;
    let newer = command(Op::RaiseFormat { to: FORMAT + 1 });
    // Its answer is lost with the node.
    let _ = node.submit(newer).await;
    let mut fatal = node.fatal();
    let why = fatal.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(why.contains("newer version"), "{why}");
}

/// What a node of a newer version may send: a variant that this one has never heard of.
fn from_the_future() -> proto::Proposal {
    let bytes = rmp_serde::to_vec_named(&serde_json::json!({ "op": { "Invent": { "what": 1 } } }));
    proto::Proposal { what: Some(proto::proposal::What::Command(bytes.unwrap().into())) }
}

fn needs_an_upgrade(answer: &crate::machine::Answer) -> bool {
    matches!(answer, Err(Rejection::UpgradeNeeded { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leader_can_not_read_is_refused_alone() {
    let [leader, other, third] = three().await;
    let known = |n| rpc::proposal_out(&Proposal::Command(numbered(n))).unwrap();
    let message = proto::SubmitRequest { proposals: vec![known(1), from_the_future(), known(2)] };
    let (peers, to) = (&other.running.peers, leader.node_id());
    let reply = peers.call(to, Lane::Bulk, PATIENCE, message, |mut client, request| async move {
        client.submit(request).await
    });
    let reply = reply.await.unwrap();
    let answers: Vec<_> = reply
        .outcomes
        .into_iter()
        .map(|outcome| rpc::outcome_in(outcome).unwrap().answer)
        .collect();
    assert!(accepted(&answers[0]) && accepted(&answers[2]), "{answers:?}");
    assert!(needs_an_upgrade(&answers[1]), "{answers:?}");
    assert_eq!(numbers(&leader.state()), [1, 2]);
    for node in [third, other, leader] {
        node.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_entries_can_not_be_read_is_heard() {
    let [leader, other, third] = three().await;
    let term = other.running.heartbeat.term() + 5;
    let message = proto::AppendRequest {
        vote: Some(proto::Vote { term, node: leader.node_id(), committed: true }),
        prev: None,
        committed: None,
        entries: vec![b"an entry of a version to come".as_slice().into()],
    };
    let (peers, to) = (&leader.running.peers, other.node_id());
    let reply = peers.call(to, Lane::Raft, PATIENCE, message, |mut client, request| async move {
        client.append(request).await
    });
    assert!(reply.await.is_err());
    assert_eq!(other.running.heartbeat.term(), term, "it would stand against a leader that lives");
    drop(third);
}
