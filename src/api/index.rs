//! `/`: where to go from here.

use axum::Json;
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_index))
}

/// Paths to begin with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Index {
    /// Always `cronapi`.
    name: &'static str,
    /// Of the program.
    version: &'static str,
    /// For people.
    docs: &'static str,
    /// For programs.
    openapi: &'static str,
    /// Where tokens come from.
    token: &'static str,
    /// Definitions.
    jobs: &'static str,
    /// Runs.
    runs: &'static str,
    /// What happens.
    events: &'static str,
    /// This node.
    status: &'static str,
}

/// Show where to go from here
#[utoipa::path(get, path = "/", tag = "health",
    responses((status = 200, description = "Paths to begin with.", body = Index)))]
async fn get_index() -> Json<Index> {
    Json(Index {
        name: "cronapi",
        version: env!("CARGO_PKG_VERSION"),
        docs: "/docs",
        openapi: "/openapi.json",
        token: "/auth/token",
        jobs: "/jobs",
        runs: "/runs",
        events: "/events",
        status: "/system/status",
    })
}
