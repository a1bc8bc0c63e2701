//! `/system` and `/cluster`: this node, and the others.

use axum::Json;
use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::jobs::Bare;
use super::problem::Problem;
use super::query::Query;
use crate::service::{LeaderView, NodeList, SystemStatus};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(leader)).routes(routes!(nodes))
}

/// Show what this node knows of itself and the cluster
#[utoipa::path(get, path = "/system/status", tag = "cluster",
    responses((status = 200, description = "Its account.", body = SystemStatus)))]
async fn status(
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
async fn leader(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<LeaderView>, Problem> {
    Ok(Json(api.service.leader(&caller).await?))
}

/// List the nodes
#[utoipa::path(get, path = "/cluster/nodes", tag = "cluster",
    responses((status = 200, description = "The members.", body = NodeList)))]
async fn nodes(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<NodeList>, Problem> {
    Ok(Json(api.service.nodes(&caller).await?))
}
