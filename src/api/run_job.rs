//! `/jobs/{name}/run` and `/jobs/{name}/runs`: start a run, list those of a job.

use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::Optional;
use super::guard::Who;
use super::pages::{self, RunPage};
use super::path::{JobPath, Path};
use super::problem::Problem;
use super::query::Query;
use super::runs::RunsOfJobQuery;
use super::write::{KeyHeader, Write};
use crate::model::{Parameters, Run, Span};

/// `wait` at most: below the time that a request gets.
const WAIT_MAX: Span = Span::from_secs(60);

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(run_job)).routes(routes!(list_job_runs, create_run))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RunQuery {
    /// Pass over dependencies and the overlap policy; takes the role that manages jobs.
    #[serde(default)]
    #[param(required = false)]
    force: bool,
    /// Answer when the run has ended, or after this long; 60s at most.
    wait: Option<Span>,
    /// Answer as if, and start nothing.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

/// What a run is started with.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRun {
    /// Laid over the job's own.
    #[serde(default)]
    #[schema(required = false)]
    parameters: Parameters,
}

/// Run a job now
#[utoipa::path(post, path = "/jobs/{name}/run", tag = "runs",
    params(JobPath, RunQuery, KeyHeader),
    request_body(content = Option<NewRun>, description = "Parameters, if it takes any."),
    responses(
        (status = 200, description = "With `wait`: the run, which has ended.", body = Run),
        (status = 202, description = "The run, under way.", body = Run,
            headers(("Location" = String, description = "Its path.")))
    ))]
async fn run_job(
    State(api): State<Api>,
    Path(path): Path<JobPath>,
    Query(asked): Query<RunQuery>,
    write: Write<Optional<NewRun>>,
) -> Result<Response, Problem> {
    start(&api, path.name.as_str(), asked, write).await
}

/// Run a job now (the same as `/run`)
#[utoipa::path(post, path = "/jobs/{name}/runs", tag = "runs",
    params(JobPath, RunQuery, KeyHeader),
    request_body(content = Option<NewRun>, description = "Parameters, if it takes any."),
    responses(
        (status = 200, description = "With `wait`: the run, which has ended.", body = Run),
        (status = 202, description = "The run, under way.", body = Run,
            headers(("Location" = String, description = "Its path.")))
    ))]
async fn create_run(
    State(api): State<Api>,
    Path(path): Path<JobPath>,
    Query(asked): Query<RunQuery>,
    write: Write<Optional<NewRun>>,
) -> Result<Response, Problem> {
    start(&api, path.name.as_str(), asked, write).await
}

async fn start(
    api: &Api,
    name: &str,
    asked: RunQuery,
    write: Write<Optional<NewRun>>,
) -> Result<Response, Problem> {
    if asked.wait.is_some_and(|wait| wait > WAIT_MAX) {
        return Err(Problem::parameter("query:wait", format!("must be at most {WAIT_MAX}")));
    }
    let options = write.plain_options(asked.dry_run);
    let Optional(NewRun { parameters }) = write.body;
    let caller = &write.caller;
    let map = parameters.map().clone();
    let mut written = api.service.trigger(caller, name, map, asked.force, options).await?;
    let id = written.value.id;
    let waiting = asked.wait.filter(|_| !asked.dry_run);
    if let Some(wait) = waiting {
        written.value = api.service.wait_for(caller, id, wait).await?;
    }
    let ended = written.value.status.is_terminal();
    let done = asked.dry_run || (waiting.is_some() && ended);
    let status = if done { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = answer::written(status, &written, asked.dry_run);
    if !asked.dry_run {
        answer::located(&mut response, &format!("/runs/{id}"));
    }
    Ok(response)
}

/// List the runs of a job
///
/// Open ones first, then closed ones, each newest first.
#[utoipa::path(get, path = "/jobs/{name}/runs", tag = "runs", params(JobPath, RunsOfJobQuery),
    responses((status = 200, description = "A page of runs.", body = RunPage)))]
async fn list_job_runs(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<JobPath>,
    Query(asked): Query<RunsOfJobQuery>,
) -> Result<Response, Problem> {
    let (filter, paging) = asked.read(Some(path.name.to_string()), None)?;
    Ok(pages::page(&uri, api.service.runs(&caller, filter, paging).await?))
}
