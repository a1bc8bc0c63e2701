//! All jobs over time: what is to come, what was, what leads to what.

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::Who;
use super::pages::{self, FirePage};
use super::problem::Problem;
use super::query::Query;
use crate::model::limits::BARS_MAX;
use crate::model::{Name, Span, Timestamp};
use crate::service::{Activity, Buckets, Graph, Load, Paging, Timeline};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_fires))
        .routes(routes!(get_load))
        .routes(routes!(get_activity))
        .routes(routes!(get_timeline))
        .routes(routes!(get_graph))
}

/// Bars in one answer by default.
const BARS_DEFAULT: usize = 1_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct FiresQuery {
    /// The first instant.
    #[param(example = "2027-01-15T08:00:00Z")]
    from: Timestamp,
    /// The instant after the last, 366 days later at most.
    #[param(example = "2027-01-16T08:00:00Z")]
    until: Timestamp,
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List what is to come, of all jobs
///
/// The nearest first. Times that a calendar leaves out are not among them, nor those of paused
/// jobs.
#[utoipa::path(get, path = "/fires", tag = "jobs", params(FiresQuery),
    responses((status = 200, description = "A page of fires to come.", body = FirePage)))]
async fn list_fires(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(asked): Query<FiresQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    let page = api.service.fires(&caller, asked.from, asked.until, paging).await?;
    Ok(pages::page(&uri, page))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct BucketsQuery {
    /// The first instant.
    #[param(example = "2027-01-15T08:00:00Z")]
    from: Timestamp,
    /// The instant after the last, 366 days later at most.
    #[param(example = "2027-01-16T08:00:00Z")]
    until: Timestamp,
    /// Length of a bucket, counted from `from`: default `1h`, 1,500 buckets at most.
    #[param(example = "1h")]
    bucket: Option<Span>,
}

impl BucketsQuery {
    fn read(&self) -> Buckets {
        let bucket = self.bucket.unwrap_or(Span::from_secs(3_600));
        Buckets { from: self.from, until: self.until, bucket }
    }
}

/// Count what is to come, of all jobs, by bucket
///
/// For a map of when much starts at once. Jobs that fire very often are counted on at the pace of
/// their first times; `estimated` says how many.
#[utoipa::path(get, path = "/load", tag = "jobs", params(BucketsQuery),
    responses((status = 200, description = "The counts.", body = Load)))]
async fn get_load(
    State(api): State<Api>,
    Who(caller): Who,
    Query(asked): Query<BucketsQuery>,
) -> Result<Json<Load>, Problem> {
    Ok(Json(api.service.load(&caller, asked.read()).await?))
}

/// Count how runs ended, of all jobs, by bucket
///
/// A run counts in the bucket of its end. An answer looks at 20,000 runs at most, the last first;
/// when `complete_from` is later than `from`, ask for the rest with `until` set to it.
#[utoipa::path(get, path = "/activity", tag = "runs", params(BucketsQuery),
    responses((status = 200, description = "The counts.", body = Activity)))]
async fn get_activity(
    State(api): State<Api>,
    Who(caller): Who,
    Query(asked): Query<BucketsQuery>,
) -> Result<Json<Activity>, Problem> {
    Ok(Json(api.service.activity(&caller, asked.read()).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct TimelineQuery {
    /// The first instant.
    #[param(example = "2027-01-15T08:00:00Z")]
    from: Timestamp,
    /// The instant after the last, 366 days later at most.
    #[param(example = "2027-01-16T08:00:00Z")]
    until: Timestamp,
    /// Bars at most; default: 1,000.
    #[param(minimum = 1, maximum = 5000)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
}

/// Show runs of all jobs as bars of a timeline
///
/// Those that are open first, then those that ended in the range, the last first.
#[utoipa::path(get, path = "/timeline", tag = "runs", params(TimelineQuery),
    responses((status = 200, description = "The bars.", body = Timeline)))]
async fn get_timeline(
    State(api): State<Api>,
    Who(caller): Who,
    Query(asked): Query<TimelineQuery>,
) -> Result<Json<Timeline>, Problem> {
    let limit = asked.limit.unwrap_or(BARS_DEFAULT);
    if !(1..=BARS_MAX).contains(&limit) {
        return Err(Problem::parameter("query:limit", format!("must be from 1 to {BARS_MAX}")));
    }
    let paging = Paging { limit, cursor: asked.cursor };
    Ok(Json(api.service.timeline(&caller, asked.from, asked.until, paging).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct GraphQuery {
    /// Only what a way leads to from this job.
    #[param(value_type = Option<Name>)]
    job: Option<Name>,
}

/// Show which jobs start or hold which
///
/// Chains (`on_success`, `on_failure`, `on_finish`) and gates (`dependencies`) between the jobs
/// that the caller may see, 1,000 jobs at most.
#[utoipa::path(get, path = "/graph", tag = "jobs", params(GraphQuery),
    responses((status = 200, description = "The graph.", body = Graph)))]
async fn get_graph(
    State(api): State<Api>,
    Who(caller): Who,
    Query(asked): Query<GraphQuery>,
) -> Result<Json<Graph>, Problem> {
    Ok(Json(api.service.graph(&caller, asked.job.as_ref().map(Name::as_str)).await?))
}
