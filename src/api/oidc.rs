//! `/auth/oidc`: login by a provider.

use axum::Json;
use axum::extract::State;
use axum::http::header::{COOKIE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::From;
use super::index;
use super::page_session;
use super::problem::Problem;
use super::query::Query;
use crate::service::access::{Issued, Oidc, Returned};

/// What carries a login from its begin to its end.
const NAME: &str = "cronapi_login";

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(begin_login)).routes(routes!(finish_login))
}

fn provider(api: &Api) -> Result<&Oidc, Problem> {
    let detail = "no login provider is set up here; log in with POST /auth/token";
    api.options.oidc.as_ref().ok_or_else(|| Problem::new("not-found", detail))
}

fn cookie(oidc: &Oidc, value: &str, seconds: u64) -> Result<HeaderValue, Problem> {
    let secure = if oidc.is_secure() { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&text).map_err(|_| Problem::internal())
}

/// Bytes of an address in the page.
const BACK_MAX: usize = 1_024;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LoginQuery {
    /// Where in the page the login ends, such as `/ui/jobs`: with the session of the page in its
    /// cookie, as `POST /auth/session` leaves it. By default it ends with tokens.
    #[param(max_length = 1024, pattern = "^/ui/")]
    return_to: Option<String>,
}

/// An address of the page, and nothing that leads elsewhere.
fn in_page(text: String) -> Result<String, Problem> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#\"<>^`{|}".contains(&byte);
    if text.starts_with("/ui/") && text.len() <= BACK_MAX && text.bytes().all(plain) {
        return Ok(text);
    }
    let detail = format!("must be an address of the page, such as /ui/jobs, of {BACK_MAX} bytes");
    Err(Problem::parameter("query:return_to", detail))
}

/// Log in at the provider
///
/// Sends the browser to the login provider, which sends it back to the address that is
/// configured as `redirect_url`. Not found where no provider is set up.
#[utoipa::path(get, path = "/auth/oidc/login", tag = "auth", params(LoginQuery),
    responses((status = 303, description = "To the provider, with a cookie for the way back.",
        headers(("Location" = String, description = "The provider's login.")))))]
async fn begin_login(
    State(api): State<Api>,
    Query(LoginQuery { return_to }): Query<LoginQuery>,
) -> Result<Response, Problem> {
    let oidc = provider(&api)?;
    let back = return_to.map(in_page).transpose()?;
    let begun = api.service.oidc_begin(oidc, back).await?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    let location = HeaderValue::from_str(&begun.location).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(LOCATION, location);
    let cookie = cookie(oidc, &begun.cookie, begun.lasts.secs())?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// What the provider adds to the address; other parameters are ignored.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReturnQuery {
    /// For tokens.
    code: Option<String>,
    /// As it was given to the provider.
    state: Option<String>,
    /// Why there is no code.
    error: Option<String>,
    /// Who says so (RFC 9207).
    iss: Option<String>,
}

/// Come back from the provider
///
/// Takes what the provider added to the address, and the cookie; gives tokens as `/auth/token`
/// does. A page that is itself the `redirect_url` passes its query on to here. A login that was
/// begun with `return_to` ends there: logged in, or with the code of the problem in `#refused=`.
#[utoipa::path(get, path = "/auth/oidc/callback", tag = "auth", params(ReturnQuery),
    responses((status = 200, description = "The tokens.", body = Issued),
        (status = 303, description = "To the page, with its session in a cookie.",
            headers(("Location" = String, description = "Where the login was begun.")))))]
async fn finish_login(
    State(api): State<Api>,
    From(origin): From,
    Query(asked): Query<ReturnQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let oidc = provider(&api)?;
    let ReturnQuery { code, state, error, iss } = asked;
    let returned = Returned { code, state, error, iss };
    let brought = brought(&headers);
    // A person whose login took too long is better off with the page than with JSON.
    let lost = index::is_browser(&headers).then(|| "/ui/".to_owned());
    let back = api.service.oidc_back(brought.as_deref(), &returned).unwrap_or(lost);
    let finished = api.service.oidc_finish(oidc, brought.as_deref(), returned, &origin).await;
    let mut response = match (finished, back) {
        (Ok(issued), Some(back)) => {
            let mut response = sent_to(&back)?;
            let session = page_session::kept_by(oidc.is_secure(), &issued)?;
            response.headers_mut().append(SET_COOKIE, session);
            response
        }
        (Err(error), Some(back)) => {
            sent_to(&format!("{back}#refused={}", Problem::from(error).code()))?
        }
        (finished, None) => Json(finished?).into_response(),
    };
    // It is good once.
    response.headers_mut().append(SET_COOKIE, cookie(oidc, "", 0)?);
    Ok(response)
}

fn sent_to(place: &str) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(place).map_err(|_| Problem::internal())?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
}

/// The cookie.
fn brought(headers: &HeaderMap) -> Option<String> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == NAME).map(|(_, value)| value.trim().to_owned())
}
