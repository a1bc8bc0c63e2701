//! `/users`: accounts.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::answer;
use super::body::{Nothing, Optional, Typed};
use super::guard::Who;
use super::jobs::Bare;
use super::path::{Path, UserPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::model::{Invalid, Role, Scope};
use crate::service::access::{NewUser, UserView};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(get_user, delete_user))
        .routes(routes!(set_user_role))
        .routes(routes!(set_user_password))
        .routes(routes!(revoke_user_sessions))
}

/// Users.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct UserList {
    /// By name.
    items: Vec<UserView>,
}

/// List users
#[utoipa::path(get, path = "/users", tag = "access",
    responses((status = 200, description = "All of them.", body = UserList)))]
async fn list_users(
    State(api): State<Api>,
    Who(caller): Who,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<UserList>, Problem> {
    Ok(Json(UserList { items: api.service.users(&caller).await? }))
}

/// Create a user
#[utoipa::path(post, path = "/users", tag = "access", params(KeyHeader),
    request_body(content = NewUser, description = "The user."),
    responses((status = 201, description = "The user.", body = UserView,
        headers(("Location" = String, description = "Its path.")))))]
async fn create_user(
    State(api): State<Api>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<NewUser>>,
) -> Result<Response, Problem> {
    let request = write.plain_options(false).request;
    let Typed(new) = write.body;
    let (user, meta) = api.service.create_user(&write.caller, new, request).await?;
    let path = format!("/users/{}", user.name);
    let mut response = (StatusCode::CREATED, Json(user)).into_response();
    answer::located(&mut response, &path);
    answer::mark(&mut response, meta, false);
    Ok(response)
}

/// Show a user
#[utoipa::path(get, path = "/users/{name}", tag = "access", params(UserPath),
    responses((status = 200, description = "The user.", body = UserView)))]
async fn get_user(
    State(api): State<Api>,
    Who(caller): Who,
    Path(path): Path<UserPath>,
    Query(Bare {}): Query<Bare>,
) -> Result<Json<UserView>, Problem> {
    Ok(Json(api.service.user(&caller, path.name.as_str()).await?))
}

/// Remove a user, with its tokens
#[utoipa::path(delete, path = "/users/{name}", tag = "access", params(UserPath, KeyHeader),
    responses((status = 204, description = "It is gone.")))]
async fn delete_user(
    State(api): State<Api>,
    Path(path): Path<UserPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let (caller, request) = (&write.caller, write.plain_options(false).request);
    let meta = api.service.delete_user(caller, path.name.as_str(), request).await?;
    Ok(answer::gone(meta))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RoleQuery {
    /// The role, when there is no body; it counts for all jobs then.
    role: Option<Role>,
}

/// What a user may do.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRole {
    /// What it may do.
    #[serde(default)]
    role: Option<Role>,
    /// The jobs that counts for; default: all.
    #[serde(default)]
    #[schema(required = false)]
    scope: Scope,
}

/// Change what a user may do
///
/// It counts from the next request on, on every node.
#[utoipa::path(put, path = "/users/{name}/role", tag = "access", params(UserPath, RoleQuery),
    request_body(content = Option<NewRole>, description = "The role, and the jobs it counts for."),
    responses((status = 200, description = "The user.", body = UserView)))]
async fn set_user_role(
    State(api): State<Api>,
    Path(path): Path<UserPath>,
    Query(asked): Query<RoleQuery>,
    write: Write<Optional<NewRole>>,
) -> Result<Json<UserView>, Problem> {
    let Optional(new) = write.body;
    let role = match (new.role, asked.role) {
        (Some(role), None) | (None, Some(role)) => role,
        (Some(one), Some(other)) if one == other => one,
        (Some(_), Some(_)) => {
            let detail = "is another one than in the body; give it once";
            return Err(Problem::parameter("query:role", detail));
        }
        (None, None) => {
            let detail = "is missing; give viewer, runner, operator or admin";
            return Err(Problem::invalid(vec![Invalid::new("role", detail)]));
        }
    };
    let name = path.name.as_str();
    Ok(Json(api.service.set_role(&write.caller, name, role, new.scope).await?))
}

/// A password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// 8 to 512 bytes.
    #[schema(min_length = 8, max_length = 512)]
    password: String,
}

/// Set a user's password
///
/// Every access and refresh token of the user ends.
#[utoipa::path(put, path = "/users/{name}/password", tag = "access", params(UserPath),
    request_body(content = NewPassword, description = "The new password."),
    responses((status = 204, description = "It is set.")))]
async fn set_user_password(
    State(api): State<Api>,
    Path(path): Path<UserPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<NewPassword>>,
) -> Result<StatusCode, Problem> {
    let Typed(new) = &write.body;
    let name = path.name.as_str();
    api.service.set_password(&write.caller, name, None, &new.password).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct RevokeQuery {
    /// Delete the user's API tokens too.
    #[serde(default)]
    #[param(required = false)]
    api_tokens: bool,
}

/// End every session of a user
///
/// Access and refresh tokens given so far are refused on every node.
#[utoipa::path(post, path = "/users/{name}/revoke", tag = "access",
    params(UserPath, RevokeQuery),
    responses((status = 204, description = "They have ended.")))]
async fn revoke_user_sessions(
    State(api): State<Api>,
    Path(path): Path<UserPath>,
    Query(asked): Query<RevokeQuery>,
    write: Write<Nothing>,
) -> Result<StatusCode, Problem> {
    api.service.revoke(&write.caller, path.name.as_str(), asked.api_tokens).await?;
    Ok(StatusCode::NO_CONTENT)
}
