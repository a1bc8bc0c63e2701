//! What a first look asks for: the overview, strips of many jobs, the figures of one.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::jobs::Bare;
use super::path::{JobPath, Path};
use super::problem::Problem;
use super::query::Query;
use crate::model::Name;
use crate::model::limits::{CELLS_MAX, STRIPS_MAX};
use crate::service::{JobStatistics, Overview, Strip};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(get_overview))
        .routes(routes!(list_strips))
        .routes(routes!(get_job_statistics))
}

/// Show whether everything is all right
///
/// What fails and since when, what waits, what runs and what comes next, of the jobs that the
/// caller may see.
#[utoipa::path(get, path = "/overview", tag = "jobs",
    responses((status = 200, description = "The facts.", body = Overview)))]
async fn get_overview(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<Overview>, Problem> {
    Ok(Json(api.service.overview(&caller).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct StripsQuery {
    /// The jobs; those that are not there, or that the caller may not see, are left out.
    #[param(min_items = 1, max_items = 100, value_type = Vec<Name>)]
    jobs: Vec<Name>,
    /// Rows of the ledger of each, the newest; 60 by default.
    #[param(maximum = 200)]
    past: Option<usize>,
    /// Nominal times to come of each; 5 by default. With `past` together 200 at most.
    #[param(maximum = 200)]
    coming: Option<usize>,
}

/// The strips asked for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Strips {
    /// In the order asked for.
    items: Vec<Strip>,
}

/// Show the last outcomes of many jobs, and their next times
///
/// A cell a nominal time, oldest first: what became of it, and how its run went. A range that was
/// settled together, such as a pause, is one cell.
#[utoipa::path(get, path = "/strips", tag = "jobs", params(StripsQuery),
    responses((status = 200, description = "The strips.", body = Strips)))]
async fn list_strips(
    State(api): State<Api>,
    Who(caller): Who,
    Query(asked): Query<StripsQuery>,
) -> Result<Json<Strips>, Problem> {
    let (past, coming) = (asked.past.unwrap_or(60), asked.coming.unwrap_or(5));
    if asked.jobs.is_empty() || asked.jobs.len() > STRIPS_MAX {
        let detail = format!("must name from 1 to {STRIPS_MAX} jobs");
        return Err(Problem::parameter("query:jobs", detail));
    }
    if past.saturating_add(coming) > CELLS_MAX {
        let detail = format!("past and coming are {CELLS_MAX} at most together");
        return Err(Problem::parameter("query:past", detail));
    }
    let items = api.service.strips(&caller, &asked.jobs, past, coming).await?;
    Ok(Json(Strips { items }))
}

/// Show how the runs of a job have gone
///
/// Figures of its newest 500 closed runs: how long they took, how late they began, how they ended.
#[utoipa::path(get, path = "/jobs/{name}/statistics", tag = "jobs", params(JobPath),
    responses((status = 200, description = "The figures.", body = JobStatistics)))]
async fn get_job_statistics(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<JobPath>,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<JobStatistics>, Problem> {
    Ok(Json(api.service.statistics(&caller, path.name.as_str()).await?))
}
