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
use super::body::Nothing;
use super::guard::Who;
use super::jobs::{Bare, DryRun};
use super::pages::{self, RunPage};
use super::path::{Path, RunPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::model::{Name, NodeId, Run, RunStatus, Timestamp, Trigger};
use crate::service::{Paging, RunFilter};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_runs))
        .routes(routes!(get_run))
        .routes(routes!(cancel_run))
        .routes(routes!(retry_run))
}

/// Declares both queries: the one of all runs takes a job beside.
macro_rules! runs_query {
    ($name:ident $(, $(#[$meta:meta])* $field:ident : $type:ty)?) => {
        #[derive(Debug, Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$meta])* $field: $type,)?
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
            /// Items at most; 50 unless told.
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
            ) -> Result<(RunFilter, Paging), Problem> {
                let (status, trigger, node) = (self.status, self.trigger, self.node);
                let (after, before) = (self.after, self.before);
                if self.deleted && job.is_none() {
                    let detail = "needs a job; the runs of deleted jobs are among all others too";
                    return Err(Problem::parameter("query:deleted", detail));
                }
                let deleted = self.deleted;
                let filter = RunFilter { job, deleted, status, trigger, node, after, before };
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
    job: Option<Name>
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
    let (filter, paging) = asked.read(job)?;
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

/// Run the job of a closed run again, with the same parameters
#[utoipa::path(post, path = "/runs/{id}/retry", tag = "runs", params(RunPath, DryRun, KeyHeader),
    responses((status = 202, description = "The new run.", body = Run,
        headers(("Location" = String, description = "Its path.")))))]
async fn retry_run(
    State(api): State<Api>,
    Path(path): Path<RunPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.retry(&write.caller, path.id, options).await?;
    let mut response = answer::written(StatusCode::ACCEPTED, &written, asked.dry_run);
    if !asked.dry_run {
        answer::located(&mut response, &format!("/runs/{}", written.value.id));
    }
    Ok(response)
}
