//! The REST interface: HTTP in front of [`Service`], and nothing else.
//!
//! Owns: routes, what requests and answers look like, statuses (`problem.rs`), the OpenAPI
//! document, limits on what a connection may cost. Does not own: what anything means
//! (`service`), nor where it listens and when it stops (`node`).
//!
//! ```text
//! serve: connection limit, TLS (certificates.rs), header timeout, graceful stop
//!   └ layers: id, time, panic ─> problem body ─> headers
//!       └ guard: Bearer ─> Caller        (all but login, health and documentation)
//!           └ handler: Path, Query, Write<Body> ─> one Service call ─> Answer | Problem
//! ```
//!
//! Invariants:
//! - Every error leaves as `application/problem+json`; only `problem.rs` names statuses.
//! - A handler behind the guard can't be reached without a [`Caller`](crate::service::Caller).
//! - A body is read up to its limit and in bounded time, or not at all.
//! - The document is made of the types that serve; `openapi.json` is held against it.
//!
//! To add an endpoint: a handler in the file of its resource, its `routes!` line there, the
//! permission in `service`; then `UPDATE_EXPECT=1 cargo test --test api document` and a
//! test. To add a problem: a row of `problem::TABLE` and a section in docs/errors.md.

mod answer;
mod apply;
mod audit;
mod backfills;
mod backup;
mod body;
mod certificates;
mod channels;
mod choices;
mod conditional;
mod definitions;
mod document;
mod doors;
mod encoding;
mod events;
mod examples;
mod explain;
mod guard;
mod head;
mod headers;
mod health;
mod history;
mod incidents;
mod index;
mod items;
mod jobs;
mod keys;
mod layers;
mod metrics;
mod monitors;
mod oidc;
mod over_time;
mod overview;
mod page_session;
mod pages;
mod path;
mod patient;
pub mod problem;
mod proxies;
mod push;
mod query;
mod reference;
mod rights;
mod run_job;
mod run_logs;
mod runs;
mod schedules;
mod search;
mod secrets;
mod server;
mod sessions;
mod shapes;
mod share;
mod sinks;
mod stream;
mod strict;
mod system;
mod tokens;
mod triggers;
mod ui;
mod users;
mod write;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware;
use tokio::sync::{Semaphore, watch};
use utoipa_axum::router::OpenApiRouter;

use self::share::Shares;
use crate::service::Service;
use crate::service::access::Oidc;

pub use self::certificates::{CertificateError, CertificateFiles, Certificates};
pub use self::document::openapi;
pub use self::proxies::Proxies;
pub use self::server::{CONNECTIONS_MAX, ServerOptions, serve, serve_with};

/// How the interface behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Time from a request's head to its answer's head.
    pub request_timeout: Duration,
    /// Time in which a body has to arrive.
    pub body_timeout: Duration,
    /// Streams (events, logs that are followed) at a time.
    pub streams_max: usize,
    /// True once the node stops: streams end.
    pub shutdown: watch::Receiver<bool>,
    /// Login by a provider; none: by password only.
    pub oidc: Option<Oidc>,
    /// Proxies whose word counts on who asks.
    pub proxies: Proxies,
    /// Browsers are told to ask over HTTPS only.
    pub https: bool,
}

impl Options {
    /// The defaults, with the signal that ends streams.
    pub fn new(shutdown: watch::Receiver<bool>) -> Self {
        Options {
            request_timeout: Duration::from_secs(90),
            body_timeout: Duration::from_secs(20),
            streams_max: 1_000,
            shutdown,
            oidc: None,
            proxies: Proxies::default(),
            https: false,
        }
    }
}

/// What handlers share.
#[derive(Clone)]
struct Api {
    service: Service,
    options: Arc<Options>,
    streams: Arc<Shares>,
    heavy: Arc<Semaphore>,
}

impl Api {
    fn new(service: Service, options: Options) -> Self {
        let streams = Shares::new(options.streams_max);
        let heavy = Arc::new(Semaphore::new(write::HEAVY_MAX));
        Api { service, options: Arc::new(options), streams, heavy }
    }
}

/// Routes that take a token.
fn guarded() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(sessions::guarded())
        .merge(jobs::routes())
        .merge(history::routes())
        .merge(explain::routes())
        .merge(overview::routes())
        .merge(over_time::routes())
        .merge(run_job::routes())
        .merge(backfills::routes())
        .merge(schedules::routes())
        .merge(apply::routes())
        .merge(runs::routes())
        .merge(run_logs::routes())
        .merge(search::routes())
        .merge(users::routes())
        .merge(tokens::routes())
        .merge(keys::routes())
        .merge(audit::routes())
        .merge(events::routes())
        .merge(definitions::routes())
        .merge(channels::routes())
        .merge(sinks::routes())
        .merge(triggers::routes())
        .merge(monitors::routes())
        .merge(incidents::routes())
        .merge(push::routes())
        .merge(system::routes())
        .merge(metrics::routes())
        .merge(backup::routes())
        .merge(secrets::routes())
}

/// Routes that anybody may ask.
fn open() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(sessions::open())
        .merge(page_session::open())
        .merge(oidc::routes())
        .merge(health::routes())
        .merge(monitors::open())
        .merge(index::routes())
}

/// The whole interface on top of `service`, under `/` and under `/v1`.
pub fn router(service: Service, options: Options) -> Router {
    let api = Api::new(service, options);
    let guard = middleware::from_fn_with_state(api.clone(), guard::guard);
    let (guarded, _) = guarded().split_for_parts();
    let (open, _) = open().split_for_parts();
    let routes =
        guarded.route_layer(guard).merge(open).merge(reference::routes()).merge(ui::routes());
    let routes = routes.method_not_allowed_fallback(layers::no_method).with_state(api.clone());
    let all = Router::new().nest("/v1", routes.clone()).merge(routes);
    layers::around(all.fallback(layers::no_route), api)
}

/// What a listener for metrics answers: them and health, to everybody who reaches it.
pub fn metrics_router(service: Service, options: Options) -> Router {
    let api = Api::new(service, options);
    let (health, _) = health::routes().split_for_parts();
    let routes = health.merge(metrics::open());
    let routes = routes.method_not_allowed_fallback(layers::no_method).with_state(api.clone());
    layers::around(routes.fallback(layers::no_route), api)
}
