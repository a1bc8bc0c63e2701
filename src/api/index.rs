//! `/`: where to go from here.

use axum::Json;
use axum::extract::State;
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
    /// Where a browser logs in at a provider; none: no provider is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    provider: Option<&'static str>,
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
async fn get_index(State(api): State<Api>, headers: HeaderMap) -> Response {
    if is_browser(&headers) {
        return ui::redirect("/ui/");
    }
    Json(Index {
        name: "cronapi",
        version: env!("CARGO_PKG_VERSION"),
        page: "/ui/",
        docs: "/docs",
        openapi: "/openapi.json",
        token: "/auth/token",
        provider: api.options.oidc.is_some().then_some("/auth/oidc/login"),
        jobs: "/jobs",
        runs: "/runs",
        events: "/events",
        status: "/system/status",
    })
    .into_response()
}

/// Whether a person waits for the answer, who wants a page.
pub(super) fn is_browser(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
