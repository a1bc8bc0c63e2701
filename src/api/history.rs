//! `/jobs/{name}/…`: what is to come and what has been: times, versions, ledger, output.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::jobs::DeletedQuery;
use super::pages::{self, LedgerPage, VersionPage};
use super::path::{JobPath, Path, VersionPath};
use super::problem::Problem;
use super::query::Query;
use crate::model::Timestamp;
use crate::model::limits::PAGE_MAX;
use crate::service::{NextFire, RunLog, VersionView, Which};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_next_fires))
        .routes(routes!(list_job_versions))
        .routes(routes!(get_job_version))
        .routes(routes!(list_ledger))
        .routes(routes!(get_job_logs))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CountQuery {
    /// Times at most; default: 10.
    #[param(minimum = 1, maximum = 1000)]
    count: Option<usize>,
}

/// How many times are wanted, checked.
pub(super) fn count(asked: Option<usize>) -> Result<usize, Problem> {
    let count = asked.unwrap_or(10);
    if (1..=PAGE_MAX).contains(&count) {
        return Ok(count);
    }
    Err(Problem::parameter("query:count", format!("must be from 1 to {PAGE_MAX}")))
}

/// Times to come.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct NextFires {
    /// The first is the nearest.
    items: Vec<NextFire>,
}

/// Show the next nominal times of a job
///
/// Of a paused job, those that it would have.
#[utoipa::path(get, path = "/jobs/{name}/next", tag = "jobs", params(JobPath, CountQuery),
    responses((status = 200, description = "The times.", body = NextFires)))]
async fn list_next_fires(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<JobPath>,
    Query(asked): Query<CountQuery>,
) -> Result<Json<NextFires>, Problem> {
    let items = api.service.next(&caller, path.name.as_str(), count(asked.count)?).await?;
    Ok(Json(NextFires { items }))
}

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Of the job of that name that was deleted last, in place of the one that has it now.
    #[serde(default)]
    #[param(required = false)]
    pub deleted: bool,
}

/// List the versions of a job
#[utoipa::path(get, path = "/jobs/{name}/versions", tag = "jobs", params(JobPath, PageQuery),
    responses((status = 200, description = "A page, newest first.", body = VersionPage)))]
async fn list_job_versions(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<JobPath>,
    Query(asked): Query<PageQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    let which = Which { name: path.name.as_str(), deleted: asked.deleted };
    let page = api.service.versions(&caller, which, paging).await?;
    Ok(pages::page(&uri, page))
}

/// Show a version of a job
#[utoipa::path(get, path = "/jobs/{name}/versions/{version}", tag = "jobs",
    params(VersionPath, DeletedQuery),
    responses((status = 200, description = "The version.", body = VersionView)))]
async fn get_job_version(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<VersionPath>,
    Query(asked): Query<DeletedQuery>,
) -> Result<Json<VersionView>, Problem> {
    let which = Which { name: path.name.as_str(), deleted: asked.deleted };
    Ok(Json(api.service.version(&caller, which, path.version).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LedgerQuery {
    /// Nominal times from here on.
    from: Option<Timestamp>,
    /// Nominal times up to here.
    to: Option<Timestamp>,
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Of the job of that name that was deleted last, in place of the one that has it now.
    #[serde(default)]
    #[param(required = false)]
    deleted: bool,
}

/// Show what became of each nominal time
#[utoipa::path(get, path = "/jobs/{name}/ledger", tag = "jobs", params(JobPath, LedgerQuery),
    responses((status = 200, description = "A page, newest first.", body = LedgerPage)))]
async fn list_ledger(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<JobPath>,
    Query(asked): Query<LedgerQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    let (from, to) = (asked.from, asked.to);
    let which = Which { name: path.name.as_str(), deleted: asked.deleted };
    let page = api.service.ledger(&caller, which, from, to, paging).await?;
    Ok(pages::page(&uri, page))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    /// Pieces of output at most, over all runs; default: 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Of the job of that name that was deleted last, in place of the one that has it now.
    #[serde(default)]
    #[param(required = false)]
    deleted: bool,
}

/// The output of a job's latest runs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct JobLogs {
    /// The newest run first.
    items: Vec<RunLog>,
}

/// Show the output of a job's latest runs
#[utoipa::path(get, path = "/jobs/{name}/logs", tag = "jobs", params(JobPath, LogsQuery),
    responses((status = 200, description = "The output, by run.", body = JobLogs)))]
async fn get_job_logs(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<JobPath>,
    Query(asked): Query<LogsQuery>,
) -> Result<Json<JobLogs>, Problem> {
    let limit = asked.limit.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::parameter("query:limit", format!("must be from 1 to {PAGE_MAX}")));
    }
    let which = Which { name: path.name.as_str(), deleted: asked.deleted };
    let items = api.service.job_logs(&caller, which, limit).await?;
    Ok(Json(JobLogs { items }))
}
