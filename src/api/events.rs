//! `GET /events`: what happens in the cluster, as it happens.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::response::sse::Event as Sent;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::Api;
use super::choices;
use super::guard::{Bearer, Who};
use super::problem::Problem;
use super::query::Query;
use super::stream::{self, Live, Next, SentEvent};
use crate::model::{EVENT_TYPES, Event, Name, RunId};
use crate::service::{EventBatch, EventFilter, EventPlace, EventsError, LogLine, LogPosition};

/// Types in one filter.
const TYPES_MAX: usize = 64;
/// Jobs in one filter.
const JOBS_MAX: usize = 1_000;
/// Pieces of output between two looks at the events.
const LINES: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(follow_events))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Types such as `run.failed`, or families such as `run`; default: all.
    #[serde(default)]
    #[param(max_items = 64)]
    types: Vec<String>,
    /// Jobs; default: all.
    #[serde(default)]
    #[param(max_items = 1000, value_type = Vec<Name>)]
    jobs: Vec<Name>,
    /// The id of the last event seen; default: from now on.
    #[param(pattern = "^[0-9]{1,19}\\.[0-9]{1,10}$")]
    after: Option<String>,
    /// A run whose output comes in the same stream, as `output.line`; `output.end` once it is
    /// closed and all of it was sent.
    output: Option<RunId>,
    /// Its output behind this place, `attempt.seq`; default: all of it.
    #[param(pattern = "^[0-9]{1,9}\\.[0-9]{1,9}$")]
    output_after: Option<String>,
}

/// The output that a stream of events carries beside them.
struct Output {
    run: RunId,
    after: Option<LogPosition>,
}

/// Follow what happens
///
/// A stream of server-sent events in log order, the same on every node. An event's `id` is
/// its place, `index.sub`; send it as `Last-Event-ID` to go on after it, at any node. Where
/// events are kept (`CRONAPI_EVENTS_KEEP`), that also works after a restart, and for
/// as long as they are kept. `event: reset` says that some are gone: read everything anew.
/// `event: rights` says that the caller's role or scope has changed: ask /auth/me. `event: end`
/// says why the stream ends. With `output` the lines of a run come as well, without an `id`: a
/// page needs one stream only.
#[utoipa::path(get, path = "/events", tag = "events", params(
    EventsQuery,
    ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen.")
), responses(
    (status = 200, description = "The stream; `data` of each event is an Event.",
        content_type = "text/event-stream", body = SentEvent)
))]
async fn follow_events(
    State(api): State<Api>,
    Who(caller): Who,
    Extension(bearer): Extension<Bearer>,
    headers: HeaderMap,
    Query(asked): Query<EventsQuery>,
) -> Result<Response, Problem> {
    let after = match (stream::last_event_id(&headers)?, &asked.after) {
        (Some(id), _) => Some(id),
        (None, Some(text)) => Some(stream::numbers(text).ok_or_else(|| {
            Problem::parameter("query:after", "must be the id of an event, such as 12.0")
        })?),
        (None, None) => None,
    };
    if asked.types.len() > TYPES_MAX {
        let detail = format!("has over {TYPES_MAX} types");
        return Err(Problem::parameter("query:types", detail));
    }
    for kind in &asked.types {
        let mut families = EVENT_TYPES.iter().filter_map(|known| known.split('.').next());
        if !EVENT_TYPES.contains(&kind.as_str()) && !families.any(|family| family == kind) {
            return Err(Problem::parameter("query:types", choices::unknown(kind, EVENT_TYPES, "")));
        }
    }
    if asked.jobs.len() > JOBS_MAX {
        return Err(Problem::parameter("query:jobs", format!("has over {JOBS_MAX} jobs")));
    }
    let output = match (asked.output, &asked.output_after) {
        (Some(run), place) => {
            Some(Output { run, after: place.as_deref().map(position).transpose()? })
        }
        (None, Some(_)) => {
            return Err(Problem::parameter("query:output_after", "goes with output"));
        }
        (None, None) => None,
    };
    if let Some(Output { run, after }) = &output {
        // A run that is not there is told now, not within the stream.
        api.service.output(&caller, *run, *after, 1).await?;
    }
    let jobs = asked.jobs.iter().map(ToString::to_string).collect();
    let filter = EventFilter { jobs, types: asked.types };
    let after = after.unwrap_or_else(|| *api.service.events_changed().borrow());
    stream::start(&api, caller, bearer, move |live| follow(live, filter, after, output))
}

fn position(text: &str) -> Result<LogPosition, Problem> {
    let (attempt, seq) = stream::numbers(text).ok_or_else(|| {
        Problem::parameter("query:output_after", "must be the place of a line, such as 1.0")
    })?;
    Ok(LogPosition { attempt, seq })
}

