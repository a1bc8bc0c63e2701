//! The HTTP runner: one request, its response as output and result.
//!
//! **Owns** building the request (`request`, `url`, `json_body`, `signature`), where it may go
//! (`guard`, `redirect`), the connections (`client`), reading the answer (`unpack`,
//! `retry_after`), and saying what went wrong (`failure`). **Does not own** output and stopping,
//! which are the same as for processes. `outward` lends the same connections and the same guard to
//! what tells people of runs.
//!
//! Every request has a connection of its own: one that was used before may be closed by the
//! server at any moment, and whether a request that was on its way then was acted on is unknown.
//! Time-out and cancel drop the request, and close its connection.
//!
//! To add a field of the request: `What::Http`, `request`, and the check of templates in
//! `model/runner` if it may hold placeholders; its rule in `tests/runners/http.rs`.

mod client;
mod failure;
mod guard;
mod json_body;
mod outward;
mod percent;
mod redirect;
mod request;
mod retry_after;
mod signature;
mod unpack;
mod url;

use std::collections::BTreeMap;

use reqwest::{Request, Response, StatusCode, Url};
use serde_json::Value;

pub(super) use self::client::Client;
pub(super) use self::guard::default_deny;
pub use self::outward::{Answer, addresses, post};
pub(super) use self::request::secrets;
pub use self::signature::sign;
use self::unpack::{SLICE, Unpack};

use super::Attempt;
use super::limits::REDIRECTS_MAX;
use super::outcome::{Ended, Outcome};
use super::pump::Pump;
use super::spec::{HttpSign, Spec};
use super::start::{Start, ask};
use super::stop::StopSignal;
use crate::model::LogStream;
use crate::model::integers::{Unread, read_json};

/// The HTTP part of a [`super::What`].
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: &'a BTreeMap<String, String>,
    pub(super) body: Option<&'a str>,
    pub(super) expect_status: &'a [(u16, u16)],
    pub(super) sign: Option<&'a HttpSign>,
}

impl Call<'_> {
    fn expects(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        self.expect_status.iter().any(|&(from, to)| (from..=to).contains(&code))
    }
}

/// What a request is made of, once and again after a redirect.
struct Order<'a> {
    call: &'a Call<'a>,
    spec: &'a Spec,
    params: &'a str,
    now_micros: fn() -> i64,
}

impl Order<'_> {
    /// The request, signed now.
    fn request(&self, redirected: Option<&Url>) -> Result<Request, String> {
        request::build(self.call, self.spec, self.params, redirected, self.now_seconds())
    }

    fn now_seconds(&self) -> i64 {
        (self.now_micros)().div_euclid(1_000_000)
    }
}

/// # Errors
/// A sentence, when the request could not be built.
pub(super) async fn run(
    call: Call<'_>,
    attempt: Attempt<'_>,
    started: impl Start,
) -> Result<Outcome, String> {
    let params = attempt.given();
    let Attempt { spec, cancel, pump, node, now_micros, .. } = attempt;
    let client = node.client.get_or_init(|| Client::new(&node.http_deny, &node.http_allow));
    let client = client.as_ref().map_err(Clone::clone)?;
    let order = Order { call: &call, spec, params, now_micros };
    let request = order.request(None)?;
    client.may_reach(request.url())?;
    ask(&started)?;
    started.begun(None);
    let mut stop = StopSignal::new(spec.timeout, cancel);
    tokio::select! {
        biased;
        outcome = exchange(client, request, &order, pump) => {
            Ok(outcome.unwrap_or_else(Outcome::failed))
        }
        reason = stop.wait() => Ok(reason.outcome(spec.timeout)),
    }
}

/// # Errors
/// A sentence, when there is no answer.
async fn exchange(
    client: &Client,
    request: Request,
    order: &Order<'_>,
    pump: &mut Pump,
) -> Result<Outcome, String> {
    let sent_to = request.url().clone();
    let mut response = answer(client, request, order, pump).await?;
    let status = response.status();
    pump.capture.note(&format!("HTTP {status}"));
    let mut outcome = judge(&response, order.call);
    outcome.http_status = Some(status.as_u16());
    if outcome.ended == Ended::Failed {
        outcome.retry_after = retry_after::wait(response.headers(), order.now_seconds());
    }
    match receive(&mut response, order.spec.result_max, pump).await {
        Ok(result) => outcome.result = result,
        Err(broken) => {
            outcome.ended = Ended::Failed;
            let why = match broken {
                Broken::Connection(e) => client.explain(&e, &sent_to),
                Broken::Packed(e) => format!("it can't be unpacked: {e}"),
            };
            outcome.error.get_or_insert(format!("the response broke off: {why}"));
        }
    }
    Ok(outcome)
}

