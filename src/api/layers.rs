//! What lies around every handler: the request's id, its time, panics, and the writing of
//! headers and problem bodies.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;
use tracing::field::Empty;

use super::Api;
use super::head::Refused;
use super::problem::Problem;
use super::server::{Aside, Peer};
use crate::model::TraceParent;
use crate::service::access::Origin;
use crate::trace;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const VERSION: HeaderName = HeaderName::from_static("x-cronapi-version");
/// Index of the log that an answer shows.
pub(super) const INDEX: HeaderName = HeaderName::from_static("x-cronapi-index");
/// A browser that was here over HTTPS comes so for a year.
const HTTPS_FOR: &str = "max-age=31536000";
/// A caller's own request id, in characters.
const ID_LEN_MAX: usize = 64;

/// Puts the layers around all routes.
pub(super) fn around(routes: Router, api: Api) -> Router {
    routes.layer(middleware::from_fn_with_state(api, outermost))
}

async fn outermost(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let (method, route) = (method_of(request.method()), route_of(&request));
    let id = request_id(request.headers());
    let from = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let from = from.map(|peer| api.options.proxies.client(peer, request.headers()).to_string());
    let request_id = Some(id.clone());
    let span = tracing::info_span!(
        "request",
        request_id = %id,
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.response.status_code = Empty,
        otel.status_code = Empty,
    );
    let trace = trace_of(request.headers());
    trace::under(&span, trace.as_ref());
    let trace = trace::place(&span, trace);
    request.extensions_mut().insert(Origin { from, request_id, trace });
    // Without its query, which may hold what is nobody's business; and a key is its path.
    let keyed = route.contains("/ping/");
    let path = if keyed { route.clone() } else { request.uri().path().to_owned() };
    let handled = answer(request, next).instrument(span.clone());
    let handled = AssertUnwindSafe(handled).catch_unwind();
    let answer = match tokio::time::timeout(api.options.request_timeout, handled).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            let panic = text_of(&*panic);
            span.in_scope(|| tracing::error!(panic, "a handler panicked"));
            Problem::internal().into_response()
        }
        Err(_) => Problem::too_slow().into_response(),
    };
    let mut answer = with_problem_body(answer, &id);
    let headers = answer.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.entry(INDEX).or_insert_with(|| HeaderValue::from(api.service.index()));
    decorate(headers, api.options.https);
    let (status, took) = (answer.status().as_u16(), began.elapsed());
    api.service.counted().http.answered(method, &route, status, took);
    span.record("http.response.status_code", status);
    if answer.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    span.in_scope(|| {
        let took_ms = took.as_millis() as u64;
        tracing::debug!(target: "cronapi::access", method, path, status, took_ms, "answered");
    });
    answer
}

/// Passes a request on that may be answered.
async fn answer(request: Request, next: Next) -> Response {
    if let Some(Refused(problem)) = request.extensions().get::<Refused>() {
        return problem.clone().into_response();
    }
    if request.extensions().get::<Aside>().is_some() && !is_about_health(request.uri().path()) {
        let detail = "your address has as many connections as it gets; end some of them";
        return Problem::too_many(detail).into_response();
    }
    next.run(request).await
}

fn is_about_health(path: &str) -> bool {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    matches!(path, "/livez" | "/readyz" | "/healthz" | "/health")
}

/// The trace that a request says it belongs to; two say nothing.
fn trace_of(headers: &HeaderMap) -> Option<TraceParent> {
    let mut all = headers.get_all("traceparent").iter();
    let only = all.next().filter(|_| all.next().is_none())?;
    TraceParent::parse(only.to_str().ok()?)
}

/// The method as a label: what a client makes up is not one.
fn method_of(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The route as a label, the same under `/v1`: never the path that was asked for.
fn route_of(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    let path = matched.map_or("none", |path| path.as_str());
    path.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(path).to_owned()
}

/// An error answer as a problem, whoever made it.
fn with_problem_body(answer: Response, id: &str) -> Response {
    let status = answer.status();
    if !status.is_client_error() && !status.is_server_error() {
        return answer;
    }
    let known = answer.extensions().get::<Problem>().cloned();
    let mut problem = known.unwrap_or_else(|| Problem::of_status(status));
    problem.keep(answer.headers());
    problem.render(id)
}

fn decorate(headers: &mut HeaderMap, https: bool) {
    let plain = [
        (VERSION, env!("CARGO_PKG_VERSION")),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    if https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_FOR));
    }
    for (name, value) in plain {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The caller's own id when it is harmless, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        (1..=ID_LEN_MAX).contains(&id.len()) && id.bytes().all(plain)
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(harmless);
    given.map_or_else(new_id, str::to_owned)
}

/// An id that no other request has: random for the process, then counted.
fn new_id() -> String {
    static START: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let start = START.get_or_init(|| {
        let mut bytes = [0; 8];
        // Without random numbers the count alone tells requests of one process apart.
        let _ = getrandom::fill(&mut bytes);
        u64::from_le_bytes(bytes)
    });
    format!("{start:016x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}

/// No route has this path.
pub(super) async fn no_route(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new("no-route", format!("there is nothing under {path}; see /openapi.json"))
}

/// The route has no such method; what it has stands in `Allow`.
pub(super) async fn no_method(request: Request) -> Problem {
    let method = request.method();
    Problem::new("method-not-allowed", format!("this path does not take {method}; see Allow"))
}
