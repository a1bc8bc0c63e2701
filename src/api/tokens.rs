//! `/tokens`: long-lived tokens for programs.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Typed};
use super::guard::Who;
use super::jobs::Bare;
use super::path::{Path, TokenPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::service::access::{NewToken, TokenCreated, TokenView};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_api_tokens, create_api_token))
        .routes(routes!(delete_api_token))
}

/// API tokens.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TokenList {
    /// By id.
    items: Vec<TokenView>,
}

/// List API tokens
///
/// The caller's own; for an admin, those of everybody.
#[utoipa::path(get, path = "/tokens", tag = "access",
    responses((status = 200, description = "The tokens, without their texts.", body = TokenList)))]
async fn list_api_tokens(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<TokenList>, Problem> {
    Ok(Json(TokenList { items: api.service.tokens(&caller).await? }))
}

/// Create an API token
///
/// Its text is in the answer and nowhere else.
#[utoipa::path(post, path = "/tokens", tag = "access",
    request_body(content = NewToken, description = "The token."),
    responses((status = 201, description = "The token, shown once.", body = TokenCreated)))]
async fn create_api_token(
    State(api): State<Api>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<NewToken>>,
) -> Result<Response, Problem> {
    let Typed(new) = write.body;
    let created = api.service.create_token(&write.caller, new).await?;
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// Remove an API token
#[utoipa::path(delete, path = "/tokens/{id}", tag = "access", params(TokenPath, KeyHeader),
    responses((status = 204, description = "It is gone.")))]
async fn delete_api_token(
    State(api): State<Api>,
    Path(path): Path<TokenPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let request = write.plain_options(false).request;
    let meta = api.service.delete_token(&write.caller, path.id, request).await?;
    Ok(answer::gone(meta))
}
