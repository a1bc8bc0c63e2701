//! The page of metrics, with a token here and without one on a listener of its own.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::jobs::Bare;
use super::problem::Problem;
use super::query::Query;
use crate::metrics;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_metrics))
}

/// Without a token: whoever reaches the listener may ask.
pub(super) fn open() -> Router<Api> {
    Router::new().route("/metrics", get(open_metrics))
}

/// Metrics of this node, for Prometheus
///
/// The text format 0.0.4. What each means, and how to add nodes up, is in docs/metrics.md.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, description = "The page.", body = String,
        content_type = "text/plain")))]
async fn get_metrics(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Response, Problem> {
    Ok(page(api.service.metrics(&caller)?))
}

async fn open_metrics(State(api): State<Api>) -> Result<Response, Problem> {
    Ok(page(api.service.open_metrics()?))
}

fn page(text: String) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response()
}
