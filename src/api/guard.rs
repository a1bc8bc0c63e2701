//! Who asks: `Authorization: Bearer …` becomes a [`Caller`], and denials are noted.

use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::problem::Problem;
use super::rights;
use crate::service::access::Origin;
use crate::service::{Caller, Error, Ground, Target};

/// The token a request came with, for streams, which outlive one check of it.
#[derive(Clone)]
pub(super) struct Bearer(pub String);

/// Lets only known callers in.
pub(super) async fn guard(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let origin = request.extensions().get::<Origin>().cloned().unwrap_or_default();
    let what = format!("{} {}", request.method(), request.uri().path());
    let ground = match freshness(&request) {
        Fresh::Read => api.service.catch_up().await.map(|()| Ground::Confirmed),
        Fresh::Write => api.service.ground().await,
        // It is about this node, or says itself what it does not know.
        Fresh::No => Ok(Ground::Confirmed),
    };
    let ground = match ground {
        Ok(ground) => ground,
        Err(late) => return Problem::from(late).into_response(),
    };
    let known = match bearer(request.headers()) {
        Ok(token) => known(&api, token, &origin).await.map(|c| (c, token.to_owned())),
        Err(refused) => Err(refused),
    };
    let (caller, token) = match known {
        Ok(known) => known,
        Err(refused) => {
            // A request without any token is a beginner's mistake, not an attempt.
            if request.headers().contains_key(AUTHORIZATION) {
                api.service.denied(&origin, None, "unauthenticated", &what);
            }
            return Problem::from(refused).into_response();
        }
    };
    request.extensions_mut().insert(caller.clone());
    request.extensions_mut().insert(Bearer(token));
    let response = match may_try(&caller, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => Problem::from(refused).into_response(),
    };
    if rests_on_state(&response)
        && let Err(late) = api.service.stands(ground).await
    {
        return Problem::from(late).into_response();
    }
    if response.status() == StatusCode::FORBIDDEN {
        api.service.denied(&origin, Some(&caller), "forbidden", &what);
    }
    response
}

/// A part of the answer was refused by what this node knew, though its status does not say so.
#[derive(Clone, Copy)]
pub(super) struct PartlyRefused;

/// Whether an answer refuses by what this node knows, so that a leader that was cut off may be
/// wrong. Every handler's answer comes by here: none has to think of it.
fn rests_on_state(response: &Response) -> bool {
    let extensions = response.extensions();
    let refused = extensions.get::<Problem>().is_some_and(Problem::rests_on_state);
    refused || extensions.get::<PartlyRefused>().is_some()
}

/// Whether the caller could do what is asked, whatever the body says.
fn may_try(caller: &Caller, request: &Request) -> Result<(), Error> {
    let route = request.extensions().get::<MatchedPath>().map_or("", |path| path.as_str());
    match rights::needed(request.method(), route) {
        Some(action) => caller.permit(action, Target::Cluster).map(drop),
        None => Ok(()),
    }
}

/// The caller that a token stands for. It is refused only by a node that has caught up: what was
/// given out on one node is good at once on every other.
async fn known(api: &Api, token: &str, origin: &Origin) -> Result<Caller, Error> {
    match api.service.authenticate(token, origin).await {
        Err(Error::Unauthenticated(_)) => {
            api.service.catch_up().await?;
            api.service.authenticate(token, origin).await
        }
        done => done,
    }
}

/// Node-local knowledge of who may do what is taken for fresh for this long.
const KNOWN_FRESH_FOR: Duration = Duration::from_millis(50);

/// Asks again once a body has come, `waited` after its head: it may come late, and what was
/// revoked meanwhile opens nothing.
pub(super) async fn judge_again(
    api: &Api,
    parts: &Parts,
    waited: Duration,
) -> Result<Caller, Problem> {
    let origin = parts.extensions.get::<Origin>().cloned().unwrap_or_default();
    let Bearer(token) = parts.extensions.get::<Bearer>().ok_or_else(Problem::internal)?;
    if waited > KNOWN_FRESH_FOR {
        api.service.ground().await?;
    }
    let known = known(api, token, &origin).await;
    if known.is_err() {
        let what = format!("{} {}", parts.method, parts.uri.path());
        api.service.denied(&origin, None, "unauthenticated", &what);
    }
    Ok(known?)
}

/// Whether a request waits for what was committed before it.
enum Fresh {
    /// It shows it, or what would be.
    Read,
    /// It is judged by it: who may do what.
    Write,
    /// It is about this node, which must answer when nobody leads, or says otherwise itself.
    No,
}

fn freshness(request: &Request) -> Fresh {
    let uri = request.uri();
    let has = |part| uri.query().unwrap_or_default().split('&').any(|p| p == part);
    let path = uri.path().strip_prefix("/v1").unwrap_or(uri.path());
    let own = ["/system/", "/cluster/", "/metrics"].iter().any(|own| path.starts_with(own));
    let writes = !request.method().is_safe() && !path.ends_with("/preview") && !has("dry_run=true");
    match writes {
        true => Fresh::Write,
        false if request.method().is_safe() && (has("consistency=local") || own) => Fresh::No,
        false => Fresh::Read,
    }
}

pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Error> {
    let refuse = |why: &str| Error::Unauthenticated(why.to_owned());
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let given = all.next().ok_or_else(|| {
        refuse("a token is needed: POST /auth/token, then Authorization: Bearer <access_token>")
    })?;
    if all.next().is_some() {
        return Err(refuse("Authorization is given twice"));
    }
    let text = given.to_str().map_err(|_| refuse("Authorization is not plain text"))?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(refuse("Authorization must be: Bearer <token>"));
    }
    Ok(token.trim())
}

/// The caller, behind the guard.
pub(super) struct Who(pub Caller);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().map(Who).ok_or_else(Problem::internal)
    }
}

/// Where the request comes from.
pub(super) struct From(pub Origin);

impl<S: Sync> FromRequestParts<S> for From {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(From(parts.extensions.get::<Origin>().cloned().unwrap_or_default()))
    }
}
