//! `/secrets`: values that jobs name and nobody reads.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::body::{Nothing, Typed};
use super::guard::Who;
use super::jobs::Bare;
use super::path::{Path, SecretPath};
use super::problem::Problem;
use super::query::Query;
use super::write::Write;
use crate::service::{NewSecret, Rotated, SecretView};

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
#[utoipa::path(get, path = "/secrets/{name}", tag = "access", params(SecretPath),
    responses((status = 200, description = "The secret.", body = SecretView)))]
async fn get_secret(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<SecretPath>,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<SecretView>, Problem> {
    Ok(Json(api.service.secret(&caller, &path.name).await?))
}

/// Give a secret a value
///
/// It is kept encrypted, and filled in where a job names it: `{"secret": "name"}` as the value
/// of a variable or a header. It counts from the next attempt on.
#[utoipa::path(put, path = "/secrets/{name}", tag = "access", params(SecretPath),
    request_body(content = NewSecret, description = "The value, and who may use it."),
    responses((status = 200, description = "The secret.", body = SecretView)))]
async fn put_secret(
    State(api): State<Api>,
    Path(path): Path<SecretPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<NewSecret>>,
) -> Result<Json<SecretView>, Problem> {
    let Typed(new) = &write.body;
    Ok(Json(api.service.put_secret(&write.caller, &path.name, new).await?))
}

/// Remove a secret
///
/// Jobs that name it fail from their next attempt on.
#[utoipa::path(delete, path = "/secrets/{name}", tag = "access", params(SecretPath),
    responses((status = 204, description = "It is gone.")))]
async fn delete_secret(
    State(api): State<Api>,
    Path(path): Path<SecretPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<StatusCode, Problem> {
    api.service.delete_secret(&write.caller, &path.name).await?;
    Ok(StatusCode::NO_CONTENT)
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
