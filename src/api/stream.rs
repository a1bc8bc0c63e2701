//! Streams of server-sent events: a bounded number of them, which end when the node stops,
//! when the client goes, and when the caller's token is no longer good.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::Api;
use super::guard::Bearer;
use super::problem::Problem;
use super::share::{Full, Taken};
use crate::service::access::{AccessSeen, Origin};
use crate::service::{Caller, Service};

/// A silent stream says that it is alive this often. Its caller is looked up again at the latest
/// then, for what ends by the clock.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// Events that wait for a slow client; then the stream waits too.
const WAITING_MAX: usize = 64;

/// A server-sent event.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "a schema, never a value")]
pub(super) struct SentEvent {
    /// What it is: the type of an event, `line`, `reset` or `end`.
    event: String,
    /// Its place, for `Last-Event-ID`.
    #[schema(nullable = false)]
    id: Option<String>,
    /// JSON as text.
    data: String,
}

/// Why a stream has nothing to wait for any more, or that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There may be something new.
    Look,
    /// It is over, for this reason.
    Over(&'static str),
    /// Nobody listens.
    Gone,
}

/// A stream under way.
pub(super) struct Live {
    /// What it reads from.
    pub service: Service,
    /// Whose it is.
    pub caller: Caller,
    bearer: String,
    /// What the caller's rights were read from, and when.
    seen: Option<(AccessSeen, Instant)>,
    /// Moves when somebody's rights may have changed.
    access: watch::Receiver<u64>,
    /// The caller's rights have changed, and the client was not told yet.
    pub(super) changed_rights: bool,
    shutdown: watch::Receiver<bool>,
    out: mpsc::Sender<Result<Event, Infallible>>,
    _place: Taken,
    _counted: crate::metrics::Stream,
}

impl Live {
    /// Sends an event; false: nobody listens.
    pub(super) async fn send(&self, event: Event) -> bool {
        tokio::select! {
            sent = self.out.send(Ok(event)) => sent.is_ok(),
            () = stopped(self.shutdown.clone()) => false,
        }
    }

    /// Waits until `changed` moves, or it is time to look at the caller again.
    pub(super) async fn wait<T>(&mut self, changed: &mut watch::Receiver<T>) -> Next {
        tokio::select! {
            moved = changed.changed() => match moved {
                Ok(()) if *self.shutdown.borrow() => Next::Over("the node is stopping"),
                Ok(()) => Next::Look,
                Err(_) => Next::Over("the node is stopping"),
            },
            () = stopped(self.shutdown.clone()) => Next::Over("the node is stopping"),
            () = self.out.closed() => Next::Gone,
            // Whoever lost what let them in learns it at once, though nothing else happens.
            moved = self.access.changed() => match moved {
                Ok(()) => Next::Look,
                Err(_) => Next::Over("the node is stopping"),
            },
            () = tokio::time::sleep(ALIVE_EVERY) => Next::Look,
        }
    }

    /// As [`Live::wait`], for what is told in two places.
    pub(super) async fn wait_either<A, B>(
        &mut self,
        one: &mut watch::Receiver<A>,
        other: &mut watch::Receiver<B>,
    ) -> Next {
        tokio::select! {
            next = self.wait(one) => next,
            moved = other.changed() => match moved {
                Ok(()) => Next::Look,
                Err(_) => Next::Over("the node is stopping"),
            },
        }
    }

    /// Whether what was just read for the caller may be shown: false, it has to be read again
    /// with the rights of now. To be asked after each reading: what was done about the caller
    /// before something happened is seen then, if that is.
    ///
    /// # Errors
    /// The stream is over, for this reason.
    pub(super) async fn still_good(&mut self) -> Result<bool, &'static str> {
        let now = self.service.access_seen();
        if let Some((seen, at)) = &self.seen
            && *seen == now
            && at.elapsed() < ALIVE_EVERY
        {
            return Ok(true);
        }
        let actor = &self.caller.actor;
        let from =
            Origin { from: actor.from.clone(), request_id: actor.request_id.clone(), trace: None };
        let caller = self.service.authenticate(&self.bearer, &from).await;
        let caller = caller.map_err(|_| "the token is no longer good")?;
        let same = (caller.role, &caller.scope) == (self.caller.role, &self.caller.scope);
        self.caller = caller;
        self.changed_rights |= !same;
        self.seen = Some((now, Instant::now()));
        Ok(same)
    }

    /// Says that the stream is over, and why.
    pub(super) async fn end(&self, reason: &str) {
        let event = Event::default().event("end").json_data(serde_json::json!({"reason": reason}));
        // A client that does not read must not hold the stop up.
        if let Ok(event) = event {
            let _ = self.out.try_send(Ok(event));
        }
    }
}

async fn stopped(mut shutdown: watch::Receiver<bool>) {
    // An error means that the sender is gone: nobody will ever say stop.
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Room for one more stream of `caller`, whatever tokens it comes with.
pub(super) fn place(api: &Api, caller: &Caller) -> Result<Taken, Problem> {
    api.streams.take(caller.user.as_str()).map_err(|full| match full {
        Full::All => {
            let most = api.options.streams_max;
            Problem::busy(format!("{most} streams are open, which is the most"))
        }
        Full::Share => {
            let user = &caller.user;
            let detail = format!("{user} has its share of the streams; some are kept for others");
            Problem::too_many(detail)
        }
    })
}

/// Answers with a stream that `feed` fills.
pub(super) fn start<F, Feed>(
    api: &Api,
    caller: Caller,
    bearer: Bearer,
    feed: F,
) -> Result<Response, Problem>
where
    F: FnOnce(Live) -> Feed,
    Feed: Future<Output = ()> + Send + 'static,
{
    let place = place(api, &caller)?;
    let (out, events) = mpsc::channel(WAITING_MAX);
    let live = Live {
        service: api.service.clone(),
        caller,
        bearer: bearer.0,
        seen: None,
        access: api.service.access_changed(),
        changed_rights: false,
        shutdown: api.options.shutdown.clone(),
        out,
        _place: place,
        _counted: api.service.counted().http.stream(),
    };
    tokio::spawn(feed(live));
    let alive = KeepAlive::new().interval(ALIVE_EVERY).text("alive");
    let mut response = Sse::new(ReceiverStream::new(events)).keep_alive(alive).into_response();
    let unbuffered = HeaderName::from_static("x-accel-buffering");
    response.headers_mut().insert(unbuffered, HeaderValue::from_static("no"));
    Ok(response)
}

/// A place written as two numbers, `index.sub` or `attempt.seq`.
pub(super) fn numbers<A: std::str::FromStr, B: std::str::FromStr>(text: &str) -> Option<(A, B)> {
    let (first, second) = text.split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(second) {
        return None;
    }
    Some((first.parse().ok()?, second.parse().ok()?))
}

/// `Last-Event-ID`, which a client sends when it comes back; it outweighs the query.
pub(super) fn last_event_id<A: std::str::FromStr, B: std::str::FromStr>(
    headers: &HeaderMap,
) -> Result<Option<(A, B)>, Problem> {
    let Some(given) = headers.get("last-event-id") else { return Ok(None) };
    let read = given.to_str().ok().and_then(numbers);
    let detail = "must be the id of an event of this stream, such as 12.0";
    read.map(Some).ok_or_else(|| Problem::header("Last-Event-ID", detail))
}
