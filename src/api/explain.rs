//! `/jobs/{name}/explain`: why a job did, or did not, run at an instant.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::path::{JobPath, Path};
use super::problem::Problem;
use super::query::Query;
use crate::model::Timestamp;
use crate::service::{Explanation, Which};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(explain_job))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AtQuery {
    /// The instant asked about.
    at: Timestamp,
    /// Of the job of that name that was deleted last, in place of the one that has it now.
    #[serde(default)]
    #[param(required = false)]
    deleted: bool,
}

/// Explain why a job did, or did not, run at an instant
#[utoipa::path(get, path = "/jobs/{name}/explain", tag = "jobs", params(JobPath, AtQuery),
    responses((status = 200, description = "The answer, and what it rests on.",
        body = Explanation)))]
async fn explain_job(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<JobPath>,
    Query(asked): Query<AtQuery>,
) -> Result<Json<Explanation>, Problem> {
    let which = Which { name: path.name.as_str(), deleted: asked.deleted };
    Ok(Json(api.service.explain(&caller, which, asked.at).await?))
}
