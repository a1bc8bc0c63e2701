//! `/system` and `/cluster`: this node, and the others.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::body::{Nothing, Typed};
use super::guard::Who;
use super::jobs::Bare;
use super::path::{NodePath, Path};
use super::problem::Problem;
use super::query::Query;
use super::write::Write;
use crate::model::NodeId;
use crate::service::{LeaderView, NodeList, SystemStatus};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_status))
        .routes(routes!(get_leader))
        .routes(routes!(list_nodes))
        .routes(routes!(remove_node))
        .routes(routes!(transfer_leadership))
}

/// Show what this node knows of itself and the cluster
#[utoipa::path(get, path = "/system/status", tag = "cluster",
    responses((status = 200, description = "Its account.", body = SystemStatus)))]
async fn get_status(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<SystemStatus>, Problem> {
    Ok(Json(api.service.status(&caller).await?))
}

/// Show who leads
#[utoipa::path(get, path = "/system/leader", tag = "cluster",
    responses((status = 200, description = "The leader, as far as this node knows.",
        body = LeaderView)))]
async fn get_leader(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<LeaderView>, Problem> {
    Ok(Json(api.service.leader(&caller).await?))
}

/// List the nodes
#[utoipa::path(get, path = "/cluster/nodes", tag = "cluster",
    responses((status = 200, description = "The members.", body = NodeList)))]
async fn list_nodes(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<NodeList>, Problem> {
    Ok(Json(api.service.nodes(&caller).await?))
}

/// Take a node out of the cluster
///
/// What it runs is lost. A process that still runs there stops by itself; started again, it
/// joins anew.
#[utoipa::path(delete, path = "/cluster/nodes/{id}", tag = "cluster", params(NodePath),
    responses((status = 204, description = "It is no member any more.")))]
async fn remove_node(
    State(api): State<Api>,
    Path(path): Path<NodePath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<StatusCode, Problem> {
    api.service.remove_node(&write.caller, path.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// To whom leadership goes.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TransferTo {
    /// A voter; null: whichever is furthest.
    #[serde(default)]
    to: Option<NodeId>,
}

/// Who leads now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Transferred {
    /// The new leader.
    leader_id: NodeId,
}

/// Hand leadership to another node
#[utoipa::path(post, path = "/cluster/transfer", tag = "cluster",
    request_body(content = TransferTo, description = "To whom."),
    responses((status = 200, description = "The new leader.", body = Transferred)))]
async fn transfer_leadership(
    State(api): State<Api>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<TransferTo>>,
) -> Result<Json<Transferred>, Problem> {
    let Typed(TransferTo { to }) = &write.body;
    let leader_id = api.service.transfer(&write.caller, *to).await?;
    Ok(Json(Transferred { leader_id }))
}
