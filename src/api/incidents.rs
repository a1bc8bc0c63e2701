//! `/incidents` and `/notices`: troubles that were told, and what became of the telling.

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
use super::pages::{self, IncidentPage, NoticePage};
use super::path::{IncidentPath, NoticePath, Path};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::model::Name;
use crate::service::{IncidentState, IncidentView, NoticeFilter, NoticeState, NoticeView};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_incidents))
        .routes(routes!(get_incident))
        .routes(routes!(acknowledge_incident))
        .routes(routes!(list_notices))
        .routes(routes!(retry_notice))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct IncidentsQuery {
    /// `open`, the default, or `resolved`.
    #[serde(default)]
    #[param(required = false)]
    state: IncidentState,
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct NoticesQuery {
    /// `pending`, the default, `sent` or `dead`.
    #[serde(default)]
    #[param(required = false)]
    state: NoticeState,
    /// To this channel.
    channel: Option<Name>,
    /// Items at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List incidents
///
/// The newest first. A page may be short, even empty, and still have a `next_cursor`.
#[utoipa::path(get, path = "/incidents", tag = "alerts", params(IncidentsQuery),
    responses((status = 200, description = "A page of incidents.", body = IncidentPage)))]
async fn list_incidents(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(asked): Query<IncidentsQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    Ok(pages::page(&uri, api.service.incidents(&caller, asked.state, paging).await?))
}

/// Show an incident
#[utoipa::path(get, path = "/incidents/{id}", tag = "alerts", params(IncidentPath),
    responses((status = 200, description = "The incident.", body = IncidentView)))]
async fn get_incident(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<IncidentPath>,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<IncidentView>, Problem> {
    Ok(Json(api.service.incident(&caller, path.id).await?))
}

/// Say that an incident is known
///
/// It is not told again; its end is.
#[utoipa::path(post, path = "/incidents/{id}/acknowledge", tag = "alerts",
    params(IncidentPath, DryRun, KeyHeader),
    responses((status = 200, description = "The incident, as it is now.", body = IncidentView)))]
async fn acknowledge_incident(
    State(api): State<Api>,
    Path(path): Path<IncidentPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.acknowledge_incident(&write.caller, path.id, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}

/// List notices
///
/// Those that wait, the first to go first; those that are over, the newest first. A page may be
/// short, even empty, and still have a `next_cursor`.
#[utoipa::path(get, path = "/notices", tag = "alerts", params(NoticesQuery),
    responses((status = 200, description = "A page of notices.", body = NoticePage)))]
async fn list_notices(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(asked): Query<NoticesQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    let filter = NoticeFilter { state: asked.state, channel: asked.channel };
    Ok(pages::page(&uri, api.service.notices(&caller, filter, paging).await?))
}

/// Send a notice again, at once
///
/// One that waits, is held, or was given up. It goes out under the number that it had.
#[utoipa::path(post, path = "/notices/{seq}/retry", tag = "alerts",
    params(NoticePath, DryRun, KeyHeader),
    responses((status = 202, description = "The notice, as it is now.", body = NoticeView)))]
async fn retry_notice(
    State(api): State<Api>,
    Path(path): Path<NoticePath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.retry_notice(&write.caller, path.seq, options).await?;
    Ok(answer::written(StatusCode::ACCEPTED, &written, asked.dry_run))
}
