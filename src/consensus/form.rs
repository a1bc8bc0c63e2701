//! A node without a cluster finds one, or begins one.
//!
//! Without addresses to ask at, it begins a cluster of one. With some, it asks all of them:
//! - One is of a cluster: this node joins that one, whatever else is true.
//! - All others answer that they are of no cluster either, and this node is the first of the list,
//!   or was told that it is the one: it begins the cluster, and the others join it.
//! - Otherwise it asks again. So a node that lost its disk, or comes late, never begins a second
//!   cluster while a node of the first can still speak up, or is merely down.
//!
//! A name may stand for several nodes: all of them are asked, and none of them is the first by it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Request;

use super::contact::hello;
use super::format;
use super::handle::Handle;
use super::options::Founder;
use crate::machine::state::FORMAT;
use crate::storage::{DirectoryError, Identity};
use crate::wire::proto;

/// Between two rounds of questions.
const AGAIN: Duration = Duration::from_millis(300);
/// Rounds after which it is told again what is waited for.
const TELL_EVERY: u32 = 30;
/// Until a cluster has let this node in.
const JOIN_DEADLINE: Duration = Duration::from_secs(12);

/// How a node without a cluster gets to one.
pub(super) struct Way {
    /// `host:port` to ask at.
    pub join: Vec<String>,
    /// Who begins, when none of them is of a cluster.
    pub founder: Founder,
}

/// What was heard of a name in the list, at one of its addresses.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub name: String,
    pub addr: String,
    /// None: nobody answers at any address of that name.
    pub reply: Option<proto::HelloReply>,
}

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

/// Decides on the answers, in the order of the list.
pub(super) fn next(own: u64, own_addr: &str, founder: &Founder, answers: &[Answer]) -> Next {
    let own_at = |answer: &Answer| match &answer.reply {
        Some(reply) => reply.node == own,
        None => answer.name == own_addr,
    };
    let others = || answers.iter().filter(|answer| !own_at(answer));
    let mut clusters: Vec<&str> = Vec::new();
    let mut at = None;
    for Answer { addr, reply, .. } in others() {
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
    let newest = answers.iter().filter_map(|answer| Some(answer.reply.as_ref()?.format)).max();
    if let Some(format) = newest.filter(|format| *format > FORMAT) {
        return Next::Refuse(format::too_new(format));
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
        others().filter(|of| of.reply.is_none()).map(|of| of.name.as_str()).collect();
    if !silent.is_empty() {
        return Next::Wait(format!("no answer from {}", silent.join(", ")));
    }
    match founder {
        Founder::This => Next::Begin,
        Founder::Other(which) => Next::Wait(format!("{which} is to begin the cluster")),
        Founder::FirstOfList => first_of_list(answers, own_at),
    }
}

fn first_of_list(answers: &[Answer], own_at: impl Fn(&Answer) -> bool) -> Next {
    let Some(Answer { name: first, .. }) = answers.first() else { return Next::Begin };
    let of_first: Vec<bool> =
        answers.iter().filter(|answer| answer.name == *first).map(own_at).collect();
    if of_first.iter().all(|own| *own) {
        Next::Begin
    } else if of_first.contains(&true) {
        Next::Wait(format!(
            "{first} stands for several nodes, so it does not say which of them is to begin the \
             cluster; give --join one name a node, or see --data-pool"
        ))
    } else {
        Next::Wait(format!("{first} is to begin the cluster"))
    }
}

/// Works until this node is of a cluster, or `stop` turns true.
pub(super) async fn run(handle: Handle, way: &Way, mut stop: watch::Receiver<bool>) {
    let mut rounds = 0;
    loop {
        let done = tokio::select! {
            done = round(&handle, way) => done,
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
async fn round(handle: &Handle, way: &Way) -> Result<Option<String>, String> {
    let local = &handle.running.local;
    let mut calls = JoinSet::new();
    for (place, name) in way.join.iter().cloned().enumerate() {
        let handle = handle.clone();
        calls.spawn(async move { (place, ask(&handle, name).await) });
    }
    let mut answers = Vec::new();
    while let Some(Ok(answer)) = calls.join_next().await {
        answers.push(answer);
    }
    answers.sort_by_key(|(place, _)| *place);
    let answers: Vec<Answer> = answers.into_iter().flat_map(|(_, answers)| answers).collect();
    match next(local.node, &local.addr, &way.founder, &answers) {
        Next::Begin => begin(handle).await.map(|()| None),
        Next::Join { addr } => match ask_to_join(handle, &addr).await {
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

/// Asks every address behind a name. Those that are silent do not count while another speaks:
/// they may be of one node, such as its address of the other IP version.
async fn ask(handle: &Handle, name: String) -> Vec<Answer> {
    let mut calls = JoinSet::new();
    for addr in handle.running.peers.lookup(&name).await {
        let handle = handle.clone();
        calls.spawn(async move { (hello(&handle, &addr).await, addr) });
    }
    let mut answers = Vec::new();
    while let Some(Ok((reply, addr))) = calls.join_next().await {
        if reply.is_some() {
            answers.push(Answer { name: name.clone(), addr, reply });
        }
    }
    if answers.is_empty() {
        answers.push(Answer { addr: name.clone(), name, reply: None });
    }
    answers
}

async fn ask_to_join(handle: &Handle, addr: &str) -> Result<String, String> {
    let local = &handle.running.local;
    let mut client = handle.running.peers.stranger(addr).ok_or("this node has no network")?;
    let (node, addr_here) = (local.node, local.addr.clone());
    let message = proto::JoinRequest { node, addr: addr_here, reads: FORMAT };
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
