//! `/runs`: look at runs, stop them, repeat them.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Optional};
use super::guard::Who;
use super::jobs::{Bare, DryRun};
use super::pages::{self, RunPage, TaskPage};
use super::path::{Path, RunPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::model::{Name, NodeId, Run, RunId, RunStatus, Timestamp, Trigger};
use crate::service::{Paging, RetryFrom, RunFilter};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_runs))
        .routes(routes!(get_run))
        .routes(routes!(cancel_run))
        .routes(routes!(retry_run))
        .routes(routes!(list_tasks))
        .routes(routes!(pause_run))
        .routes(routes!(resume_run))
}

/// Declares both queries: the one of all runs takes a job beside.
macro_rules! runs_query {
    ($name:ident $(, $(#[$meta:meta])* $field:ident : $type:ty)*) => {
        #[derive(Debug, Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$meta])* $field: $type,)*
            /// In one of these states.
            #[serde(default)]
            status: Vec<RunStatus>,
            /// Started for this reason.
            trigger: Option<Trigger>,
            /// Last attempted on this node.
            node: Option<NodeId>,
            /// Fired at or after.
            after: Option<Timestamp>,
            /// Fired before.
            before: Option<Timestamp>,
            /// Items at most; default: 50.
            #[param(minimum = 1, maximum = 1000)]
            limit: Option<usize>,
            /// `next_cursor` of the page before.
            cursor: Option<String>,
            /// Of the job of that name that was deleted last, in place of the one that has it
            /// now.
            #[serde(default)]
            #[param(required = false)]
            deleted: bool,
        }

        impl $name {
            pub(super) fn read(
                self,
                job: Option<String>,
                flow: Option<RunId>,
            ) -> Result<(RunFilter, Paging), Problem> {
                let (status, trigger, node) = (self.status, self.trigger, self.node);
                let (after, before) = (self.after, self.before);
                if self.deleted && job.is_none() {
                    let detail = "needs a job; the runs of deleted jobs are among all others too";
                    return Err(Problem::parameter("query:deleted", detail));
                }
                let deleted = self.deleted;
                let filter =
                    RunFilter { job, deleted, status, trigger, node, after, before, flow };
                Ok((filter, pages::paging(self.limit, self.cursor)?))
            }
        }
    };
}

runs_query!(RunsOfJobQuery);
runs_query!(
    RunsQuery,
    /// Of this job.
    #[param(value_type = Option<Name>)]
    job: Option<Name>,
    /// Of the tasks of this run of a workflow; without it they are left out.
    flow: Option<RunId>
);

/// List runs
///
/// Open ones first, then closed ones, each newest first.
#[utoipa::path(get, path = "/runs", tag = "runs", params(RunsQuery),
    responses((status = 200, description = "A page of runs.", body = RunPage)))]
async fn list_runs(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(mut asked): Query<RunsQuery>,
) -> Result<Response, Problem> {
    let job = asked.job.take().map(|name| name.to_string());
    let flow = asked.flow.take();
    let (filter, paging) = asked.read(job, flow)?;
    Ok(pages::page(&uri, api.service.runs(&caller, filter, paging).await?))
}

/// Show a run
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(RunPath),
    responses((status = 200, description = "The run.", body = Run)))]
async fn get_run(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<RunPath>,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<Run>, Problem> {
    Ok(Json(api.service.run(&caller, path.id).await?))
}

/// Stop a run
///
/// At once when no node has it, else by asking its node.
#[utoipa::path(post, path = "/runs/{id}/cancel", tag = "runs", params(RunPath, DryRun, KeyHeader),
    responses((status = 202, description = "The run, as it is now.", body = Run)))]
async fn cancel_run(
    State(api): State<Api>,
    Path(path): Path<RunPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.cancel(&write.caller, path.id, options).await?;
    Ok(answer::written(StatusCode::ACCEPTED, &written, asked.dry_run))
}

/// What of a run is done again.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryRun {
    /// Of a workflow: `"failed"`, or the names of tasks. All that comes after them is done again
    /// too; what was done before stays. Without it all is done again.
    #[serde(default)]
    from: Option<RetryFrom>,
}

/// Run the job of a closed run again, with the same parameters
#[utoipa::path(post, path = "/runs/{id}/retry", tag = "runs", params(RunPath, DryRun, KeyHeader),
    request_body(content = Option<RetryRun>, description = "Which tasks, of a workflow."),
    responses((status = 202, description = "The new run.", body = Run,
        headers(("Location" = String, description = "Its path.")))))]
async fn retry_run(
    State(api): State<Api>,
    Path(path): Path<RunPath>,
    Query(asked): Query<DryRun>,
    write: Write<Optional<RetryRun>>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let Optional(RetryRun { from }) = write.body;
    let written = api.service.retry(&write.caller, path.id, from, options).await?;
    let mut response = answer::written(StatusCode::ACCEPTED, &written, asked.dry_run);
    if !asked.dry_run {
        answer::located(&mut response, &format!("/runs/{}", written.value.id));
    }
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TasksQuery {
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List the tasks of a workflow's run
///
/// In the order of the definition, each with what it waits for or why it did not succeed. A run of
/// any other job has none.
#[utoipa::path(get, path = "/runs/{id}/tasks", tag = "runs", params(RunPath, TasksQuery),
    responses((status = 200, description = "A page of tasks.", body = TaskPage)))]
async fn list_tasks(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<RunPath>,
    Query(asked): Query<TasksQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    Ok(pages::page(&uri, api.service.tasks(&caller, path.id, paging).await?))
}

/// Pause a run of a workflow
///
/// What is under way goes on, retries included; no further task or item starts.
#[utoipa::path(post, path = "/runs/{id}/pause", tag = "runs", params(RunPath, DryRun, KeyHeader),
    responses((status = 200, description = "The run.", body = Run)))]
async fn pause_run(
    State(api): State<Api>,
    Path(path): Path<RunPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.pause_run(&write.caller, path.id, true, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}

/// Let a paused run of a workflow go on
#[utoipa::path(post, path = "/runs/{id}/resume", tag = "runs", params(RunPath, DryRun, KeyHeader),
    responses((status = 200, description = "The run.", body = Run)))]
async fn resume_run(
    State(api): State<Api>,
    Path(path): Path<RunPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.pause_run(&write.caller, path.id, false, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}
