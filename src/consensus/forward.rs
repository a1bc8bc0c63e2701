//! What callers of this node want goes to the leader, many proposals in one call.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::sleep;

use super::leadership::Leadership;
use super::proposal::Proposal;
use super::proposer::ANSWERED_WITHIN;
use super::rpc::{self, CallError, Lane, Peers};
use super::submit::{Committed, SubmitError};
use super::types::NodeId;
use crate::wire::proto;

/// Proposals in one call.
const PROPOSALS_MAX: usize = 1024;
/// Bytes of proposals in one call, unless a single one is larger.
const BYTES_MAX: usize = 1024 * 1024;
/// Calls under way.
const DEPTH: usize = 4;
/// Proposals waiting; more are refused.
const QUEUE: usize = 16 * 1024;

/// A proposal on its way to the leader, which waits for its answer.
pub(super) struct Forwarded {
    proposal: proto::Proposal,
    bytes: usize,
    reply: oneshot::Sender<Result<Committed, SubmitError>>,
}

impl Forwarded {
    /// Encodes a proposal; the answer comes through the receiver.
    pub fn new(
        proposal: &Proposal,
    ) -> Result<(Self, oneshot::Receiver<Result<Committed, SubmitError>>), SubmitError> {
        let proposal =
            rpc::proposal_out(proposal).map_err(|e| SubmitError::Encode(e.to_string()))?;
        let bytes = prost::Message::encoded_len(&proposal);
        let (reply, answer) = oneshot::channel();
        Ok((Self { proposal, bytes, reply }, answer))
    }
}

/// Sends proposals on.
pub(super) struct Forwarder {
    node: NodeId,
    peers: Peers,
    leadership: watch::Receiver<Leadership>,
    queue: mpsc::Receiver<Forwarded>,
    /// Taken from the queue, but too large for the call before.
    held: Option<Forwarded>,
    deadline: Duration,
}

impl Forwarder {
    pub fn new(
        node: NodeId,
        peers: Peers,
        leadership: watch::Receiver<Leadership>,
        deadline: Duration,
    ) -> (Self, mpsc::Sender<Forwarded>) {
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
            let gone = replaced(self.leadership.clone(), leader);
            tokio::spawn(async move {
                send(&peers, leader, deadline, gone, batch).await;
                drop(permit);
            });
        }
        self.queue.close();
        while let Ok(late) = self.queue.try_recv() {
            refuse(vec![late], &SubmitError::Stopping);
        }
    }

    async fn next(&mut self) -> Vec<Forwarded> {
        let first = match self.held.take() {
            Some(held) => Some(held),
            None => self.queue.recv().await,
        };
        let Some(first) = first else { return std::future::pending().await };
        let mut bytes = first.bytes;
        let mut batch = vec![first];
        while batch.len() < PROPOSALS_MAX
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

/// Resolves a while after another node leads: one that is gone for good never answers, one that
/// handed leadership over has answered by then.
async fn replaced(mut leadership: watch::Receiver<Leadership>, leader: NodeId) {
    let other = |now: &Leadership| now.leader.is_some_and(|now| now != leader);
    if leadership.wait_for(other).await.is_err() {
        // The node stops; the deadline of the call stands.
        return std::future::pending().await;
    }
    sleep(ANSWERED_WITHIN).await;
}

async fn send(
    peers: &Peers,
    leader: NodeId,
    deadline: Duration,
    gone: impl Future<Output = ()>,
    batch: Vec<Forwarded>,
) {
    let (proposals, replies): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|forwarded| (forwarded.proposal, forwarded.reply)).unzip();
    let count = proposals.len();
    let message = proto::SubmitRequest { proposals };
    let call =
        peers.call(leader, Lane::Bulk, deadline, message, |mut client, request| async move {
            client.submit(request).await
        });
    let answer = tokio::select! {
        // An answer that is there counts, whoever leads now.
        biased;
        answer = call => Some(answer),
        () = gone => None,
    };
    let error = match answer {
        Some(Ok(reply)) if reply.outcomes.len() == count => {
            for (reply, outcome) in replies.into_iter().zip(reply.outcomes) {
                // The caller may have given up.
                let _ = reply.send(rpc::outcome_in(outcome));
            }
            return;
        }
        Some(Ok(_)) | None => SubmitError::Unknown,
        Some(Err(error)) => {
            tracing::debug!(%error, "proposals did not reach the leader");
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

fn refuse(batch: Vec<Forwarded>, error: &SubmitError) {
    batch.into_iter().for_each(|forwarded| drop(forwarded.reply.send(Err(error.clone()))));
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::super::rpc::deaf;
    use super::*;
    use crate::machine::{Command, Op};
    use crate::model::Timestamp;

    fn led_by(leader: Option<NodeId>) -> Leadership {
        Leadership { term: 1, leader, is_leader: false }
    }

    /// How long a write on its way to node 2, which never answers, is waited for when the leader
    /// is another one or none after 300 ms.
    async fn waited(then: Option<NodeId>) -> Duration {
        let (known, leadership) = watch::channel(led_by(Some(2)));
        let deadline = Duration::from_secs(10);
        let proposal = Proposal::Command(Command {
            at: Timestamp::ZERO,
            actor: None,
            request: None,
            op: Op::Trim { keys: Vec::new() },
        });
        let (forwarded, reply) = Forwarded::new(&proposal).unwrap();
        let gone = replaced(leadership, 2);
        let began = Instant::now();
        tokio::spawn(async move {
            sleep(Duration::from_millis(300)).await;
            known.send(led_by(then)).unwrap();
            std::future::pending::<()>().await;
        });
        send(&deaf::peers().unwrap(), 2, deadline, gone, vec![forwarded]).await;
        assert!(matches!(reply.await.unwrap(), Err(SubmitError::Unknown)));
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_is_gone_is_not_waited_for_when_there_is_another() {
        let took = waited(Some(3)).await;
        let until = Duration::from_millis(300) + ANSWERED_WITHIN;
        assert!(took >= until && took < until + Duration::from_millis(100), "{took:?}");
        let took = waited(None).await;
        assert!(took >= Duration::from_secs(10), "without another it may still answer: {took:?}");
    }
}
