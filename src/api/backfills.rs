//! `/backfills`: past times of jobs that are run on purpose.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Optional, Typed};
use super::guard::Who;
use super::jobs::{Bare, DryRun};
use super::pages::{self, BackfillPage};
use super::path::{BackfillPath, JobPath, Path};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::model::{BackfillStatus, Name};
use crate::service::{
    BackfillEdit, BackfillFilter, BackfillPatch, BackfillPlan, BackfillView, NewBackfill,
};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(create_backfill))
        .routes(routes!(list_backfills))
        .routes(routes!(get_backfill, patch_backfill))
        .routes(routes!(pause_backfill))
        .routes(routes!(resume_backfill))
        .routes(routes!(cancel_backfill))
}

/// Run times of a job that have passed
///
/// With `dry_run` nothing is begun: the answer tells what would run, and what the range has
/// already.
#[utoipa::path(post, path = "/jobs/{name}/backfills", tag = "backfills",
    params(JobPath, DryRun, KeyHeader),
    request_body(content = NewBackfill, description = "Which times, and how."),
    responses(
        (status = 200, description = "With `dry_run`: what it would do.", body = BackfillPlan),
        (status = 201, description = "The backfill, under way.", body = BackfillView,
            headers(("Location" = String, description = "Its path.")))
    ))]
async fn create_backfill(
    State(api): State<Api>,
    Path(path): Path<JobPath>,
    Query(asked): Query<DryRun>,
    write: Write<Typed<NewBackfill>>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let Typed(new) = &write.body;
    let name = path.name.as_str();
    if asked.dry_run {
        let (plan, meta) = api.service.plan_backfill(&write.caller, name, new).await?;
        let mut response = Json(plan).into_response();
        answer::mark(&mut response, meta, true);
        return Ok(response);
    }
    let written = api.service.start_backfill(&write.caller, name, new, options).await?;
    let mut response = answer::written(StatusCode::CREATED, &written, false);
    answer::located(&mut response, &format!("/backfills/{}", written.value.id));
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BackfillsQuery {
    /// Of this job.
    #[param(value_type = Option<Name>)]
    job: Option<Name>,
    /// That are so far.
    status: Option<BackfillStatus>,
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List backfills
///
/// Those that have not ended, and the last 1,000 that have.
#[utoipa::path(get, path = "/backfills", tag = "backfills", params(BackfillsQuery),
    responses((status = 200, description = "A page, newest first.", body = BackfillPage)))]
async fn list_backfills(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(asked): Query<BackfillsQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    let filter = BackfillFilter { job: asked.job, status: asked.status };
    Ok(pages::page(&uri, api.service.backfills(&caller, &filter, paging).await?))
}

/// Show a backfill
#[utoipa::path(get, path = "/backfills/{id}", tag = "backfills", params(BackfillPath),
    responses((status = 200, description = "The backfill.", body = BackfillView)))]
async fn get_backfill(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<BackfillPath>,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<BackfillView>, Problem> {
    Ok(Json(api.service.backfill(&caller, path.id).await?))
}

/// Give a backfill other bounds
#[utoipa::path(patch, path = "/backfills/{id}", tag = "backfills",
    params(BackfillPath, DryRun, KeyHeader),
    request_body(content = BackfillPatch, description = "What is to change."),
    responses((status = 200, description = "The backfill.", body = BackfillView)))]
async fn patch_backfill(
    State(api): State<Api>,
    Path(path): Path<BackfillPath>,
    Query(asked): Query<DryRun>,
    write: Write<Typed<BackfillPatch>>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let Typed(patch) = &write.body;
    let written = api.service.bound_backfill(&write.caller, path.id, patch, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}

/// Why something is done.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct BackfillReason {
    /// For the audit, and for whoever looks at the backfill.
    #[serde(default)]
    #[schema(max_length = 4096)]
    reason: Option<String>,
}

/// Pause a backfill
///
/// It makes no more runs until it is resumed; those that it made go on.
#[utoipa::path(post, path = "/backfills/{id}/pause", tag = "backfills",
    params(BackfillPath, DryRun, KeyHeader),
    request_body(content = Option<BackfillReason>, description = "Why."),
    responses((status = 200, description = "The backfill.", body = BackfillView)))]
async fn pause_backfill(
    State(api): State<Api>,
    Path(path): Path<BackfillPath>,
    Query(asked): Query<DryRun>,
    write: Write<Optional<BackfillReason>>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let edit = BackfillEdit::Pause { reason: write.body.0.reason };
    let written = api.service.edit_backfill(&write.caller, path.id, &edit, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}

/// Resume a backfill
#[utoipa::path(post, path = "/backfills/{id}/resume", tag = "backfills",
    params(BackfillPath, DryRun, KeyHeader),
    responses((status = 200, description = "The backfill.", body = BackfillView)))]
async fn resume_backfill(
    State(api): State<Api>,
    Path(path): Path<BackfillPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let edit = BackfillEdit::Resume;
    let written = api.service.edit_backfill(&write.caller, path.id, &edit, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}

/// Cancel a backfill
///
/// It makes no more runs, and its open runs are stopped. The job is not touched.
#[utoipa::path(post, path = "/backfills/{id}/cancel", tag = "backfills",
    params(BackfillPath, DryRun, KeyHeader),
    request_body(content = Option<BackfillReason>, description = "Why."),
    responses((status = 200, description = "The backfill.", body = BackfillView)))]
async fn cancel_backfill(
    State(api): State<Api>,
    Path(path): Path<BackfillPath>,
    Query(asked): Query<DryRun>,
    write: Write<Optional<BackfillReason>>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let edit = BackfillEdit::Cancel { reason: write.body.0.reason };
    let written = api.service.edit_backfill(&write.caller, path.id, &edit, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}
