//! `/auth/keys`: what access tokens are signed with.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::body::Optional;
use super::guard::Who;
use super::jobs::Bare;
use super::problem::Problem;
use super::query::Query;
use super::write::Write;
use crate::service::access::{KeyView, Rotation};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list_keys)).routes(routes!(rotate_keys))
}

/// Signing keys, without their secrets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct KeyList {
    /// Those whose tokens are accepted; the one that signs is the last.
    items: Vec<KeyView>,
}

/// List the signing keys
#[utoipa::path(get, path = "/auth/keys", tag = "access",
    responses((status = 200, description = "The keys.", body = KeyList)))]
async fn list_keys(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<KeyList>, Problem> {
    Ok(Json(KeyList { items: api.service.signing_keys(&caller).await? }))
}

/// Replace the signing key
///
/// Tokens that earlier keys signed stay good until they expire, unless `revoke` is true. API
/// tokens are not signed: they stay as they are.
#[utoipa::path(post, path = "/auth/keys/rotate", tag = "access",
    request_body(content = Option<Rotation>, description = "What becomes of earlier tokens."),
    responses((status = 200, description = "The keys now.", body = KeyList)))]
async fn rotate_keys(
    State(api): State<Api>,
    Query(Bare {}): Query<Bare>,
    write: Write<Optional<Rotation>>,
) -> Result<Json<KeyList>, Problem> {
    let Optional(how) = write.body;
    Ok(Json(KeyList { items: api.service.rotate_keys(&write.caller, how).await? }))
}
