//! `/monitors/{name}/…` beside what the kit has, and `/ping/{key}`: paths as scripts have them that
//! were made for healthchecks.io, so that only the host in them changes.

use axum::Json;
use axum::body::Body;
use axum::extract::{FromRequest, OriginalUri, Request, State};
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::Api;
use super::answer;
use super::body::Nothing;
use super::guard::{From, Who};
use super::jobs::{Bare, DryRun};
use super::pages;
use super::path::{MonitorPath, Path, PingActionPath, PingPath};
use super::problem::Problem;
use super::query::Query;
use super::write::{KeyHeader, Write};
use crate::model::PingKind;
use crate::model::limits::{PING_AGENT_LEN_MAX, PING_BODY_BYTES_MAX};
use crate::service::{DefinitionView, Error, NewPingPath, Ping, PingView};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list_pings))
        .routes(routes!(pause_monitor))
        .routes(routes!(resume_monitor))
        .routes(routes!(rotate_monitor_key))
}

pub(super) fn open() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(send_ping, post_ping))
        .routes(routes!(send_signal, post_signal))
}

/// A page of pings.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "for the document; pages are made by pages::page")]
struct PingPage {
    /// Newest first.
    items: Vec<PingView>,
    /// For the next page; left out on the last.
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PingsQuery {
    /// Items, at most; default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List the pings of a monitor
///
/// The last hundred, newest first; what came along with the last ten.
#[utoipa::path(get, path = "/monitors/{name}/pings", tag = "alerts",
    params(MonitorPath, PingsQuery),
    responses((status = 200, description = "A page of pings.", body = PingPage)))]
async fn list_pings(
    State(api): State<Api>,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<MonitorPath>,
    Query(asked): Query<PingsQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    Ok(pages::page(&uri, api.service.monitor_pings(&caller, &path.name, paging).await?))
}

/// Pause a monitor
///
/// Nobody is told of silence. The next ping resumes it.
#[utoipa::path(post, path = "/monitors/{name}/pause", tag = "alerts",
    params(MonitorPath, DryRun, KeyHeader),
    responses((status = 200, description = "The monitor, as it is now.",
        body = serde_json::Value)))]
async fn pause_monitor(
    State(api): State<Api>,
    Path(path): Path<MonitorPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    set(&api, &path, &asked, &write, true).await
}

/// Resume a monitor
///
/// It waits for its first ping again.
#[utoipa::path(post, path = "/monitors/{name}/resume", tag = "alerts",
    params(MonitorPath, DryRun, KeyHeader),
    responses((status = 200, description = "The monitor, as it is now.",
        body = serde_json::Value)))]
async fn resume_monitor(
    State(api): State<Api>,
    Path(path): Path<MonitorPath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    set(&api, &path, &asked, &write, false).await
}

async fn set(
    api: &Api,
    path: &MonitorPath,
    asked: &DryRun,
    write: &Write<Nothing>,
    paused: bool,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let written = api.service.pause_monitor(&write.caller, &path.name, paused, options).await?;
    Ok(answer::written::<DefinitionView>(StatusCode::OK, &written, asked.dry_run))
}

/// Give a monitor another key
///
/// It is told once, here. Pings with the key before are refused from now on.
#[utoipa::path(post, path = "/monitors/{name}/key", tag = "alerts", params(MonitorPath),
    responses((status = 200, description = "Where its pings go.", body = NewPingPath)))]
async fn rotate_monitor_key(
    State(api): State<Api>,
    Path(path): Path<MonitorPath>,
    Query(Bare {}): Query<Bare>,
    write: Write<Nothing>,
) -> Result<Json<NewPingPath>, Problem> {
    Ok(Json(api.service.rotate_monitor_key(&write.caller, &path.name).await?))
}

/// What a ping may ask; what others send besides is not looked at.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct PingQuery {
    /// Which run of the work it is of: a UUID that the start and the end have in common.
    #[param(nullable = false, format = Uuid)]
    rid: Option<String>,
}

/// The beginning of a body, whatever its type. What is past it is read, within reason, and left
/// out: whoever sends the whole output of a job shall not fail for that.
struct Beginning(Vec<u8>);

/// Bytes that are read, at most.
const READ_MAX: usize = 256 * 1024;

impl FromRequest<Api> for Beginning {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let patience = api.options.body_timeout;
        match tokio::time::timeout(patience, beginning(request.into_body())).await {
            Ok(read) => read.map(Beginning),
            Err(_) => {
                let detail = format!("the body did not arrive within {} s", patience.as_secs());
                Err(Problem::new("slow-request", detail))
            }
        }
    }
}

