//! `/auth/session`: a login for the page, whose scripts never hold what renews it.
//!
//! The refresh token goes into a cookie that scripts can't read (`HttpOnly`) and that no other
//! site's request carries (`SameSite=Strict`), for this path alone. A request here has to have the
//! header `X-CronAPI-Page` as well: another site can't send it without asking first (CORS), and is
//! never allowed to. The access token is in the answer, for the memory of the tab; every other
//! path takes it as `Authorization: Bearer`, and no cookie. docs/security.md says why.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::From;
use super::jobs::Bare;
use super::problem::Problem;
use super::query::Query;
use super::sessions::{Credentials, Login, enter};
use crate::model::Role;
use crate::service::access::Issued;

const HEADER: &str = "x-cronapi-page";
const NAME: &str = "cronapi_session";
const PATH: &str = "/auth/session";

pub(super) fn open() -> OpenApiRouter<Api> {
    let routes = routes!(create_page_session, refresh_page_session, delete_page_session);
    OpenApiRouter::new().routes(routes)
}

/// Proof that a page of this origin asks.
struct OfPage;

impl<S: Sync> FromRequestParts<S> for OfPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.headers.get(HEADER) {
            Some(value) if value == "1" => Ok(OfPage),
            _ => Err(Problem::header(
                "X-CronAPI-Page",
                "must be 1: this path is for the page; programs use /auth/token",
            )),
        }
    }
}

/// The page's access token. What renews it is in a cookie.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PageToken {
    /// For `Authorization: Bearer`.
    access_token: String,
    /// Always `bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// The role of the user now.
    role: Role,
}

/// Log the page in
///
/// As `/auth/token`, but the refresh token is kept in a cookie that scripts can't read.
#[utoipa::path(post, path = "/auth/session", tag = "auth", params(
    ("X-CronAPI-Page" = String, Header, description = "Always 1.")),
    request_body(content = Login, content_type = "application/x-www-form-urlencoded",
        description = "The credentials."),
    responses((status = 200, description = "The access token.", body = PageToken)))]
async fn create_page_session(
    State(api): State<Api>,
    From(origin): From,
    _: OfPage,
    Query(Bare {}): Query<Bare>,
    Credentials(login): Credentials,
) -> Result<Response, Problem> {
    answer(&api, enter(&api, &origin, &login).await?)
}

/// Get a new access token for the page
#[utoipa::path(put, path = "/auth/session", tag = "auth", params(
    ("X-CronAPI-Page" = String, Header, description = "Always 1.")),
    responses((status = 200, description = "The access token.", body = PageToken),
        (status = 204, description = "Nobody is logged in here.")))]
async fn refresh_page_session(
    State(api): State<Api>,
    From(origin): From,
    _: OfPage,
    Query(Bare {}): Query<Bare>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(token) = kept(&headers) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    answer(&api, api.service.refresh(token, true, &origin).await?)
}

/// Forget the page's login
///
/// Takes the cookie away. `/auth/logout` ends the sessions themselves.
#[utoipa::path(delete, path = "/auth/session", tag = "auth", params(
    ("X-CronAPI-Page" = String, Header, description = "Always 1.")),
    responses((status = 204, description = "The cookie is gone.")))]
async fn delete_page_session(
    State(api): State<Api>,
    _: OfPage,
    Query(Bare {}): Query<Bare>,
) -> Result<Response, Problem> {
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(api.options.https, "", 0)?)]).into_response())
}

/// The cookie of a session that begins elsewhere.
pub(super) fn kept_by(secure: bool, issued: &Issued) -> Result<HeaderValue, Problem> {
    cookie(secure, &issued.refresh_token, issued.refresh_expires_in)
}

fn answer(api: &Api, issued: Issued) -> Result<Response, Problem> {
    let cookie = kept_by(api.options.https, &issued)?;
    let token = PageToken {
        access_token: issued.access_token,
        token_type: "bearer",
        expires_in: issued.expires_in,
        role: issued.role,
    };
    Ok(([(SET_COOKIE, cookie)], Json(token)).into_response())
}

/// RFC 6265; `Secure` where the node itself speaks TLS.
fn cookie(secure: bool, value: &str, max_age: u64) -> Result<HeaderValue, Problem> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!(
        "{NAME}={value}; Path={PATH}; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"
    );
    HeaderValue::from_str(&text).map_err(|_| Problem::internal())
}

/// The refresh token that came with the cookie.
fn kept(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    pairs
        .flat_map(|pairs| pairs.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == NAME && !value.is_empty()).then_some(value))
}
