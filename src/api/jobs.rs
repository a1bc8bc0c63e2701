//! `/jobs`: definitions.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Object, Optional, Patch};
use super::choices::{JobKind, JobOrder, RunnerKind};
use super::conditional::{Condition, etag};
use super::guard::Who;
use super::pages::{self, JobPage};
use super::path::{JobPath, Path};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, MatchHeader, Write};
use crate::model::limits::TEXT_LEN_MAX;
use crate::model::{Invalid, JobSpec, Name};
use crate::service::{Error, JobFilter, JobSort, JobView, PutMode, Which};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs, create_job))
        .routes(routes!(get_job, put_job, patch_job, delete_job))
        .routes(routes!(pause_job))
        .routes(routes!(resume_job))
        .routes(routes!(create_workflow))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct JobsQuery {
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// In the name or the description, any case.
    #[param(max_length = 256)]
    q: Option<String>,
    /// All of these tags.
    #[serde(default)]
    #[param(max_items = 32)]
    tag: Vec<String>,
    /// Enabled or paused.
    enabled: Option<bool>,
    /// What carries out its runs.
    #[param(value_type = Option<RunnerKind>)]
    runner: Option<String>,
    /// Those that are workflows, or those that are not.
    #[param(value_type = Option<JobKind>)]
    kind: Option<String>,
    /// The queue its runs wait in.
    #[param(value_type = Option<Name>)]
    queue: Option<Name>,
    /// Those that were deleted and whose past is kept, the last one first, in place of those
    /// that are there.
    #[serde(default)]
    #[param(required = false)]
    deleted: bool,
    /// The order; with `-` before it, the last first.
    #[param(value_type = Option<JobOrder>)]
    sort: Option<String>,
}

impl JobsQuery {
    fn filter(self) -> Result<JobFilter, Problem> {
        if self.q.as_ref().is_some_and(|q| q.chars().count() > 256) {
            return Err(Problem::parameter("query:q", "has over 256 characters"));
        }
        if self.tag.len() > 32 {
            return Err(Problem::parameter("query:tag", "has over 32 tags"));
        }
        let runners = ["python", "shell", "http", "workflow", "none"];
        if self.runner.as_deref().is_some_and(|runner| !runners.contains(&runner)) {
            let detail = format!("must be one of {}", runners.join(", "));
            return Err(Problem::parameter("query:runner", detail));
        }
        let workflow = match self.kind.as_deref() {
            None => None,
            Some("workflow") => Some(true),
            Some("job") => Some(false),
            Some(_) => {
                return Err(Problem::parameter("query:kind", "must be one of workflow, job"));
            }
        };
        if self.deleted && self.sort.is_some() {
            let detail = "can't be chosen for deleted jobs: the one that was deleted last is first";
            return Err(Problem::parameter("query:sort", detail));
        }
        let sort = self.sort.as_deref().map(JobSort::parse).transpose();
        let sort = sort.map_err(|fault| Problem::parameter("query:sort", fault.to_string()))?;
        Ok(JobFilter {
            q: self.q,
            tags: self.tag,
            enabled: self.enabled,
            runner: self.runner,
            workflow,
            queue: self.queue.map(|queue| queue.to_string()),
            sort: sort.unwrap_or_default(),
            deleted: self.deleted,
        })
    }
}

/// How a write is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DryRun {
    /// Answer as if, and change nothing.
    #[serde(default)]
    #[param(required = false)]
    pub dry_run: bool,
}

/// List jobs
#[utoipa::path(get, path = "/jobs", tag = "jobs", params(JobsQuery), responses(
    (status = 200, description = "A page of the jobs that the caller may see.", body = JobPage)
))]
async fn list_jobs(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(mut asked): Query<JobsQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor.take())?;
    let page = api.service.jobs(&caller, asked.filter()?, paging).await?;
    Ok(pages::page(&uri, page))
}

/// Create a job
#[utoipa::path(post, path = "/jobs", tag = "jobs", params(DryRun, KeyHeader),
    request_body(content = JobSpec, description = "The definition."),
    responses(
        (status = 200, description = "With `dry_run`: the job as it would be.", body = JobView),
        (status = 201, description = "The job.", body = JobView,
            headers(("ETag" = String, description = "Its version."),
                ("Location" = String, description = "Its path.")))
    ))]
async fn create_job(
    State(api): State<Api>,
    Query(asked): Query<DryRun>,
    write: Write<Object>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let Object(map) = write.body;
    let written = api.service.put_job(&write.caller, map, PutMode::Create, options).await?;
    Ok(answer::job(&written, asked.dry_run))
}

