//! Linearizable reads: one question to the leader, and to a majority, for all readers that came
//! before it was asked. (Ongaro, "Consensus: Bridging Theory and Practice", §6.4, ReadIndex.)

use std::sync::Arc;
use std::time::Duration;

use openraft::error::RaftError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::leadership::Leadership;
use super::pace::Pace;
use super::rpc::{Lane, Peers};
use super::submit::SubmitError;
use super::types::{LogId, NodeId, Raft};
use crate::wire::proto;

/// Readers waiting; more are refused.
const QUEUE: usize = 64 * 1024;
/// Readers answered at once.
const READERS_MAX: usize = 16 * 1024;
/// How long a reader waits for a leader, and for its word.
const PATIENCE: Duration = Duration::from_secs(3);
/// One question.
const DEADLINE: Duration = Duration::from_secs(1);
/// The same of a leader that has long been cut off.
const QUICK: Duration = Duration::from_millis(200);
/// Between two questions, after the first had no answer.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) type Reader = oneshot::Sender<Result<u64, SubmitError>>;

/// Answers readers with the index they have to see.
pub(super) struct Barrier {
    node: NodeId,
    raft: Raft,
    peers: Peers,
    pace: Arc<Pace>,
    leadership: watch::Receiver<Leadership>,
    /// The end of the log when this process began.
    found: Option<LogId>,
    readers: mpsc::Receiver<Reader>,
    /// Since when this node takes itself for the leader, and no majority says so.
    cut_off: Option<Instant>,
}

impl Barrier {
    pub fn new(
        node: NodeId,
        raft: &Raft,
        (peers, pace): (Peers, Arc<Pace>),
        leadership: &watch::Receiver<Leadership>,
        found: Option<LogId>,
    ) -> (Self, mpsc::Sender<Reader>) {
        let (sender, readers) = mpsc::channel(QUEUE);
        let (raft, leadership) = (raft.clone(), leadership.clone());
        (Self { node, raft, peers, pace, leadership, found, readers, cut_off: None }, sender)
    }

    /// Runs until `stop` turns true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let mut waiting = Vec::new();
            tokio::select! {
                _ = self.readers.recv_many(&mut waiting, READERS_MAX) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            if waiting.is_empty() {
                return;
            }
            let answer = tokio::select! {
                answer = self.ask() => answer,
                _ = stop.wait_for(|stop| *stop) => Err(SubmitError::Stopping),
            };
            // A reader may have given up.
            waiting.into_iter().for_each(|reader| drop(reader.send(answer.clone())));
        }
    }

    async fn ask(&mut self) -> Result<u64, SubmitError> {
        let began = Instant::now();
        // Waited for once, not by each who asks.
        let cut_off = self.cut_off.is_some_and(|since| since.elapsed() >= PATIENCE);
        let (patience, deadline) = match cut_off {
            true => (Duration::ZERO, QUICK + self.pace.slack()),
            false => (PATIENCE + self.pace.slack(), DEADLINE + self.pace.slack()),
        };
        loop {
            let Leadership { term, leader, .. } = *self.leadership.borrow();
            let answer = match leader {
                Some(leader) if leader == self.node => {
                    let confirmed = confirm(&self.raft, deadline).await;
                    self.cut_off = match &confirmed {
                        Ok(_) => None,
                        Err(_) => self.cut_off.or(Some(began)),
                    };
                    confirmed.map(|index| index.max(resumed(self.found, term)))
                }
                Some(leader) => {
                    self.cut_off = None;
                    self.ask_leader(leader).await
                }
                None => Err(SubmitError::NoLeader { leader: None }),
            };
            match answer {
                Err(SubmitError::NoLeader { .. }) if began.elapsed() < patience => {
                    sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }

    async fn ask_leader(&self, leader: NodeId) -> Result<u64, SubmitError> {
        let message = proto::ReadIndexRequest {};
        let deadline = DEADLINE + self.pace.slack();
        let call = |mut client: proto::cluster_client::ClusterClient<_>, request| async move {
            client.read_index(request).await
        };
        match self.peers.call(leader, Lane::Raft, deadline, message, call).await {
            Ok(reply) => Ok(reply.index),
            Err(_) => Err(SubmitError::NoLeader { leader: None }),
        }
    }
}

/// Up to where a leader may have committed before it was started again. One that comes back soon
/// enough leads on in its term, without an entry of its own that would show what is committed. What
/// it found at the end of its log is of that term, its own, and stays.
pub(super) fn resumed(found: Option<LogId>, term: u64) -> u64 {
    found.filter(|last| last.leader_id.term == term).map_or(0, |last| last.index)
}

/// Asks a majority whether this node leads; gives the index of what was committed before.
async fn confirm(raft: &Raft, deadline: Duration) -> Result<u64, SubmitError> {
    match timeout(deadline, raft.get_read_log_id()).await {
        Ok(Ok((id, _))) => Ok(id.map_or(0, |id| id.index)),
        Ok(Err(RaftError::Fatal(_))) => Err(SubmitError::Stopping),
        Ok(Err(_)) | Err(_) => Err(SubmitError::NoLeader { leader: None }),
    }
}
