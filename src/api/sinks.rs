//! `/sinks/{name}/…`: what is asked of whoever writes a sink. Definitions of sinks are of the kit.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Optional};
use super::jobs::DryRun;
use super::path::{Path, SinkPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::service::{SinkEdit, SinkStatus};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(pause_sink))
        .routes(routes!(resume_sink))
        .routes(routes!(rewind_sink))
}

/// What each way to move a sink comes to.
async fn edited<T>(
    api: &Api,
    path: &SinkPath,
    asked: DryRun,
    write: &Write<T>,
    edit: SinkEdit,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.edit_sink(&write.caller, &path.name, edit, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}

/// Pause a sink
///
/// Nothing is written to it until it is resumed. What it lacks is kept, up to 5,000,000 events.
#[utoipa::path(post, path = "/sinks/{name}/pause", tag = "outside",
    params(SinkPath, DryRun, KeyHeader),
    responses((status = 200, description = "How far it is.", body = SinkStatus)))]
async fn pause_sink(
    State(api): State<Api>,
    Path(path): Path<SinkPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    edited(&api, &path, asked, &write, SinkEdit::Pause(true)).await
}

/// Resume a sink
///
/// It goes on from where it was.
#[utoipa::path(post, path = "/sinks/{name}/resume", tag = "outside",
    params(SinkPath, DryRun, KeyHeader),
    responses((status = 200, description = "How far it is.", body = SinkStatus)))]
async fn resume_sink(
    State(api): State<Api>,
    Path(path): Path<SinkPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    edited(&api, &path, asked, &write, SinkEdit::Pause(false)).await
}

/// From where on a sink is written again.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SinkRewind {
    /// After this place, `<index>-<sub>`; without it, or null, all that is kept.
    #[serde(default)]
    #[schema(pattern = "^[0-9]{1,19}-[0-9]{1,10}$")]
    position: Option<String>,
}

/// Write a sink again
///
/// Events after a place go to it once more, as far as they are kept, each under the position that
/// it had. A stream of Redis refuses what it has: it goes on from its own last entry all the same.
#[utoipa::path(post, path = "/sinks/{name}/rewind", tag = "outside",
    params(SinkPath, DryRun, KeyHeader),
    request_body(content = Option<SinkRewind>, description = "From where on."),
    responses((status = 200, description = "How far it is.", body = SinkStatus)))]
async fn rewind_sink(
    State(api): State<Api>,
    Path(path): Path<SinkPath>,
    Query(asked): Query<DryRun>,
    write: Write<Optional<SinkRewind>>,
) -> Result<Response, Problem> {
    let place = match &write.body.0.position {
        Some(text) => Some(place(text).ok_or_else(|| {
            let detail = "must be a position, such as 1204-3, as the sink tells it";
            Problem::at("invalid", "/position", detail)
        })?),
        None => None,
    };
    edited(&api, &path, asked, &write, SinkEdit::Rewind(place)).await
}

fn place(text: &str) -> Option<(u64, u32)> {
    let (index, sub) = text.split_once('-')?;
    Some((index.parse().ok()?, sub.parse().ok()?))
}