/// Create a workflow
///
/// The same as `POST /jobs`, for a definition that has tasks.
#[utoipa::path(post, path = "/workflows", tag = "jobs", params(DryRun, KeyHeader),
    request_body(content = JobSpec, description = "The definition, with its tasks."),
    responses(
        (status = 200, description = "With `dry_run`: the workflow as it would be.",
            body = JobView),
        (status = 201, description = "The workflow.", body = JobView,
            headers(("ETag" = String, description = "Its version."),
                ("Location" = String, description = "Its path, that of a job.")))
    ))]
async fn create_workflow(
    State(api): State<Api>,
    Query(asked): Query<DryRun>,
    write: Write<Object>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let Object(map) = write.body;
    let none = map.get("tasks").is_none_or(|tasks| tasks.as_array().is_some_and(Vec::is_empty));
    if none {
        let detail = "is missing; every workflow has some (a job without any: POST /jobs)";
        return Err(Problem::invalid(vec![Invalid::new("tasks", detail)]));
    }
    let written = api.service.put_job(&write.caller, map, PutMode::Create, options).await?;
    Ok(answer::job(&written, asked.dry_run))
}

/// Show a job
///
/// By its name or its uid; one that was deleted too, until retention takes its past.
#[utoipa::path(get, path = "/jobs/{name}", tag = "jobs", params(JobPath, DeletedQuery,
    ("If-None-Match" = Option<String>, Header, description = "The ETag of the copy at hand.")
), responses(
    (status = 200, description = "The job.", body = JobView,
        headers(("ETag" = String, description = "Its version."))),
    (status = 304, description = "The copy at hand is the present definition.")
))]
async fn get_job(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<JobPath>,
    Query(asked): Query<DeletedQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = api.service.job(&caller, asked.which(&path)).await?;
    let tag = etag(job.live.version);
    if Condition::if_none_match(&headers)?.names(job.live.version) {
        return Ok((StatusCode::NOT_MODIFIED, [tag]).into_response());
    }
    Ok(([tag], Json(job)).into_response())
}

/// Which of the jobs that had a name is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeletedQuery {
    /// The job of that name that was deleted last, in place of the one that has it now.
    #[serde(default)]
    #[param(required = false)]
    pub deleted: bool,
}

impl DeletedQuery {
    pub(super) fn which<'a>(&self, path: &'a JobPath) -> Which<'a> {
        Which { name: path.name.as_str(), deleted: self.deleted }
    }
}

/// A query without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bare {}

/// Create or replace a job
///
/// The name may be left out of the body. `If-None-Match: *` only creates, `If-Match` only
/// replaces the version it names. What `GET` answered may be sent back: fields that the cluster
/// sets (`uid`, `version`, `next_fire_at` and so on) are ignored if they are as they are, and
/// refused by name if not.
#[utoipa::path(put, path = "/jobs/{name}", tag = "jobs",
    params(JobPath, DryRun, KeyHeader, MatchHeader,
        ("If-None-Match" = Option<String>, Header, description = "`*`: only create.")),
    request_body(content = JobSpec, description = "The definition."),
    responses(
        (status = 200, description = "The job, which was there before.", body = JobView,
            headers(("ETag" = String, description = "Its version."))),
        (status = 201, description = "The job, which is new.", body = JobView,
            headers(("ETag" = String, description = "Its version."),
                ("Location" = String, description = "Its path.")))
    ))]
async fn put_job(
    State(api): State<Api>,
    Path(path): Path<JobPath>,
    Query(asked): Query<DryRun>,
    write: Write<Object>,
) -> Result<Response, Problem> {
    let options = write.options(&api, path.name.as_str(), asked.dry_run).await?;
    let mode = write.mode()?;
    let Object(mut map) = write.body;
    name_of_path(&mut map, path.name.as_str())?;
    let written = api.service.put_job(&write.caller, map, mode, options).await;
    let written = written.map_err(|error| unmet(mode, "job", error))?;
    Ok(answer::job(&written, asked.dry_run))
}

/// The name in a body is that of the path; it may be left out.
pub(super) fn name_of_path(map: &mut Map<String, Value>, name: &str) -> Result<(), Problem> {
    match map.get("name") {
        None => {
            map.insert("name".into(), name.into());
            Ok(())
        }
        Some(given) if given.as_str() == Some(name) => Ok(()),
        Some(_) => {
            let detail = format!("is not {name}, the name in the path; leave it out");
            Err(Problem::invalid(vec![Invalid::new("name", detail)]))
        }
    }
}