async fn beginning(mut body: Body) -> Result<Vec<u8>, Problem> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new("malformed-request", "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        read += data.len();
        let room = PING_BODY_BYTES_MAX - kept.len();
        kept.extend_from_slice(&data[..data.len().min(room)]);
        if read >= READ_MAX {
            break;
        }
    }
    Ok(kept)
}

/// Say that the work is done
///
/// No token is needed: the key in the path says whose work it is. The answer comes once the ping is
/// in the log.
#[utoipa::path(get, path = "/ping/{key}", tag = "pings", params(PingPath, PingQuery),
    responses((status = 200, description = "It was taken.", body = String,
        content_type = "text/plain")))]
async fn send_ping(
    state: State<Api>,
    from: From,
    path: Path<PingPath>,
    query: Query<PingQuery>,
    request: Request,
) -> Result<Response, Problem> {
    taken(state, from, &path.0.key, "", query, request).await
}

/// Say that the work is done, and what it wrote
///
/// Up to 10,000 bytes of the body are kept, of whatever type.
#[utoipa::path(post, path = "/ping/{key}", tag = "pings", params(PingPath, PingQuery),
    responses((status = 200, description = "It was taken.", body = String,
        content_type = "text/plain")))]
async fn post_ping(
    state: State<Api>,
    from: From,
    path: Path<PingPath>,
    query: Query<PingQuery>,
    request: Request,
) -> Result<Response, Problem> {
    taken(state, from, &path.0.key, "", query, request).await
}

/// Say how the work is doing
///
/// `start`: it begins. `fail`: it failed. `log`: something to keep. A number is its exit status: 0
/// is done, others are failures.
#[utoipa::path(get, path = "/ping/{key}/{action}", tag = "pings",
    params(PingActionPath, PingQuery),
    responses((status = 200, description = "It was taken.", body = String,
        content_type = "text/plain")))]
async fn send_signal(
    state: State<Api>,
    from: From,
    path: Path<PingActionPath>,
    query: Query<PingQuery>,
    request: Request,
) -> Result<Response, Problem> {
    taken(state, from, &path.0.key, &path.0.action, query, request).await
}

/// Say how the work is doing, and what it wrote
///
/// `start`: it begins. `fail`: it failed. `log`: something to keep. A number is its exit status: 0
/// is done, others are failures. Up to 10,000 bytes of the body are kept, of whatever type.
#[utoipa::path(post, path = "/ping/{key}/{action}", tag = "pings",
    params(PingActionPath, PingQuery),
    responses((status = 200, description = "It was taken.", body = String,
        content_type = "text/plain")))]
async fn post_signal(
    state: State<Api>,
    from: From,
    path: Path<PingActionPath>,
    query: Query<PingQuery>,
    request: Request,
) -> Result<Response, Problem> {
    taken(state, from, &path.0.key, &path.0.action, query, request).await
}

const LIMIT: HeaderName = HeaderName::from_static("ping-body-limit");

async fn taken(
    State(api): State<Api>,
    From(origin): From,
    key: &str,
    action: &str,
    Query(asked): Query<PingQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let (kind, exit_code) = said(action)?;
    let unknown = || Error::NotFound { what: "monitor".into(), name: "with that key".into() };
    let key = Uuid::try_parse(key).map_err(|_| unknown())?;
    let rid = asked.rid.as_deref().map(Uuid::try_parse).transpose();
    let rid = rid.map_err(|_| Problem::parameter("query:rid", "must be a UUID"))?;
    let agent = request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let agent = agent.map(|agent| agent.chars().take(PING_AGENT_LEN_MAX).collect());
    let method = request.method().to_string();
    let Beginning(body) = Beginning::from_request(request, &api).await?;
    let ping = Ping { kind, exit_code, rid, method, from: None, agent, body };
    api.service.ping(key, ping, &origin).await?;
    let mut response = "OK".into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(LIMIT, HeaderValue::from(PING_BODY_BYTES_MAX));
    Ok(response)
}

/// What the last part of the path says.
fn said(action: &str) -> Result<(PingKind, Option<u8>), Problem> {
    match action {
        "" => Ok((PingKind::Success, None)),
        "start" => Ok((PingKind::Start, None)),
        "fail" => Ok((PingKind::Fail, None)),
        "log" => Ok((PingKind::Log, None)),
        status => match status.parse::<u8>() {
            Ok(0) => Ok((PingKind::Success, Some(0))),
            Ok(code) => Ok((PingKind::Fail, Some(code))),
            Err(_) => {
                let detail = "must be start, fail, log, or an exit status from 0 to 255";
                Err(Problem::parameter("path:action", detail))
            }
        },
    }
}