/// Sends the request, and again where a redirect leads it.
async fn answer(
    client: &Client,
    mut request: Request,
    order: &Order<'_>,
    pump: &mut Pump,
) -> Result<Response, String> {
    let first = request.url().clone();
    for hops in 0.. {
        let (method, sent_to) = (request.method().clone(), request.url().clone());
        let response = client.send(request).await.map_err(|e| client.explain(&e, &sent_to))?;
        let status = response.status();
        let Some(to) = redirect::target(&response).filter(|_| !order.call.expects(status)) else {
            return Ok(response);
        };
        client.may_reach(&to)?;
        if !redirect::same_place(&first, &to) || !redirect::keeps(status.as_u16(), &method) {
            return Ok(response);
        }
        if hops == REDIRECTS_MAX {
            break;
        }
        pump.capture.note(&format!("HTTP {status}, followed"));
        request = order.request(Some(&to))?;
    }
    let place = failure::place(&first);
    Err(format!("{place}: more than {REDIRECTS_MAX} redirects"))
}

fn judge(response: &Response, call: &Call<'_>) -> Outcome {
    let status = response.status();
    if call.expects(status) || (call.expect_status.is_empty() && status.is_success()) {
        return Outcome::ended(Ended::Succeeded, None);
    }
    let location = response.headers().get("location").filter(|_| status.is_redirection());
    let more = location.map_or_else(String::new, |to| {
        let to = String::from_utf8_lossy(to.as_bytes());
        let near =
            redirect::target(response).is_some_and(|to| redirect::same_place(response.url(), &to));
        match call.method {
            method if near && !matches!(method, "GET" | "HEAD") => format!(
                ": the redirect to {to} is not followed: after this status a {method} would \
                 become a GET without its body"
            ),
            _ => format!(": the redirect to {to} is not followed"),
        }
    });
    Outcome::failed(format!("HTTP status {status}{more}"))
}

/// Why the answer ended before its end.
enum Broken {
    Connection(reqwest::Error),
    Packed(std::io::Error),
}

/// Passes the body on as output, and returns it as well when it is JSON.
async fn receive(
    response: &mut Response,
    result_max: usize,
    pump: &mut Pump,
) -> Result<Option<Value>, Broken> {
    let mut json = is_json(response).then(Vec::new);
    let mut unpack = Unpack::of(response).unwrap_or_else(|encoding| {
        pump.capture.note(&format!("the response is packed as {encoding:?}, which is not read"));
        json = None;
        Unpack::Plain
    });
    let mut take = |pump: &mut Pump, text: &[u8]| {
        pump.capture.feed(LogStream::Stdout, text);
        if let Some(kept) = &mut json
            && kept.len() <= result_max
        {
            kept.extend_from_slice(&text[..text.len().min(result_max + 1)]);
        }
    };
    let mut any = false;
    loop {
        let part = tokio::select! {
            part = response.chunk() => part.map_err(Broken::Connection)?,
            () = pump.step() => continue,
        };
        let Some(part) = part else { break };
        if matches!(unpack, Unpack::Plain) {
            take(pump, &part);
            continue;
        }
        for slice in part.chunks(SLICE) {
            any = true;
            take(pump, &unpack.feed(slice).map_err(Broken::Packed)?);
            // A little may become a lot: others have their turn in between.
            tokio::task::yield_now().await;
        }
    }
    if any {
        take(pump, &unpack.finish().map_err(Broken::Packed)?);
    }
    let Some(text) = json.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.len() > result_max {
        pump.capture.note(&format!("no result: the response has more than {result_max} bytes"));
        return Ok(None);
    }
    match read_json(&text) {
        Ok(result) => Ok(Some(result)),
        Err(Unread::NotJson(e)) => {
            pump.capture.note(&format!("no result: the response is not JSON: {e}"));
            Ok(None)
        }
        Err(Unread::Wide(wide)) => {
            pump.capture.note(&format!("no result: in the response, {wide}"));
            Ok(None)
        }
    }
}

/// By its content type.
fn is_json(response: &Response) -> bool {
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    kind.is_some_and(json_body::is_json)
}
