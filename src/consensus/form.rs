//! A node without a cluster finds one, or begins one.
//!
//! Without addresses to ask at, it begins a cluster of one. With some, it asks all of them:
//! - One is of a cluster: this node joins that one, whatever else is true.
//! - All others answer that they are of no cluster either, and this node is the first of the list:
//!   it begins the cluster, and the others join it.
//! - Otherwise it asks again. So a node that lost its disk, or comes late, never begins a second
//!   cluster while a node of the first can still speak up, or is merely down.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Request;

use super::contact::hello;
use super::handle::Handle;
use crate::storage::{DirectoryError, Identity};
use crate::wire::proto;

/// Between two rounds of questions.
const AGAIN: Duration = Duration::from_millis(300);
/// Rounds after which it is told again what is waited for.
const TELL_EVERY: u32 = 30;
/// Until a cluster has let this node in.
const JOIN_DEADLINE: Duration = Duration::from_secs(12);

/// What a round of questions leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Begin the cluster.
    Begin,
    /// Ask the leader at this address to be let in.
    Join { addr: String },
    /// Ask again; the text says what is missing.
    Wait(String),
    /// Never: the text says why.
    Refuse(String),
}

/// Decides on the answers: by address, in the order of the list.
pub(super) fn next(
    own: u64,
    own_addr: &str,
    answers: &[(String, Option<proto::HelloReply>)],
) -> Next {
    let own_at = |(addr, reply): &(String, Option<proto::HelloReply>)| {
        addr == own_addr || reply.as_ref().is_some_and(|reply| reply.node == own)
    };
    let others = || answers.iter().filter(|answer| !own_at(answer));
    let mut clusters: Vec<&str> = Vec::new();
    let mut at = None;
    for (addr, reply) in others() {
        let Some(reply) = reply.as_ref().filter(|reply| !reply.cluster.is_empty()) else {
            continue;
        };
        if !clusters.contains(&reply.cluster.as_str()) {
            clusters.push(&reply.cluster);
        }
        if reply.leader == reply.node {
            at = Some(addr.clone());
        } else if at.is_none() && !reply.leader_addr.is_empty() {
            at = Some(reply.leader_addr.clone());
        }
    }
    match clusters.as_slice() {
        [] => {}
        [_] => {
            return match at {
                Some(addr) => Next::Join { addr },
                None => Next::Wait("the cluster has no leader yet".to_owned()),
            };
        }
        several => {
            return Next::Refuse(format!(
                "the addresses to join are of different clusters ({}); give those of one",
                several.join(", ")
            ));
        }
    }
    let silent: Vec<&str> =
        others().filter(|(_, reply)| reply.is_none()).map(|(addr, _)| addr.as_str()).collect();
    if !silent.is_empty() {
        return Next::Wait(format!("no answer from {}", silent.join(", ")));
    }
    match answers.first() {
        Some(first) if own_at(first) => Next::Begin,
        Some((first, _)) => Next::Wait(format!("{first} is to begin the cluster")),
        None => Next::Begin,
    }
}

/// Works until this node is of a cluster, or `stop` turns true.
pub(super) async fn run(handle: Handle, join: Vec<String>, mut stop: watch::Receiver<bool>) {
    let mut rounds = 0;
    loop {
        let done = tokio::select! {
            done = round(&handle, &join) => done,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match done {
            Ok(None) => return,
            Ok(Some(why)) => {
                if rounds % TELL_EVERY == 0 {
                    tracing::info!(%why, "this node waits to become part of a cluster");
                }
                rounds += 1;
            }
            Err(why) => return handle.running.fatal.raise(why),
        }
        tokio::select! {
            () = sleep(AGAIN) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// None: done. Some: why not yet.
async fn round(handle: &Handle, join: &[String]) -> Result<Option<String>, String> {
    let local = &handle.running.local;
    let mut calls = JoinSet::new();
    for (place, addr) in join.iter().cloned().enumerate() {
        let handle = handle.clone();
        calls.spawn(async move {
            let reply = hello(&handle, &addr).await;
            (place, addr, reply)
        });
    }
    let mut answers = Vec::new();
    while let Some(Ok(answer)) = calls.join_next().await {
        answers.push(answer);
    }
    answers.sort_by_key(|(place, ..)| *place);
    let answers: Vec<_> = answers.into_iter().map(|(_, addr, reply)| (addr, reply)).collect();
    match next(local.node, &local.addr, &answers) {
        Next::Begin => begin(handle).await.map(|()| None),
        Next::Join { addr } => match ask_in(handle, &addr).await {
            Ok(cluster) => {
                local.adopt(&cluster, false).map_err(|error| error.to_string())?;
                tracing::info!(%cluster, "joined");
                Ok(None)
            }
            Err(why) => Ok(Some(why)),
        },
        Next::Wait(why) => Ok(Some(why)),
        Next::Refuse(why) => Err(why),
    }
}

async fn ask_in(handle: &Handle, addr: &str) -> Result<String, String> {
    let local = &handle.running.local;
    let mut client = handle.running.peers.stranger(addr).ok_or("this node has no network")?;
    let message = proto::JoinRequest { node: local.node, addr: local.addr.clone() };
    match timeout(JOIN_DEADLINE, client.join(Request::new(message))).await {
        Ok(Ok(reply)) => Ok(reply.into_inner().cluster),
        Ok(Err(status)) => Err(format!("{addr} did not let it in: {}", status.message())),
        Err(_) => Err(format!("{addr} did not answer")),
    }
}

/// Begins a cluster of one.
pub(super) async fn begin(handle: &Handle) -> Result<(), String> {
    let local = &handle.running.local;
    let told = |error: DirectoryError| error.to_string();
    if local.cluster().is_empty() {
        let cluster = Identity::new_cluster_id().map_err(told)?;
        local.adopt(&cluster, true).map_err(told)?;
    }
    let raft = &handle.running.raft;
    if !raft.is_initialized().await.map_err(|error| error.to_string())? {
        let node = super::types::Node { addr: local.addr.clone() };
        let members = std::collections::BTreeMap::from([(local.node, node)]);
        raft.initialize(members).await.map_err(|error| error.to_string())?;
    }
    if local.founding() != Some(false) {
        local.founded().map_err(told)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
