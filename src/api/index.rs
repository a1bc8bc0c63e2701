//! `/`: where to go from here.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, ui};

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
    /// The page, for people.
    page: &'static str,
    /// The interface, for people.
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
///
/// A browser, which asks for `text/html`, is sent to the page.
#[utoipa::path(get, path = "/", tag = "health",
    responses((status = 200, description = "Paths to begin with.", body = Index)))]
async fn get_index(headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return ui::redirect("/ui/");
    }
    Json(Index {
        name: "cronapi",
        version: env!("CARGO_PKG_VERSION"),
        page: "/ui/",
        docs: "/docs",
        openapi: "/openapi.json",
        token: "/auth/token",
        jobs: "/jobs",
        runs: "/runs",
        events: "/events",
        status: "/system/status",
    })
    .into_response()
}
