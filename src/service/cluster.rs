//! The cluster's members: who they are, and changes to them.

use std::time::Duration;

use serde::Serialize;

use super::{Action, Caller, Error, NodeRole, Service, Target};
use crate::consensus::{Member, MemberError};
use crate::machine::state::Node;
use crate::model::placement::Labels;
use crate::model::{NodeId, Timestamp};

/// Silent for longer, a node is not shown as live.
pub(super) const LIVE: Duration = Duration::from_secs(4);

/// A cluster member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NodeView {
    /// Identity.
    pub id: NodeId,
    /// What people call it: its label `name`, else the name of its machine in its address, else
    /// its address.
    pub name: String,
    /// Where other nodes reach it.
    pub address: String,
    /// Where it serves REST; empty: it has not said yet.
    pub api: String,
    /// What it is, as the leader told last.
    pub role: NodeRole,
    /// It is up, as the leader told last.
    pub live: bool,
    /// It gets attempts.
    pub accepting: bool,
    /// Index of the last entry that it is known to have applied.
    #[schema(required)]
    pub applied_index: Option<u64>,
    /// Entries it was behind this node's, when it was last heard of.
    #[schema(required)]
    pub lag: Option<u64>,
    /// Up to this entry its digests are the leader's; null: none was compared, or it leads.
    #[schema(required)]
    pub proven_index: Option<u64>,
    /// From this entry on its digests are not the leader's: what one of the two says is wrong.
    #[schema(required)]
    pub differs_from: Option<u64>,
    /// For placement.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Labels,
    /// Attempts at a time; 0: it has not been up yet.
    pub slots: u32,
    /// Open attempts.
    pub busy: u32,
    /// Its present boot; null: it has not been up yet.
    #[schema(required)]
    pub boot: Option<uuid::Uuid>,
    /// When that joined.
    #[schema(required)]
    pub up_since: Option<Timestamp>,
}

/// The cluster's members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NodeList {
    /// By id.
    pub items: Vec<NodeView>,
}

impl Service {
    /// The cluster's members.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn nodes(&self, c: &Caller) -> Result<NodeList, Error> {
        c.permit(Action::ReadCluster, Target::Cluster)?;
        let (status, state) = (self.consensus().status(), self.consensus().state());
        let told = self.consensus().members_told();
        let mut ids: Vec<NodeId> = told.iter().map(|member| member.node).collect();
        ids.extend(state.nodes.keys());
        ids.sort_unstable();
        ids.dedup();
        let items = ids.into_iter().map(|id| {
            let member = told.iter().find(|member| member.node == id);
            let mut view = view_of(id, state.nodes.get(&id).map(|node| &**node), member);
            if id == status.node_id {
                view.role = status.role.into();
                view.live = true;
                view.applied_index = Some(status.applied);
            }
            view.lag = view.applied_index.map(|index| status.applied.saturating_sub(index));
            view
        });
        Ok(NodeList { items: items.collect() })
    }

    /// Takes a node out of the cluster; what it runs is lost. A process that still runs there
    /// stops, and joins again when it is started again.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Conflict` when it is the only voter, `Unavailable`.
    pub async fn remove_node(&self, c: &Caller, id: NodeId) -> Result<(), Error> {
        c.permit(Action::ManageCluster, Target::Cluster)?;
        self.consensus().remove_node(id, Some(c.actor.clone())).await.map_err(Error::from)
    }

    /// Hands leadership to `to`, or to any other voter; gives the new leader.
    ///
    /// # Errors
    /// `Forbidden`, `Conflict` when it can't lead, `Unavailable`.
    pub async fn transfer(&self, c: &Caller, to: Option<NodeId>) -> Result<NodeId, Error> {
        c.permit(Action::ManageCluster, Target::Cluster)?;
        self.consensus().transfer(to).await.map_err(Error::from)
    }
}

fn view_of(id: NodeId, node: Option<&Node>, member: Option<&Member>) -> NodeView {
    let role = match member {
        Some(member) if member.leader => NodeRole::Leader,
        Some(member) if member.voter => NodeRole::Follower,
        _ => NodeRole::Learner,
    };
    let live = member.and_then(|member| member.silent_for).is_some_and(|span| span < LIVE);
    let address = match (member, node) {
        (Some(member), _) => member.addr.clone(),
        (None, Some(node)) => node.address.clone(),
        (None, None) => String::new(),
    };
    let labels = node.map(|node| node.labels.clone()).unwrap_or_default();
    NodeView {
        id,
        name: name_of(&labels, &address),
        address,
        api: node.map_or_else(String::new, |node| node.api.clone()),
        role,
        live,
        accepting: node.is_some_and(|node| node.accepting),
        applied_index: member.map(|member| member.applied),
        lag: None,
        proven_index: member.map(|member| member.proven).filter(|index| *index > 0),
        differs_from: member.and_then(|member| member.differs),
        labels,
        slots: node.map_or(0, |node| node.slots),
        busy: node.map_or(0, |node| node.busy),
        boot: node.map(|node| node.boot),
        up_since: node.map(|node| node.up_since),
    }
}

/// `web1` of the label `name=web1`, or of the address `web1.example:8001`.
fn name_of(labels: &Labels, address: &str) -> String {
    if let Some(name) = labels.get("name") {
        return name.clone();
    }
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let is_ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    match host.split('.').next() {
        Some(machine) if !is_ip && !machine.is_empty() => machine.to_owned(),
        _ => address.to_owned(),
    }
}

impl From<MemberError> for Error {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NoLeader => {
                Error::unavailable("the cluster has no leader at the moment", false)
            }
            MemberError::NotFound(id) => {
                Error::NotFound { what: "node".into(), name: id.to_string() }
            }
            MemberError::Refused(detail) => Error::Conflict { code: "membership", detail },
            MemberError::Unknown(detail) => Error::unavailable(detail, true),
        }
    }
}
