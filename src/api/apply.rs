//! `/apply`: a set of definitions at once.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::body::Items;
use super::guard::PartlyRefused;
use super::jobs::DryRun;
use super::problem::Problem;
use super::query::Query;
use super::write::Write;
use crate::model::JobSpec;
use crate::service::{ApplyAction, ApplyItem};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(apply_jobs))
}

/// Definitions to create or replace.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "a schema, never a value")]
struct Definitions {
    /// Each on its own: one that is refused does not keep the others from being written.
    #[schema(max_items = 10000)]
    items: Vec<JobSpec>,
}

/// What became, or would become, of each definition.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Applied {
    /// In the order they were given.
    items: Vec<ApplyItem>,
    /// Whether this is a plan only.
    dry_run: bool,
    /// Definitions that are new.
    created: usize,
    /// Definitions that replace another.
    updated: usize,
    /// Definitions that are what they were.
    unchanged: usize,
    /// Definitions that were refused.
    refused: usize,
}

/// Apply a set of definitions
///
/// Creates or replaces each on its own, up to 10,000. One that is not a job says so with `kind`,
/// such as `queue`. When one or more are refused the answer is
/// 207: `refused` counts them, `items` says of each what became of it, and those that are not
/// refused are written. A plan (`dry_run`) has the status that the write would have. Applying the
/// same set again changes nothing.
#[utoipa::path(post, path = "/apply", tag = "jobs", params(DryRun),
    request_body(content = Definitions, description = "The definitions, or a bare list of them."),
    responses(
        (status = 200, description = "What became of each; none is refused.", body = Applied),
        (status = 207, description = "What became of each; some or all are refused.",
            body = Applied)
    ))]
async fn apply_jobs(
    State(api): State<Api>,
    Query(asked): Query<DryRun>,
    write: Write<Items>,
) -> Result<Response, Problem> {
    let Items(items) = write.body;
    let items = api.service.apply(&write.caller, items, asked.dry_run).await?;
    let count = |action| items.iter().filter(|item| item.action == action).count();
    let refused = count(ApplyAction::Refused);
    let status = if refused == 0 { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    let applied = Applied {
        dry_run: asked.dry_run,
        created: count(ApplyAction::Created),
        updated: count(ApplyAction::Updated),
        unchanged: count(ApplyAction::Unchanged),
        refused,
        items,
    };
    let mut response = (status, Json(applied)).into_response();
    if refused > 0 {
        response.extensions_mut().insert(PartlyRefused);
    }
    Ok(response)
}
