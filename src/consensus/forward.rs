//! What callers of this node want goes to the leader, many wishes in one call.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::leadership::Leadership;
use super::rpc::{self, CallError, Lane, Peers};
use super::submit::{Committed, SubmitError};
use super::types::NodeId;
use crate::machine::Command;
use crate::machine::command::RequestKey;
use crate::machine::prepare::Intent;
use crate::model::Actor;
use crate::wire::proto;

/// Wishes in one call.
const WISHES_MAX: usize = 1024;
/// Bytes of wishes in one call, unless a single one is larger.
const BYTES_MAX: usize = 1024 * 1024;
/// Calls under way.
const DEPTH: usize = 4;
/// Wishes waiting; more are refused.
const QUEUE: usize = 16 * 1024;

/// An intent, and who has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asked {
    pub intent: Intent,
    pub actor: Option<Actor>,
    pub request: Option<RequestKey>,
}

/// What is asked of the leader.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// To be prepared there: only the leader's clock counts.
    Intent(Asked),
    /// Decided already but for its time.
    Command(Command),
}

/// A wish that waits for its answer.
pub(super) struct Wished {
    wish: proto::Wish,
    bytes: usize,
    reply: oneshot::Sender<Result<Committed, SubmitError>>,
}

impl Wished {
    /// Encodes a wish; the answer comes through the receiver.
    pub fn new(
        wish: &Wish,
    ) -> Result<(Self, oneshot::Receiver<Result<Committed, SubmitError>>), SubmitError> {
        let wish = rpc::wish_out(wish).map_err(|e| SubmitError::Encode(e.to_string()))?;
        let bytes = prost::Message::encoded_len(&wish);
        let (reply, answer) = oneshot::channel();
        Ok((Self { wish, bytes, reply }, answer))
    }
}

/// Sends wishes on.
pub(super) struct Forwarder {
    node: NodeId,
    peers: Peers,
    leadership: watch::Receiver<Leadership>,
    queue: mpsc::Receiver<Wished>,
    /// Taken from the queue, but too large for the call before.
    held: Option<Wished>,
    deadline: Duration,
}

impl Forwarder {
    pub fn new(
        node: NodeId,
        peers: Peers,
        leadership: watch::Receiver<Leadership>,
        deadline: Duration,
    ) -> (Self, mpsc::Sender<Wished>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self { node, peers, leadership, queue, held: None, deadline }, sender)
    }

    /// Runs until `stop` turns true; what waits then is refused.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let depth = Arc::new(Semaphore::new(DEPTH));
        loop {
            let Ok(permit) = Arc::clone(&depth).acquire_owned().await else { return };
            let batch = tokio::select! {
                batch = self.next() => batch,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let leader = self.leadership.borrow().leader.filter(|leader| *leader != self.node);
            let Some(leader) = leader else {
                refuse(batch, &SubmitError::NoLeader { leader: None });
                continue;
            };
            let (peers, deadline) = (self.peers.clone(), self.deadline);
            tokio::spawn(async move {
                send(&peers, leader, deadline, batch).await;
                drop(permit);
            });
        }
        self.queue.close();
        while let Ok(late) = self.queue.try_recv() {
            refuse(vec![late], &SubmitError::Stopping);
        }
    }

    async fn next(&mut self) -> Vec<Wished> {
        let first = match self.held.take() {
            Some(held) => Some(held),
            None => self.queue.recv().await,
        };
        let Some(first) = first else { return std::future::pending().await };
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while batch.len() < WISHES_MAX
            && bytes < BYTES_MAX
            && let Ok(next) = self.queue.try_recv()
        {
            bytes += next.bytes;
            if bytes > BYTES_MAX {
                self.held = Some(next);
                break;
            }
            batch.push(next);
        }
        batch
    }
}

async fn send(peers: &Peers, leader: NodeId, deadline: Duration, batch: Vec<Wished>) {
    let (wishes, replies): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|wished| (wished.wish, wished.reply)).unzip();
    let count = wishes.len();
    let message = proto::SubmitRequest { wishes };
    let call =
        peers.call(leader, Lane::Bulk, deadline, message, |mut client, request| async move {
            client.submit(request).await
        });
    let error = match call.await {
        Ok(reply) if reply.outcomes.len() == count => {
            for (reply, outcome) in replies.into_iter().zip(reply.outcomes) {
                // The caller may have given up.
                let _ = reply.send(rpc::outcome_in(outcome));
            }
            return;
        }
        Ok(_) => SubmitError::Unknown,
        Err(error) => {
            tracing::debug!(%error, "wishes did not reach the leader");
            not_carried_out(&error)
        }
    };
    replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone()))));
}

/// What a failed call means for what it asked.
fn not_carried_out(error: &CallError) -> SubmitError {
    match error {
        CallError::NotSent { .. } | CallError::Refused { .. } => {
            SubmitError::NoLeader { leader: None }
        }
        CallError::Lost { .. } => SubmitError::Unknown,
    }
}

fn refuse(batch: Vec<Wished>, error: &SubmitError) {
    batch.into_iter().for_each(|wished| drop(wished.reply.send(Err(error.clone()))));
}
