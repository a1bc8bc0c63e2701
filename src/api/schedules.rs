//! `/schedules/preview`: what a schedule means, before it is saved.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::body::Object;
use super::history::count;
use super::problem::Problem;
use super::query::Query;
use super::write::Write;
use crate::model::JobSpec;
use crate::service::Preview;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(preview_schedule))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct PreviewQuery {
    /// Times at most; default: 10.
    #[param(minimum = 1, maximum = 1000)]
    count: Option<usize>,
}

/// Preview a schedule
///
/// Takes a definition; the name may be left out, and only what is given is judged.
#[utoipa::path(post, path = "/schedules/preview", tag = "jobs", params(PreviewQuery),
    request_body(content = JobSpec, description = "The fields of a definition."),
    responses((status = 200, description = "The schedule in words, and its next times.",
        body = Preview)))]
async fn preview_schedule(
    State(api): State<Api>,
    Query(asked): Query<PreviewQuery>,
    write: Write<Object>,
) -> Result<Json<Preview>, Problem> {
    let Object(map) = write.body;
    Ok(Json(api.service.preview(&write.caller, map, count(asked.count)?).await?))
}
