//! `/auth`: login, and what a session can do about itself.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::body::{self, FromBody, Nothing, Typed};
use super::guard::{From, Who};
use super::jobs::Bare;
use super::problem::Problem;
use super::query::{self, Query, Source};
use super::strict;
use super::write::Write;
use crate::model::{Name, Role, Scope, Timestamp};
use crate::service::access::{Issued, Origin};

/// Bytes of a login, at most.
const LOGIN_BYTES_MAX: usize = 16 * 1024;

pub(super) fn open() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(issue_token))
        .routes(routes!(login))
        .routes(routes!(refresh_session))
}

pub(super) fn guarded() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(logout))
        .routes(routes!(get_me))
        .routes(routes!(change_password))
}

/// A login, as OAuth2 writes it (RFC 6749, section 4.3.2). Other fields are ignored.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub(super) struct Login {
    /// `password`, or `refresh_token`; default: `password`.
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false, pattern = "^(password|refresh_token)$")]
    grant_type: Option<String>,
    /// The user.
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    username: Option<String>,
    /// The password.
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false, format = Password)]
    password: Option<String>,
    /// With `refresh_token`: the refresh token.
    #[serde(deserialize_with = "present")]
    #[schema(nullable = false)]
    refresh_token: Option<String>,
}

/// A form has no null, so JSON has none here either.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    String::deserialize(from).map(Some)
}

/// A form or JSON.
pub(super) struct Credentials(pub(super) Login);

impl FromRequest<Api> for Credentials {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        read_login(request, api).await.map(Credentials).map_err(Problem::for_oauth)
    }
}

async fn read_login(request: Request, api: &Api) -> Result<Login, Problem> {
    let (parts, body) = request.into_parts();
    let patience = api.options.body_timeout;
    let bytes = body::collect(&parts.headers, body, LOGIN_BYTES_MAX, patience).await?;
    if body::media_type(&parts.headers)? == "application/x-www-form-urlencoded" {
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Problem::new("malformed-request", "the form is not UTF-8"))?;
        return query::read(text, Source::Form);
    }
    body::check_type(&parts.headers, &[])?;
    Typed::read(Some(strict::parse(&bytes)?)).map(|Typed(login)| login)
}

fn needed<'a>(field: &str, given: Option<&'a String>) -> Result<&'a str, Problem> {
    let missing = || Problem::parameter(format!("/{field}"), "is missing");
    given.map(String::as_str).ok_or_else(missing)
}

/// Get a token
///
/// The OAuth2 password form; `/auth/login` is the same, and each takes a form or JSON. Send what
/// comes back as `Authorization: Bearer <access_token>`. Logins are throttled per user and
/// address.
#[utoipa::path(post, path = "/auth/token", tag = "auth",
    request_body(content = Login, content_type = "application/x-www-form-urlencoded",
        description = "The credentials."),
    responses((status = 200, description = "The tokens.", body = Issued)))]
async fn issue_token(
    State(api): State<Api>,
    From(origin): From,
    Query(Bare {}): Query<Bare>,
    Credentials(login): Credentials,
) -> Result<Json<Issued>, Problem> {
    enter(&api, &origin, &login).await.map(Json).map_err(Problem::for_oauth)
}

/// Log in
///
/// What `/auth/token` does for OAuth2 clients, for those that speak JSON.
#[utoipa::path(post, path = "/auth/login", tag = "auth",
    request_body(content = Login, description = "The credentials."),
    responses((status = 200, description = "The tokens.", body = Issued)))]
async fn login(
    State(api): State<Api>,
    From(origin): From,
    Query(Bare {}): Query<Bare>,
    Credentials(login): Credentials,
) -> Result<Json<Issued>, Problem> {
    enter(&api, &origin, &login).await.map(Json).map_err(Problem::for_oauth)
}

pub(super) async fn enter(api: &Api, origin: &Origin, login: &Login) -> Result<Issued, Problem> {
    match login.grant_type.as_deref() {
        None | Some("password") => {
            let user = needed("username", login.username.as_ref())?;
            let password = needed("password", login.password.as_ref())?;
            Ok(api.service.login(user, password, origin).await?)
        }
        Some("refresh_token") => {
            let token = needed("refresh_token", login.refresh_token.as_ref())?;
            Ok(api.service.refresh(token, false, origin).await?)
        }
        Some(_) => Err(Problem::parameter("/grant_type", "must be password or refresh_token")),
    }
}

/// A refresh token.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "a schema, never a value")]
struct Refresh {
    /// As a login gave it.
    refresh_token: String,
}

/// Get new tokens for a refresh token
#[utoipa::path(post, path = "/auth/refresh", tag = "auth",
    request_body(content = Refresh, description = "The refresh token. A form is taken too."),
    responses((status = 200, description = "The tokens.", body = Issued)))]
async fn refresh_session(
    State(api): State<Api>,
    From(origin): From,
    Query(Bare {}): Query<Bare>,
    Credentials(login): Credentials,
) -> Result<Json<Issued>, Problem> {
    let token = needed("refresh_token", login.refresh_token.as_ref());
    let token = token.map_err(Problem::for_oauth)?;
    let issued = api.service.refresh(token, false, &origin).await;
    issued.map(Json).map_err(|error| Problem::from(error).for_oauth())
}

/// Log out
///
/// Every access and refresh token of the user ends, on every node.
#[utoipa::path(post, path = "/auth/logout", tag = "auth",
    responses((status = 204, description = "They have ended.")))]
async fn logout(
    State(api): State<Api>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<StatusCode, Problem> {
    api.service.logout(&write.caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Me {
    /// The account.
    user: Name,
    /// What it may do now; with an API token, what both may.
    role: Role,
    /// The jobs that counts for; empty: all.
    scope: Scope,
    /// When the token ends; null: not by itself.
    #[schema(required)]
    expires_at: Option<Timestamp>,
    /// The API token in use; null: a login.
    #[schema(required)]
    token_id: Option<uuid::Uuid>,
}

/// Show who is asking
#[utoipa::path(get, path = "/auth/me", tag = "auth",
    responses((status = 200, description = "The caller.", body = Me)))]
async fn get_me(Who(caller): Who, Query(Bare {}): Query<Bare>) -> Result<Json<Me>, Problem> {
    Ok(Json(Me {
        user: caller.user,
        role: caller.role,
        scope: caller.scope,
        expires_at: caller.expires_at,
        token_id: caller.via_token,
    }))
}

/// The old and the new password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// The present password.
    old_password: String,
    /// The new one, 8 to 512 bytes.
    #[schema(min_length = 8, max_length = 512)]
    new_password: String,
}

/// Change the own password
///
/// Every access and refresh token of the user ends, this one too.
#[utoipa::path(put, path = "/auth/password", tag = "auth",
    request_body(content = PasswordChange, description = "The old and the new password."),
    responses((status = 204, description = "It is changed.")))]
async fn change_password(
    State(api): State<Api>,
    Query(Bare {}): Query<Bare>,
    write: Write<Typed<PasswordChange>>,
) -> Result<StatusCode, Problem> {
    let (caller, Typed(change)) = (&write.caller, &write.body);
    let (old, new) = (change.old_password.as_str(), change.new_password.as_str());
    api.service.set_password(caller, caller.user.as_str(), Some(old), new).await?;
    Ok(StatusCode::NO_CONTENT)
}