/// The problem of a write whose condition was whether the definition exists.
pub(super) fn unmet(mode: PutMode, what: &str, error: Error) -> Problem {
    let problem = Problem::from(error);
    let failed = match mode {
        PutMode::Create => problem.code() == "exists",
        PutMode::Update => problem.code() == "not-found",
        PutMode::Upsert => false,
    };
    let detail = format!("the condition of the request does not hold: whether the {what} exists");
    if failed { Problem::new("precondition-failed", detail) } else { problem }
}

/// Change some fields of a job
///
/// A JSON merge patch (RFC 7396): fields that it names are replaced, null takes one out.
#[utoipa::path(patch, path = "/jobs/{name}", tag = "jobs",
    params(JobPath, DryRun, KeyHeader, MatchHeader),
    request_body(description = "The fields to change.", content(
        (std::collections::HashMap<String, serde_json::Value> = "application/merge-patch+json"),
        (std::collections::HashMap<String, serde_json::Value> = "application/json"))),
    responses((status = 200, description = "The job.", body = JobView,
        headers(("ETag" = String, description = "Its version."))))
)]
async fn patch_job(
    State(api): State<Api>,
    Path(path): Path<JobPath>,
    Query(asked): Query<DryRun>,
    write: Write<Patch>,
) -> Result<Response, Problem> {
    let name = path.name.as_str();
    let options = write.options(&api, name, asked.dry_run).await?;
    let Patch(patch) = write.body;
    let written = api.service.patch_job(&write.caller, name, patch, options).await?;
    Ok(answer::job(&written, asked.dry_run))
}

/// Delete a job
///
/// Its open runs are cancelled. Its history stays until retention takes it.
#[utoipa::path(delete, path = "/jobs/{name}", tag = "jobs",
    params(JobPath, DryRun, KeyHeader, MatchHeader),
    responses((status = 204, description = "It is gone.")))]
async fn delete_job(
    State(api): State<Api>,
    Path(path): Path<JobPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let name = path.name.as_str();
    let options = write.options(&api, name, asked.dry_run).await?;
    let meta = api.service.delete_job(&write.caller, name, options).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    answer::mark(&mut response, meta, asked.dry_run);
    Ok(response)
}

/// Why a job is paused or resumed.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Remark {
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 4096)]
    reason: Option<String>,
}

/// Pause a job
///
/// Its schedule, its joins and its chains rest; its open runs go on.
#[utoipa::path(post, path = "/jobs/{name}/pause", tag = "jobs",
    params(JobPath, DryRun, KeyHeader, MatchHeader),
    request_body(content = Option<Remark>, description = "Why, if that is to be said."),
    responses((status = 200, description = "The job.", body = JobView)))]
async fn pause_job(
    State(api): State<Api>,
    Path(path): Path<JobPath>,
    Query(asked): Query<DryRun>,
    write: Write<Optional<Remark>>,
) -> Result<Response, Problem> {
    enable(&api, path.name.as_str(), false, asked.dry_run, write).await
}

/// Resume a paused job
///
/// Times that passed meanwhile are recorded as skipped; they are not made up for.
#[utoipa::path(post, path = "/jobs/{name}/resume", tag = "jobs",
    params(JobPath, DryRun, KeyHeader, MatchHeader),
    request_body(content = Option<Remark>, description = "Why, if that is to be said."),
    responses((status = 200, description = "The job.", body = JobView)))]
async fn resume_job(
    State(api): State<Api>,
    Path(path): Path<JobPath>,
    Query(asked): Query<DryRun>,
    write: Write<Optional<Remark>>,
) -> Result<Response, Problem> {
    enable(&api, path.name.as_str(), true, asked.dry_run, write).await
}

async fn enable(
    api: &Api,
    name: &str,
    enabled: bool,
    dry_run: bool,
    write: Write<Optional<Remark>>,
) -> Result<Response, Problem> {
    let options = write.options(api, name, dry_run).await?;
    let Optional(Remark { reason }) = write.body;
    if reason.as_ref().is_some_and(|text| text.chars().count() > TEXT_LEN_MAX) {
        let detail = format!("is over {TEXT_LEN_MAX} characters");
        return Err(Problem::invalid(vec![Invalid::new("reason", detail)]));
    }
    let written = api.service.set_enabled(&write.caller, name, enabled, options).await?;
    if let Some(reason) = reason.filter(|_| written.changed && !dry_run) {
        let verb = if enabled { "job.resume.reason" } else { "job.pause.reason" };
        api.service.remark(&write.caller, verb, name, serde_json::json!({ "reason": reason }));
    }
    Ok(answer::job(&written, dry_run))
}
