//! Raft's messages to other nodes, as the consensus library asks for them.

use std::future::Future;
use std::io;
use std::time::Duration;

use openraft::OptionalSend;
use openraft::error::{
    Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};

use super::rpc::{self, CallError, Lane, Peers};
use super::types::{Node, NodeId, Snapshot, TypeConfig, Vote};

type RpcResult<T> = Result<T, RPCError<NodeId, Node, RaftError<NodeId>>>;

/// A vote counts only while the election lasts.
const VOTE_DEADLINE: Duration = Duration::from_millis(500);
/// The library gives up an append by itself, sooner.
const APPEND_DEADLINE: Duration = Duration::from_secs(2);
/// Pause after a node could not be reached.
const BACKOFF: Duration = Duration::from_millis(100);

/// Makes a client for each peer.
pub(super) struct Network {
    pub peers: Peers,
}

/// The client of a peer.
pub(super) struct Peer {
    target: NodeId,
    peers: Peers,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: NodeId, node: &Node) -> Peer {
        self.peers.member(target, &node.addr);
        Peer { target, peers: self.peers.clone() }
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
            APPEND_DEADLINE,
            message,
            |mut client, request| async move { client.append(request).await },
        );
        rpc::append_reply_in(call.await.map_err(failed)?).map_err(malformed)
    }

    async fn vote(
        &mut self,
        request: VoteRequest<NodeId>,
        _option: RPCOption,
    ) -> RpcResult<VoteResponse<NodeId>> {
        let message = rpc::vote_request_out(&request);
        let call = self.peers.call(
            self.target,
            Lane::Raft,
            VOTE_DEADLINE,
            message,
            |mut client, request| async move { client.vote(request).await },
        );
        rpc::vote_reply_in(call.await.map_err(failed)?).map_err(malformed)
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote,
        _snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, StreamingError<TypeConfig, Fatal<NodeId>>> {
        let text = io::Error::other("checkpoints are not sent yet");
        Err(StreamingError::Unreachable(Unreachable::new(&text)))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}
