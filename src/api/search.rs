//! Looking for a text in captured output.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::path::{JobPath, Path, RunPath};
use super::problem::Problem;
use super::query::Query;
use crate::model::limits::HITS_MAX;
use crate::service::{LogHits, Paging, Wanted, Which};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(search_run_logs)).routes(routes!(search_job_logs))
}

/// Hits in one answer by default.
const HITS_DEFAULT: usize = 100;

/// Declares both queries: the one of a job may be about a deleted one.
macro_rules! search_query {
    ($name:ident $(, $(#[$meta:meta])* $field:ident : $type:ty)?) => {
        #[derive(Debug, Deserialize, IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $($(#[$meta])* $field: $type,)?
            /// The text, within a line.
            #[param(min_length = 1, max_length = 200, example = "connection refused")]
            q: String,
            /// Capital and small letters differ.
            #[serde(default)]
            #[param(required = false)]
            exact: bool,
            /// Lines at most; default: 100.
            #[param(minimum = 1, maximum = 500)]
            limit: Option<usize>,
            /// `next_cursor` of the answer before.
            cursor: Option<String>,
        }

        impl $name {
            fn read(self) -> Result<(Wanted, Paging), Problem> {
                let limit = self.limit.unwrap_or(HITS_DEFAULT);
                if !(1..=HITS_MAX).contains(&limit) {
                    let detail = format!("must be from 1 to {HITS_MAX}");
                    return Err(Problem::parameter("query:limit", detail));
                }
                let wanted = Wanted::new(self.q, self.exact)
                    .map_err(|fault| Problem::parameter("query:q", fault.to_string()))?;
                Ok((wanted, Paging { limit, cursor: self.cursor }))
            }
        }
    };
}

search_query!(SearchRunQuery);
search_query!(
    SearchJobQuery,
    /// Of the job of that name that was deleted last, in place of the one that has it now.
    #[serde(default)]
    #[param(required = false)]
    deleted: bool
);

/// Look for a text in the output of a run
///
/// Line by line, in the order of their ends. An answer reads some 16 MiB of output; `next_cursor`
/// goes on from there.
#[utoipa::path(get, path = "/runs/{id}/logs/search", tag = "runs",
    params(RunPath, SearchRunQuery),
    responses((status = 200, description = "The lines that hold it.", body = LogHits)))]
async fn search_run_logs(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<RunPath>,
    Query(asked): Query<SearchRunQuery>,
) -> Result<Json<LogHits>, Problem> {
    let (wanted, paging) = asked.read()?;
    Ok(Json(api.service.search_run(&caller, path.id, &wanted, paging).await?))
}

/// Look for a text in the output of a job's runs
///
/// In open runs first, then in closed ones, each the newest first. An answer reads some 16 MiB of
/// output, or that of 200 runs; `next_cursor` goes on from there.
#[utoipa::path(get, path = "/jobs/{name}/logs/search", tag = "jobs",
    params(JobPath, SearchJobQuery),
    responses((status = 200, description = "The lines that hold it.", body = LogHits)))]
async fn search_job_logs(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<JobPath>,
    Query(asked): Query<SearchJobQuery>,
) -> Result<Json<LogHits>, Problem> {
    let which = Which { name: path.name.as_str(), deleted: asked.deleted };
    let (wanted, paging) = asked.read()?;
    Ok(Json(api.service.search_job(&caller, which, &wanted, paging).await?))
}
