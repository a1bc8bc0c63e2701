//! `/secrets`: values that jobs name and nobody reads.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Typed};
use super::conditional::{Condition, etag};
use super::guard::Who;
use super::jobs::{Bare, unmet};
use super::path::{Path, SecretPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, MatchHeader, Write};
use crate::model::Name;
use crate::service::{NewSecret, Rotated, SecretView, WriteOptions};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_secrets))
        .routes(routes!(get_secret, put_secret, delete_secret))
        .routes(routes!(rotate_secrets))
}

/// Secrets.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SecretList {
    /// By name.
    items: Vec<SecretView>,
}

/// List secrets
///
/// Their values are shown to nobody.
#[utoipa::path(get, path = "/secrets", tag = "access",
    responses((status = 200, description = "All of them.", body = SecretList)))]
async fn list_secrets(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<SecretList>, Problem> {
    Ok(Json(SecretList { items: api.service.secrets(&caller).await? }))
}

/// Show a secret, without its value
#[utoipa::path(get, path = "/secrets/{name}", tag = "access", params(SecretPath,
    ("If-None-Match" = Option<String>, Header, description = "The ETag of the copy at hand.")
), responses(
    (status = 200, description = "The secret.", body = SecretView,
        headers(("ETag" = String, description = "Its version."))),
    (status = 304, description = "The copy at hand is of the present version.")
))]
async fn get_secret(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<SecretPath>,
    Query(Bare {}): Query<Bare>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let secret = api.service.secret(&caller, &path.name).await?;
    let tag = etag(secret.version);
    if Condition::if_none_match(&headers)?.names(secret.version) {
        return Ok((StatusCode::NOT_MODIFIED, [tag]).into_response());
    }
    Ok(([tag], Json(secret)).into_response())
}

/// Give a secret a value
///
/// It is kept encrypted, and filled in where a job names it: `{"secret": "name"}` as the value
/// of a variable or a header. It counts from the next attempt on.
#[utoipa::path(put, path = "/secrets/{name}", tag = "access",
    params(SecretPath, KeyHeader, MatchHeader,
        ("If-None-Match" = Option<String>, Header, description = "`*`: only create.")),
    request_body(content = NewSecret, description = "The value, and who may use it."),
    responses((status = 200, description = "The secret.", body = SecretView,
        headers(("ETag" = String, description = "Its version.")))))]
async fn put_secret(
    State(api): State<Api>,
    Path(path): Path<SecretPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<NewSecret>>,
) -> Result<Response, Problem> {
    let (options, mode) = (options(&api, &path.name, &write).await, write.mode()?);
    let Typed(new) = &write.body;
    let written = api.service.put_secret(&write.caller, &path.name, new, mode, options).await;
    let (secret, meta) = written.map_err(|error| unmet(mode, "secret", error))?;
    let mut response = ([etag(secret.version)], Json(secret)).into_response();
    answer::mark(&mut response, meta, false);
    Ok(response)
}

async fn options<B>(api: &Api, name: &Name, write: &Write<B>) -> WriteOptions {
    let present = api.service.secret(&write.caller, name).await.ok();
    write.options_by(|| present.map(|secret| secret.version), false)
}

/// Remove a secret
///
/// Jobs that name it fail from their next attempt on.
#[utoipa::path(delete, path = "/secrets/{name}", tag = "access",
    params(SecretPath, KeyHeader, MatchHeader),
    responses((status = 204, description = "It is gone.")))]
async fn delete_secret(
    State(api): State<Api>,
    Path(path): Path<SecretPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = options(&api, &path.name, &write).await;
    let meta = api.service.delete_secret(&write.caller, &path.name, options).await?;
    Ok(answer::gone(meta))
}

/// Encrypt all secrets with a new key
///
/// The new key is itself encrypted with the first of `CRONAPI_SECRETS_KEY` of the node that is
/// asked.
#[utoipa::path(post, path = "/secrets/rotate", tag = "access",
    responses((status = 200, description = "How many.", body = Rotated)))]
async fn rotate_secrets(
    State(api): State<Api>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<Json<Rotated>, Problem> {
    Ok(Json(api.service.rotate_secrets(&write.caller).await?))
}
