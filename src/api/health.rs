//! Health, for probes: no token, and no detail.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(healthz))
        .routes(routes!(health))
}

/// It is well.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Health {
    /// Always `ok`; otherwise the answer is a problem.
    status: &'static str,
}

fn ready(api: &Api) -> Result<Json<Health>, Problem> {
    match api.service.ready() {
        Ok(()) => Ok(Json(Health { status: "ok" })),
        Err(reasons) => {
            tracing::debug!(?reasons, "not ready");
            Err(Problem::new("not-ready", "this node can't serve now; its log says why"))
        }
    }
}

/// Whether the process runs
#[utoipa::path(get, path = "/livez", tag = "health",
    responses((status = 200, description = "It does.", body = Health)))]
async fn livez() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether this node can serve
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, description = "It can.", body = Health)))]
async fn readyz(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    ready(&api)
}

/// Whether this node can serve (the same as `/readyz`)
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, description = "It can.", body = Health)))]
async fn healthz(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    ready(&api)
}

/// Whether this node can serve (the same as `/readyz`)
#[utoipa::path(get, path = "/health", tag = "health",
    responses((status = 200, description = "It can.", body = Health)))]
async fn health(State(api): State<Api>) -> Result<Json<Health>, Problem> {
    ready(&api)
}
