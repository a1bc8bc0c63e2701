//! `/queues`: limits on how many attempts run at a time.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::body::{Nothing, Typed};
use super::guard::Who;
use super::jobs::Bare;
use super::path::{Path, QueuePath};
use super::problem::Problem;
use super::query::Query;
use super::write::Write;
use crate::model::{Invalid, Name};
use crate::service::access::QueueView;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_queues)).routes(routes!(
        get_queue,
        set_queue,
        delete_queue
    ))
}

/// Queues.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct QueueList {
    /// By name.
    items: Vec<QueueView>,
}

/// The limits of a queue.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct QueueLimits {
    /// Attempts at a time; null: no bound.
    #[schema(minimum = 1, maximum = 1000)]
    #[serde(default)]
    concurrency: Option<u32>,
    /// As it was shown.
    #[serde(default)]
    #[schema(ignore)]
    name: Option<Name>,
    /// As it was shown; it changes by itself.
    #[serde(default)]
    #[schema(ignore)]
    #[allow(dead_code, reason = "what was read may be sent back")]
    busy: Option<u32>,
}

/// List the queues that have a limit or runs in them
#[utoipa::path(get, path = "/queues", tag = "cluster",
    responses((status = 200, description = "The queues.", body = QueueList)))]
async fn list_queues(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<QueueList>, Problem> {
    Ok(Json(QueueList { items: api.service.queues(&caller).await? }))
}

/// Show a queue
#[utoipa::path(get, path = "/queues/{name}", tag = "cluster", params(QueuePath),
    responses((status = 200, description = "The queue.", body = QueueView)))]
async fn get_queue(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<QueuePath>,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<QueueView>, Problem> {
    Ok(Json(api.service.queue(&caller, &path.name).await?))
}

/// Set the limits of a queue
///
/// What `GET` answered may be sent back: `busy` is ignored.
#[utoipa::path(put, path = "/queues/{name}", tag = "cluster", params(QueuePath),
    request_body(content = QueueLimits, description = "The limits."),
    responses((status = 200, description = "The queue.", body = QueueView)))]
async fn set_queue(
    State(api): State<Api>,
    Path(path): Path<QueuePath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<QueueLimits>>,
) -> Result<Json<QueueView>, Problem> {
    let Typed(limits) = &write.body;
    if limits.name.as_ref().is_some_and(|name| *name != path.name) {
        let detail = format!("is not {}, the name in the path; leave it out", path.name);
        return Err(Problem::invalid(vec![Invalid::new("name", detail)]));
    }
    Ok(Json(api.service.set_queue(&write.caller, path.name, limits.concurrency).await?))
}

/// Remove the limits of a queue
#[utoipa::path(delete, path = "/queues/{name}", tag = "cluster", params(QueuePath),
    responses((status = 204, description = "They are gone.")))]
async fn delete_queue(
    State(api): State<Api>,
    Path(path): Path<QueuePath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<StatusCode, Problem> {
    api.service.queue(&write.caller, &path.name).await?;
    api.service.set_queue(&write.caller, path.name, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