async fn follow(
    mut live: Live,
    filter: EventFilter,
    mut after: (u64, u32),
    mut output: Option<Output>,
) {
    let mut changed = live.service.events_changed();
    let mut applied = live.service.changed();
    loop {
        let newest = *changed.borrow_and_update();
        applied.borrow_and_update();
        let found = live.service.events_after(&live.caller, after, &filter).await;
        match live.still_good().await {
            Ok(true) if !tell_rights(&mut live).await => return,
            Ok(true) => {}
            Ok(false) => continue,
            Err(reason) => return live.end(reason).await,
        }
        match pass_on(&live, found, &mut after, newest).await {
            Passed::All => {}
            Passed::Some => continue,
            Passed::Over(reason) => return live.end(reason).await,
            Passed::Gone => return,
        }
        let more = match &mut output {
            Some(from) => match lines(&mut live, from).await {
                Lines::Some => true,
                Lines::None => false,
                Lines::Over => {
                    output = None;
                    false
                }
                Lines::Gone => return,
            },
            None => false,
        };
        if more {
            continue;
        }
        let next = match output {
            // Output is applied without an event.
            Some(_) => live.wait_either(&mut changed, &mut applied).await,
            None => live.wait(&mut changed).await,
        };
        match next {
            Next::Look => {}
            Next::Over(reason) => return live.end(reason).await,
            Next::Gone => return,
        }
    }
}

/// Says, once, that the caller may do more or less from here on; false: nobody listens.
async fn tell_rights(live: &mut Live) -> bool {
    if !std::mem::take(&mut live.changed_rights) {
        return true;
    }
    let rights = serde_json::json!({ "role": live.caller.role });
    match Sent::default().event("rights").json_data(rights) {
        Ok(sent) => live.send(sent).await,
        Err(_) => false,
    }
}

/// What became of a look at the events.
enum Passed {
    /// All of them were sent.
    All,
    /// There are more at once.
    Some,
    /// The stream is over, for this reason.
    Over(&'static str),
    /// Nobody listens.
    Gone,
}

/// Sends what was found, and moves `after`. `newest` was there before it was looked.
async fn pass_on(
    live: &Live,
    found: Result<EventBatch, EventsError>,
    after: &mut EventPlace,
    newest: EventPlace,
) -> Passed {
    match found {
        Ok(found) => {
            for event in &found.events {
                if !send(live, event).await {
                    return Passed::Gone;
                }
            }
            *after = found.up_to;
            if found.more {
                return Passed::Some;
            }
            // What the filter left out need not be looked at again.
            *after = found.up_to.max(newest);
            Passed::All
        }
        Err(EventsError::Unreadable(error)) => {
            tracing::warn!(%error, "events that are kept can't be read");
            Passed::Over("the history can't be read; ask another node")
        }
        Err(EventsError::TooOld(_)) => {
            *after = newest;
            let reset = Sent::default().event("reset").id(format!("{}.{}", after.0, after.1));
            let text = "some events are gone; read everything anew, then follow on";
            let Ok(reset) = reset.json_data(serde_json::json!({ "reason": text })) else {
                return Passed::Gone;
            };
            if live.send(reset).await { Passed::All } else { Passed::Gone }
        }
    }
}

/// What a look at the output came to.
enum Lines {
    /// There were some: there may be more.
    Some,
    /// None for now.
    None,
    /// No more will come.
    Over,
    /// Nobody listens.
    Gone,
}

/// Sends a page of output behind what was sent.
async fn lines(live: &mut Live, output: &mut Output) -> Lines {
    let page = live.service.output(&live.caller, output.run, output.after, LINES).await;
    match live.still_good().await {
        Ok(true) => {}
        // The next round reads it again, or ends the stream.
        Ok(false) | Err(_) => return Lines::Some,
    }
    let (pieces, closed) = match page {
        Ok(page) => {
            output.after = page.next.or(output.after);
            (page.pieces, page.closed)
        }
        // Retention took the run, or the caller may not see it any more.
        Err(_) => (Vec::new(), true),
    };
    let some = !pieces.is_empty();
    for line in pieces.into_iter().map(LogLine::from) {
        let Ok(event) = Sent::default().event("output.line").json_data(&line) else {
            return Lines::Gone;
        };
        if !live.send(event).await {
            return Lines::Gone;
        }
    }
    if closed {
        let run = serde_json::json!({ "run_id": output.run });
        let Ok(event) = Sent::default().event("output.end").json_data(run) else {
            return Lines::Gone;
        };
        return if live.send(event).await { Lines::Over } else { Lines::Gone };
    }
    if some { Lines::Some } else { Lines::None }
}

async fn send(live: &Live, event: &Event) -> bool {
    let sent = Sent::default().event(&event.kind).id(format!("{}.{}", event.index, event.sub));
    match sent.json_data(event) {
        Ok(sent) => live.send(sent).await,
        Err(_) => false,
    }
}
