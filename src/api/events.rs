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
use crate::model::{EVENT_TYPES, Event, Name};
use crate::service::EventFilter;

/// Types in one filter.
const TYPES_MAX: usize = 64;
/// Jobs in one filter.
const JOBS_MAX: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(follow_events))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Types such as `run.failed`, or families such as `run`; all unless told.
    #[serde(default)]
    #[param(max_items = 64)]
    types: Vec<String>,
    /// Jobs; all unless told.
    #[serde(default)]
    #[param(max_items = 1000, value_type = Vec<Name>)]
    jobs: Vec<Name>,
    /// The id of the last event seen; from now on unless told.
    #[param(pattern = "^[0-9]{1,19}\\.[0-9]{1,10}$")]
    after: Option<String>,
}

/// Follow what happens
///
/// A stream of server-sent events in log order, the same on every node. An event's `id` is
/// its place, `index.sub`; send it as `Last-Event-ID` to go on after it. `event: reset`
/// says that some are gone: read everything anew. `event: end` says why the stream ends.
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
    let jobs = asked.jobs.iter().map(ToString::to_string).collect();
    let filter = EventFilter { jobs, types: asked.types };
    let after = after.unwrap_or_else(|| *api.service.events_changed().borrow());
    stream::start(&api, caller, bearer, move |live| follow(live, filter, after))
}

async fn follow(mut live: Live, filter: EventFilter, mut after: (u64, u32)) {
    let mut changed = live.service.events_changed();
    loop {
        let newest = *changed.borrow_and_update();
        let found = live.service.events_since(&live.caller, after.0, after.1, &filter);
        match live.still_good().await {
            Ok(true) => {}
            Ok(false) => continue,
            Err(reason) => return live.end(reason).await,
        }
        match found {
            Ok(events) => {
                for event in events {
                    after = (event.index, event.sub);
                    if !send(&live, &event).await {
                        return;
                    }
                }
                // What the filter left out need not be looked at again.
                after = after.max(newest);
            }
            Err(_) => {
                after = newest;
                let reset = Sent::default().event("reset").id(format!("{}.{}", after.0, after.1));
                let text = "some events are gone; read everything anew, then follow on";
                let Ok(reset) = reset.json_data(serde_json::json!({ "reason": text })) else {
                    return;
                };
                if !live.send(reset).await {
                    return;
                }
            }
        }
        match live.wait(&mut changed).await {
            Next::Look => {}
            Next::Over(reason) => return live.end(reason).await,
            Next::Gone => return,
        }
    }
}

async fn send(live: &Live, event: &Event) -> bool {
    let sent = Sent::default().event(&event.kind).id(format!("{}.{}", event.index, event.sub));
    match sent.json_data(event) {
        Ok(sent) => live.send(sent).await,
        Err(_) => false,
    }
}
