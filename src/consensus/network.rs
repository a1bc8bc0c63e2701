//! Raft's messages to other nodes, as the consensus library asks for them.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::pace::Pace;
use super::rpc::{self, CallError, Lane, Peers};
use super::transfer::Outgoing;
use super::types::{Node, NodeId, Snapshot, TypeConfig, Vote};
use crate::storage;

type RpcResult<T> = Result<T, RPCError<NodeId, Node, RaftError<NodeId>>>;

/// A vote counts only while the election lasts, which a slow disk draws out.
const VOTE_DEADLINE: Duration = Duration::from_secs(10);
/// A whole checkpoint with its history, on its way.
const INSTALL_DEADLINE: Duration = Duration::from_secs(600);
/// Parts of a checkpoint, of up to 1 MiB each, that are read before they can be sent.
const PARTS_AHEAD: usize = 2;
/// Pause after a node could not be reached.
const BACKOFF: Duration = Duration::from_millis(100);

/// Makes a client for each peer.
pub(super) struct Network {
    pub peers: Peers,
    pub pace: Arc<Pace>,
}

/// The client of a peer.
pub(super) struct Peer {
    target: NodeId,
    peers: Peers,
    pace: Arc<Pace>,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, node: &Node) -> Peer {
        self.peers.member(target, &node.addr);
        Peer { target, peers: self.peers.clone(), pace: Arc::clone(&self.pace) }
    }
}

/// The library pauses after "unreachable", and asks again at once after a network error.
fn failed<E: std::error::Error>(error: CallError) -> RPCError<NodeId, Node, E> {
    match error {
        CallError::NotSent { .. } | CallError::Refused { .. } => {
            RPCError::Unreachable(Unreachable::new(&error))
        }
        CallError::Lost { .. } => RPCError::Network(NetworkError::new(&error)),
    }
}

fn malformed<E: std::error::Error>(error: crate::wire::Error) -> RPCError<NodeId, Node, E> {
    RPCError::Network(NetworkError::new(&error))
}

impl RaftNetwork<TypeConfig> for Peer {
    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<NodeId>> {
        let message = rpc::append_out(&request);
        drop(request);
        let call = self.peers.call(
            self.target,
            Lane::Raft,
            self.pace.append(),
            message,
            |mut client, request| async move { client.append(request).await },
        );
        let reply = call.await;
        self.peers.tell(self.target, reply.as_ref().err());
        rpc::append_reply_in(reply.map_err(failed)?).map_err(malformed)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<NodeId>,
        _option: RPCOption,
    ) -> RpcResult<VoteResponse<NodeId>> {
        let message = rpc::vote_request_out(&request);
        let call = self.peers.call(
            self.target,
            Lane::Pulse,
            VOTE_DEADLINE,
            message,
            |mut client, request| async move { client.vote(request).await },
        );
        rpc::vote_reply_in(call.await.map_err(failed)?).map_err(malformed)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, StreamingError<TypeConfig, Fatal<NodeId>>> {
        tokio::select! {
            sent = self.install(vote, snapshot) => sent,
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}

impl Peer {
    /// Sends a checkpoint. What is read is bounded by what the other end takes.
    async fn install(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<NodeId>, StreamingError<TypeConfig, Fatal<NodeId>>> {
        let failed = |error: &dyn std::fmt::Display| {
            let error = io::Error::other(error.to_string());
            StreamingError::Unreachable(Unreachable::new(&error))
        };
        let began = tokio::time::Instant::now();
        let mut outgoing = Outgoing::new(&vote, snapshot).map_err(|e| failed(&e))?;
        let (parts, receiver) = mpsc::channel(PARTS_AHEAD);
        let read = async move {
            while let Some(part) = outgoing.next().await? {
                // The call is over, which says why.
                if parts.send(part).await.is_err() {
                    break;
                }
            }
            Ok::<(), storage::Error>(())
        };
        let parts = ReceiverStream::new(receiver);
        let call = self.peers.send(
            self.target,
            INSTALL_DEADLINE,
            parts,
            |mut client, request| async move { client.install(request).await },
        );
        let (read, reply) = tokio::join!(read, call);
        read.map_err(|e| failed(&e))?;
        let reply = reply.map_err(|e| failed(&e))?;
        let vote = rpc::vote_in(reply.vote).map_err(|e| failed(&e))?;
        let took_ms = began.elapsed().as_millis() as u64;
        tracing::info!(node = self.target, took_ms, "a checkpoint was sent");
        Ok(SnapshotResponse { vote })
    }
}
