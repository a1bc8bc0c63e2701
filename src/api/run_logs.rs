//! `/runs/{id}/logs`: captured output: a page, the whole as text, or followed as it comes.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::guard::{Bearer, Who};
use super::path::{Path, RunPath};
use super::problem::Problem;
use super::query::Query;
use super::stream::{self, Live, Next, SentEvent};
use crate::model::RunId;
use crate::model::limits::PAGE_MAX;
use crate::service::{Caller, LogLine, LogPage, LogPosition, Service};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(get_run_logs))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OutputQuery {
    /// Pieces at most; default: 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before, or the id of an event: `attempt.seq`.
    #[param(pattern = "^[0-9]{1,9}\\.[0-9]{1,9}$")]
    cursor: Option<String>,
    /// Answer with server-sent events, until the run has ended.
    #[serde(default)]
    #[param(required = false)]
    follow: bool,
}

/// A part of the output of a run.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RunOutput {
    /// In order.
    items: Vec<LogLine>,
    /// For what follows; null: nothing was ever written, or this was the end of it.
    #[schema(required)]
    next_cursor: Option<String>,
    /// The run is closed and this is the end of its output.
    closed: bool,
}

fn position(text: &str) -> Option<LogPosition> {
    let (attempt, seq) = stream::numbers(text)?;
    Some(LogPosition { attempt, seq })
}

/// Show or follow the output of a run
///
/// JSON in pages; the whole with `Accept: text/plain`, byte for byte as it was written; with
/// `follow=true` server-sent events: `data` is a LogLine, `id` its place for `Last-Event-ID`, and
/// `event: end` comes after the last.
#[utoipa::path(get, path = "/runs/{id}/logs", tag = "runs", params(RunPath, OutputQuery,
    ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen.")
), responses((status = 200, description = "The output.", content(
    (RunOutput = "application/json"),
    (String = "text/plain"),
    (SentEvent = "text/event-stream")
))))]
async fn get_run_logs(
    State(api): State<Api>,
    Who(caller): Who,
    Extension(bearer): Extension<Bearer>,
    headers: HeaderMap,
    Path(path): Path<RunPath>,
    Query(asked): Query<OutputQuery>,
) -> Result<Response, Problem> {
    let id = path.id;
    let limit = asked.limit.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::parameter("query:limit", format!("must be from 1 to {PAGE_MAX}")));
    }
    let after = match (stream::last_event_id(&headers)?, &asked.cursor) {
        (Some((attempt, seq)), _) => Some(LogPosition { attempt, seq }),
        (None, Some(text)) => Some(position(text).ok_or_else(|| {
            Problem::parameter("query:cursor", "must be next_cursor as it was given")
        })?),
        (None, None) => None,
    };
    // A run that is not there is told now, not within the stream.
    let first = api.service.output(&caller, id, after, limit).await?;
    if asked.follow {
        return stream::start(&api, caller, bearer, move |live| follow(live, id, after));
    }
    if wants_text(&headers) {
        return Ok(text(api.service.clone(), caller, id, first));
    }
    let next = first.next.filter(|_| !first.closed);
    let next_cursor = next.map(|place| format!("{}.{}", place.attempt, place.seq));
    let items = first.pieces.into_iter().map(LogLine::from).collect();
    Ok(Json(RunOutput { items, next_cursor, closed: first.closed }).into_response())
}

fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or("").trim());
    kinds.next() == Some("text/plain")
}

/// The output there is now, page after page, as the client takes it.
fn text(service: Service, caller: Caller, id: RunId, first: LogPage) -> Response {
    let (out, pieces) = mpsc::channel::<Result<Bytes, Infallible>>(2);
    tokio::spawn(async move {
        let mut page = first;
        loop {
            let bytes: Vec<u8> =
                page.pieces.iter().flat_map(|piece| &piece.bytes).copied().collect();
            let sent = bytes.is_empty() || out.send(Ok(Bytes::from(bytes))).await.is_ok();
            if page.closed || page.pieces.is_empty() || !sent {
                return;
            }
            match service.output(&caller, id, page.next, PAGE_MAX).await {
                Ok(next) => page = next,
                Err(_) => return,
            }
        }
    });
    let mut response = Body::from_stream(ReceiverStream::new(pieces)).into_response();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

async fn follow(mut live: Live, id: RunId, mut after: Option<LogPosition>) {
    let mut changed = live.service.changed();
    loop {
        changed.borrow_and_update();
        let page = live.service.output(&live.caller, id, after, PAGE_MAX).await;
        match live.still_good().await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(reason) => return live.end(reason).await,
        }
        let Ok(page) = page else {
            return live.end("the run can't be read any more").await;
        };
        let none = page.pieces.is_empty();
        for line in page.pieces.into_iter().map(LogLine::from) {
            let event = Event::default().id(format!("{}.{}", line.attempt, line.seq));
            let Ok(event) = event.event("line").json_data(&line) else { return };
            if !live.send(event).await {
                return;
            }
        }
        after = page.next.or(after);
        if page.closed {
            return live.end("the run has ended").await;
        }
        if !none {
            continue;
        }
        match live.wait(&mut changed).await {
            Next::Look => {}
            Next::Over(reason) => return live.end(reason).await,
            Next::Gone => return,
        }
    }
}
