//! `/triggers/{name}/…`: what is asked of whoever reads a trigger. Definitions of triggers are of
//! the kit.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Optional};
use super::jobs::DryRun;
use super::path::{Path, TriggerPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::model::EntryId;
use crate::service::{TriggerEdit, TriggerStatus};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(pause_trigger))
        .routes(routes!(resume_trigger))
        .routes(routes!(rewind_trigger))
}

/// What each way to move a trigger comes to.
async fn edited<T>(
    api: &Api,
    path: &TriggerPath,
    asked: DryRun,
    write: &Write<T>,
    edit: TriggerEdit,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.edit_trigger(&write.caller, &path.name, edit, options).await?;
    Ok(answer::written(StatusCode::OK, &written, asked.dry_run))
}

/// Pause a trigger
///
/// Nothing is read until it is resumed. Entries wait in the stream.
#[utoipa::path(post, path = "/triggers/{name}/pause", tag = "outside",
    params(TriggerPath, DryRun, KeyHeader),
    responses((status = 200, description = "How far it is.", body = TriggerStatus)))]
async fn pause_trigger(
    State(api): State<Api>,
    Path(path): Path<TriggerPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    edited(&api, &path, asked, &write, TriggerEdit::Pause(true)).await
}

/// Resume a trigger
///
/// It goes on from where it was.
#[utoipa::path(post, path = "/triggers/{name}/resume", tag = "outside",
    params(TriggerPath, DryRun, KeyHeader),
    responses((status = 200, description = "How far it is.", body = TriggerStatus)))]
async fn resume_trigger(
    State(api): State<Api>,
    Path(path): Path<TriggerPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    edited(&api, &path, asked, &write, TriggerEdit::Pause(false)).await
}

/// From where on a trigger is read.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct TriggerRewind {
    /// After the entry of this id, `<ms>-<number>`; without it, or null, from the oldest entry on.
    #[serde(default)]
    #[schema(pattern = "^[0-9]{1,19}-[0-9]{1,19}$")]
    position: Option<String>,
}

/// Read a trigger from elsewhere
///
/// Entries after an id are taken next: once more, if they were taken before; those up to it are
/// passed over, if they were not.
#[utoipa::path(post, path = "/triggers/{name}/rewind", tag = "outside",
    params(TriggerPath, DryRun, KeyHeader),
    request_body(content = Option<TriggerRewind>, description = "From where on."),
    responses((status = 200, description = "How far it is.", body = TriggerStatus)))]
async fn rewind_trigger(
    State(api): State<Api>,
    Path(path): Path<TriggerPath>,
    Query(asked): Query<DryRun>,
    write: Write<Optional<TriggerRewind>>,
) -> Result<Response, Problem> {
    let to = match &write.body.0.position {
        Some(text) => EntryId::parse(text).ok_or_else(|| {
            let detail = "must be the id of an entry, such as 1767225600000-0";
            Problem::at("invalid", "/position", detail)
        })?,
        None => EntryId::default(),
    };
    edited(&api, &path, asked, &write, TriggerEdit::Rewind(to)).await
}
