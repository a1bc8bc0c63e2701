//! Answers other nodes.

use std::time::Duration;

use openraft::error::RaftError;
use openraft::raft::AppendEntriesResponse;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::super::handle::Handle;
use super::super::membership::MemberError;
use super::super::presence::{Heard, members_out};
use super::super::proposal::Proposal;
use super::super::submit::{Committed, SubmitError};
use super::super::transport::Connection;
use super::super::types::NodeId;
use super::super::{convert, format, transfer};
use super::{CLUSTER, KEEPALIVE, MESSAGE_BYTES_MAX, TO, WINDOW_BYTES};
use crate::machine::needs;
use crate::wire::proto;
use crate::wire::proto::cluster_server::{Cluster, ClusterServer};

/// The longest that a call is worked on, when nothing else bounds it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Calls of one connection at a time.
const CALLS_MAX: usize = 256;
/// How long calls that are under way at a stop may take; they are repeated elsewhere.
const LAST_CALLS: Duration = Duration::from_millis(200);

/// Serves until `stop` turns true. Others are told to close their connections then: one that
/// stays open would go on to ask a node that has ended, and never its next life.
pub(in crate::consensus) async fn serve(
    handle: Handle,
    incoming: impl Stream<Item = std::io::Result<Connection>> + Send + 'static,
    stop: watch::Receiver<bool>,
) {
    let desk = ClusterServer::new(Desk { handle })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let server = tonic::transport::Server::builder()
        .concurrency_limit_per_connection(CALLS_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .add_service(desk)
        .serve_with_incoming_shutdown(incoming, asked(stop.clone()));
    let late = async {
        asked(stop).await;
        sleep(LAST_CALLS).await;
    };
    tokio::select! {
        served = server => if let Err(error) = served {
            tracing::error!(%error, "calls of other nodes are not answered any more");
        },
        () = late => {}
    }
}

async fn asked(mut stop: watch::Receiver<bool>) {
    // Without a sender there is nobody left to serve for.
    let _ = stop.wait_for(|stop| *stop).await;
}

struct Desk {
    handle: Handle,
}

impl Desk {
    /// Lets only calls through that are meant for this node of this cluster.
    fn check<Q>(&self, request: &Request<Q>) -> Result<(), Status> {
        let local = &self.handle.running.local;
        let said = |key| request.metadata().get(key).and_then(|value| value.to_str().ok());
        let cluster = local.cluster();
        if cluster.is_empty() || said(CLUSTER) != Some(cluster.as_str()) {
            return Err(refused("this node is not of that cluster"));
        }
        if said(TO).and_then(|to| to.parse::<NodeId>().ok()) != Some(local.node) {
            return Err(refused("another node is at this address now"));
        }
        Ok(())
    }

    /// Refuses a node that could not read what this cluster writes.
    fn understands(&self, node: NodeId, reads: u32) -> Result<(), Status> {
        let format = self.handle.state().format();
        if reads.max(1) >= format {
            return Ok(());
        }
        let why = format::too_old(node, reads.max(1), format);
        tracing::warn!(%why, "a node is not let in");
        Err(refused(&why))
    }

    /// Refuses what only the leader can do, with a word on who that is.
    fn lead(&self) -> Result<(), Status> {
        let now = *self.handle.running.leadership.borrow();
        if now.is_leader { Ok(()) } else { Err(refused("this node does not lead")) }
    }
}

fn refused(why: &str) -> Status {
    Status::failed_precondition(why)
}

fn malformed(error: crate::wire::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

fn failed<E: std::error::Error>(error: RaftError<NodeId, E>) -> Status {
    Status::unavailable(error.to_string())
}

fn no_answer(error: SubmitError) -> Status {
    match error {
        SubmitError::NoLeader { .. } | SubmitError::TermMoved { .. } => refused("no leader"),
        other => Status::unavailable(other.to_string()),
    }
}

fn not_changed(error: MemberError) -> Status {
    let text = error.to_string();
    match error {
        MemberError::NoLeader => refused(&text),
        MemberError::NotFound(_) => Status::not_found(text),
        MemberError::Refused(_) => Status::invalid_argument(text),
        MemberError::Unknown(_) => Status::unavailable(text),
    }
}

fn not_taken(error: transfer::Error) -> Status {
    Status::aborted(error.to_string())
}

/// The next part of a checkpoint; the sender may be busy reading, but not for ever.
async fn next_part(
    parts: &mut Streaming<proto::InstallPart>,
) -> Result<Option<proto::InstallPart>, Status> {
    match timeout(PATIENCE, parts.message()).await {
        Ok(part) => part,
        Err(_) => Err(Status::deadline_exceeded("the rest of a checkpoint did not come")),
    }
}

/// Bounds the work on a call.
async fn bounded<T>(work: impl Future<Output = Result<T, Status>>) -> Result<Response<T>, Status> {
    match timeout(PATIENCE, work).await {
        Ok(done) => done.map(Response::new),
        Err(_) => Err(Status::deadline_exceeded("it takes too long")),
    }
}

#[tonic::async_trait]
impl Cluster for Desk {
    async fn hello(
        &self,
        request: Request<proto::HelloRequest>,
    ) -> Result<Response<proto::HelloReply>, Status> {
        let running = &self.handle.running;
        let proto::HelloRequest { node, addr, cluster, .. } = request.into_inner();
        let own = running.local.cluster();
        if node != running.local.node && !own.is_empty() && cluster == own {
            running.peers.told(node, &addr);
        }
        let leader = running.leadership.borrow().leader.unwrap_or_default();
        let leader_addr = match leader {
            0 => String::new(),
            own if own == running.local.node => running.local.addr.clone(),
            other => running.peers.addr(other).unwrap_or_default(),
        };
        let (node, addr) = (running.local.node, running.local.addr.clone());
        let (cluster, format) = (own, self.handle.state().format());
        Ok(Response::new(proto::HelloReply { node, addr, cluster, leader, leader_addr, format }))
    }

    async fn join(
        &self,
        request: Request<proto::JoinRequest>,
    ) -> Result<Response<proto::JoinReply>, Status> {
        self.lead()?;
        let proto::JoinRequest { node, addr, reads } = request.into_inner();
        self.understands(node, reads)?;
        let admitted = async {
            self.handle.admit(node, addr).await.map_err(not_changed)?;
            Ok(proto::JoinReply { cluster: self.handle.running.local.cluster() })
        };
        bounded(admitted).await
    }

    async fn append(
        &self,
        request: Request<proto::AppendRequest>,
    ) -> Result<Response<proto::AppendReply>, Status> {
        self.check(&request)?;
        let request = request.into_inner();
        let vote = super::vote_in(request.vote).map_err(malformed)?;
        let term = vote.leader_id.term;
        // Before it waits for the disk, and after: from then on the library's lease counts. And
        // before the entries are read: one that can't be must not make this node stand.
        self.handle.hears(term);
        let append = super::append_in(request).inspect_err(|error| {
            tracing::error!(%error, "an entry from the leader can't be read: a newer version?");
        });
        let append = append.map_err(malformed)?;
        let raft = &self.handle.running.raft;
        bounded(async {
            let reply = raft.append_entries(append).await.map_err(failed)?;
            if !matches!(reply, AppendEntriesResponse::HigherVote(_)) {
                self.handle.hears(term);
            }
            Ok(super::append_reply_out(&reply))
        })
        .await
    }

    async fn vote(
        &self,
        request: Request<proto::VoteRequest>,
    ) -> Result<Response<proto::VoteReply>, Status> {
        self.check(&request)?;
        let vote = super::vote_request_in(request.into_inner()).map_err(malformed)?;
        let raft = &self.handle.running.raft;
        let term = vote.vote.leader_id.term;
        self.handle.running.heartbeat.vote_asked(term);
        bounded(async {
            let reply = raft.vote(vote).await.map_err(failed)?;
            if reply.vote_granted {
                self.handle.hears(term);
            }
            Ok(super::vote_reply_out(&reply))
        })
        .await
    }

    async fn pulse(
        &self,
        request: Request<proto::PulseRequest>,
    ) -> Result<Response<proto::PulseReply>, Status> {
        self.check(&request)?;
        let proto::PulseRequest { term, trip_us, flush_us, right_us, .. } = request.into_inner();
        let running = &self.handle.running;
        self.handle.hears(term);
        let latest = running.heartbeat.term();
        if latest == term {
            let (trip, flush) = (Duration::from_micros(trip_us), Duration::from_micros(flush_us));
            running.pace.told(trip, flush);
            if let Some(right) = right_us {
                running.clocks.told(right);
            }
        }
        let flush_us = running.pace.own_flush().as_micros() as u64;
        let clock_us = running.clock.now().micros();
        Ok(Response::new(proto::PulseReply { term: latest, flush_us, clock_us }))
    }

    async fn install(
        &self,
        request: Request<Streaming<proto::InstallPart>>,
    ) -> Result<Response<proto::InstallReply>, Status> {
        self.check(&request)?;
        let mut parts = request.into_inner();
        let mut incoming = self.handle.running.transfers.begin();
        while let Some(part) = next_part(&mut parts).await? {
            incoming.take(part).await.map_err(not_taken)?;
        }
        let (vote, snapshot) = incoming.finish().await.map_err(not_taken)?;
        let raft = &self.handle.running.raft;
        let reply = raft.install_full_snapshot(vote, snapshot).await;
        let vote = reply.map_err(|error| Status::unavailable(error.to_string()))?.vote;
        Ok(Response::new(proto::InstallReply { vote: Some(convert::vote_out(&vote)) }))
    }

    async fn submit(
        &self,
        request: Request<proto::SubmitRequest>,
    ) -> Result<Response<proto::SubmitReply>, Status> {
        self.check(&request)?;
        self.lead()?;
        let (mut proposals, mut readable) = (Vec::new(), Vec::new());
        for proposal in &request.get_ref().proposals {
            let proposal = super::proposal_in(proposal)
                .inspect_err(
                    |error| tracing::warn!(%error, "another node asked what can't be read"),
                )
                .ok();
            if proposal.as_ref().is_some_and(Proposal::is_anonymous) {
                tracing::warn!("another node sent what a caller wants, and not who: refused");
                return Err(Status::permission_denied("this takes somebody who wants it"));
            }
            readable.push(proposal.is_some());
            proposals.extend(proposal);
        }
        drop(request);
        let mut decided = self.handle.decide_all(proposals).await.into_iter();
        // What can't be read is refused alone: the rest of the call is somebody else's.
        let unreadable = Committed {
            answer: Err(needs::unreadable(&self.handle.state())),
            index: *self.handle.running.published.applied.borrow(),
        };
        let outcome = |readable: bool| match readable {
            true => decided.next().unwrap_or(Err(SubmitError::Unknown)),
            false => Ok(unreadable.clone()),
        };
        let outcomes = readable.into_iter().map(outcome).map(super::outcome_out).collect();
        Ok(Response::new(proto::SubmitReply { outcomes }))
    }

    async fn read_index(
        &self,
        request: Request<proto::ReadIndexRequest>,
    ) -> Result<Response<proto::ReadIndexReply>, Status> {
        self.check(&request)?;
        self.lead()?;
        bounded(async {
            let index = self.handle.committed_by_now().await.map_err(no_answer)?;
            Ok(proto::ReadIndexReply { index })
        })
        .await
    }

    async fn beat(
        &self,
        request: Request<proto::BeatRequest>,
    ) -> Result<Response<proto::BeatReply>, Status> {
        self.check(&request)?;
        self.lead()?;
        let proto::BeatRequest { node, boot, applied, addr, reads, proofs } = request.into_inner();
        self.understands(node, reads)?;
        let boot = uuid::Uuid::from_slice(&boot);
        let boot = boot.map_err(|e| Status::invalid_argument(format!("boot: {e}")))?;
        bounded(async {
            let running = &self.handle.running;
            running.peers.told(node, &addr);
            let at = tokio::time::Instant::now();
            let reads = reads.max(1);
            running.presence.hear(node, Heard { boot, at, applied, addr, reads });
            // A leader that lost its majority must not prolong anyone's lease.
            let index = self.handle.committed_by_now().await.map_err(no_answer)?;
            let term = running.leadership.borrow().term;
            let odd = self.handle.hold_against(node, &proofs);
            let members = members_out(&self.handle.members_now());
            Ok(proto::BeatReply { term, members, index, odd })
        })
        .await
    }

    async fn missed(
        &self,
        request: Request<proto::MissedRequest>,
    ) -> Result<Response<proto::MissedReply>, Status> {
        self.check(&request)?;
        let running = &self.handle.running;
        // A leader hears itself.
        let silent = match running.leadership.borrow().is_leader {
            true => Duration::ZERO,
            false => running.heartbeat.silent_for(),
        };
        let last_log = running.log.last().as_ref().map(convert::log_id_out);
        let (silent_ms, wrong_clock) = (silent.as_millis() as u64, self.handle.clock_is_wrong());
        let term = running.leadership.borrow().term;
        Ok(Response::new(proto::MissedReply { last_log, silent_ms, wrong_clock, term }))
    }

    async fn stand(
        &self,
        request: Request<proto::StandRequest>,
    ) -> Result<Response<proto::StandReply>, Status> {
        self.check(&request)?;
        let proto::StandRequest { term, last_log } = request.into_inner();
        let last_log = last_log.as_ref().map(convert::log_id_in);
        bounded(async {
            self.handle.stand(term, last_log).await.map_err(not_changed)?;
            Ok(proto::StandReply {})
        })
        .await
    }

    async fn transfer(
        &self,
        request: Request<proto::TransferRequest>,
    ) -> Result<Response<proto::TransferReply>, Status> {
        self.check(&request)?;
        self.lead()?;
        let to = Some(request.into_inner().to).filter(|to| *to != 0);
        bounded(async {
            let leader = self.handle.hand_over(to).await.map_err(not_changed)?;
            Ok(proto::TransferReply { leader })
        })
        .await
    }

    async fn remove(
        &self,
        request: Request<proto::RemoveRequest>,
    ) -> Result<Response<proto::RemoveReply>, Status> {
        self.check(&request)?;
        self.lead()?;
        bounded(async {
            let proto::RemoveRequest { node, actor } = request.into_inner();
            let actor = actor.map(|bytes| rmp_serde::from_slice(&bytes)).transpose();
            let actor = actor.map_err(|e| Status::invalid_argument(format!("actor: {e}")))?;
            self.handle.expel(node, actor).await.map_err(not_changed)?;
            Ok(proto::RemoveReply {})
        })
        .await
    }
}
