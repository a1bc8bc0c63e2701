//! What an administrator asks of the cluster, on any node.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::handle::Handle;
use super::membership::MemberError;
use super::rpc::{CallError, Lane};
use super::submit::SubmitError;
use super::types::NodeId;
use crate::machine::{Command, Op, Rejection};
use crate::model::Actor;
use crate::wire::proto;

/// One call to the leader, and all tries together.
const DEADLINE: Duration = Duration::from_secs(11);
const PATIENCE: Duration = Duration::from_secs(6);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

impl Handle {
    /// Hands leadership to `to`, or to any other voter; gives the new leader.
    ///
    /// # Errors
    /// See [`MemberError`].
    pub async fn transfer(&self, to: Option<NodeId>) -> Result<NodeId, MemberError> {
        let began = Instant::now();
        loop {
            match self.try_transfer(to).await {
                Err(MemberError::NoLeader) if began.elapsed() < PATIENCE => sleep(PAUSE).await,
                other => return other,
            }
        }
    }

    async fn try_transfer(&self, to: Option<NodeId>) -> Result<NodeId, MemberError> {
        if self.running.leadership.borrow().is_leader {
            return self.hand_over(to).await;
        }
        let leader = self.other_leader()?;
        let message = proto::TransferRequest { to: to.unwrap_or_default() };
        let peers = &self.running.peers;
        let call =
            peers.call(leader, Lane::Bulk, DEADLINE, message, |mut client, request| async move {
                client.transfer(request).await
            });
        call.await.map(|reply| reply.leader).map_err(|error| failed(&error, to))
    }

    /// Takes a node out of the cluster; what it runs is lost.
    ///
    /// # Errors
    /// See [`MemberError`].
    pub async fn remove_node(&self, node: NodeId, actor: Option<Actor>) -> Result<(), MemberError> {
        let began = Instant::now();
        loop {
            match self.try_remove(node, actor.clone()).await {
                Err(MemberError::NoLeader) if began.elapsed() < PATIENCE => sleep(PAUSE).await,
                other => return other,
            }
        }
    }

    async fn try_remove(&self, node: NodeId, actor: Option<Actor>) -> Result<(), MemberError> {
        if self.running.leadership.borrow().is_leader {
            return self.expel(node, actor).await;
        }
        let leader = self.other_leader()?;
        let encoded = actor.as_ref().map(rmp_serde::to_vec_named).transpose();
        let actor = encoded.map_err(|error| MemberError::Refused(error.to_string()))?;
        let message = proto::RemoveRequest { node, actor: actor.map(Into::into) };
        let peers = &self.running.peers;
        let call =
            peers.call(leader, Lane::Bulk, DEADLINE, message, |mut client, request| async move {
                client.remove(request).await
            });
        call.await.map(|_| ()).map_err(|error| failed(&error, Some(node)))
    }

    /// Leads no more, if it does and another voter can: before a stop.
    pub async fn step_back(&self) {
        if !self.running.leadership.borrow().is_leader {
            return;
        }
        match self.hand_over(None).await {
            Ok(leader) => tracing::info!(leader, "leadership was handed over"),
            Err(error) => tracing::info!(%error, "leadership was not handed over"),
        }
    }

    /// Forgets a node that is no member any more: its attempts are lost.
    pub(super) async fn forget(
        &self,
        node: NodeId,
        actor: Option<Actor>,
    ) -> Result<(), MemberError> {
        self.running.presence.forget(node);
        let at = self.running.clock.now();
        let command = Command { at, actor, request: None, op: Op::NodeRemoved { node } };
        match self.submit(command).await {
            Ok(done) => match done.answer {
                Ok(_) | Err(Rejection::NotFound { .. }) => Ok(()),
                Err(refused) => Err(MemberError::Refused(refused.to_string())),
            },
            Err(SubmitError::NoLeader { .. }) => Err(MemberError::NoLeader),
            Err(error) => Err(MemberError::Unknown(error.to_string())),
        }
    }

    fn other_leader(&self) -> Result<NodeId, MemberError> {
        let own = self.running.local.node;
        let leader = self.running.leadership.borrow().leader;
        leader.filter(|leader| *leader != own).ok_or(MemberError::NoLeader)
    }
}

fn failed(error: &CallError, about: Option<NodeId>) -> MemberError {
    match error {
        CallError::NotSent { .. } => MemberError::NoLeader,
        CallError::Lost { .. } => MemberError::Unknown(error.to_string()),
        CallError::Refused { status, .. } => match status.code() {
            tonic::Code::NotFound => MemberError::NotFound(about.unwrap_or_default()),
            tonic::Code::InvalidArgument => MemberError::Refused(status.message().to_owned()),
            _ => MemberError::NoLeader,
        },
    }
}
