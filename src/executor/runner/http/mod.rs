//! The HTTP runner: one request, its response as output and result.
//!
//! **Owns** building the request (`request`, `template`, `signature`), where it may go
//! (`guard`), the connections (`client`), and saying what went wrong (`failure`). **Does
//! not own** output and stopping, which are the same as for processes.
//!
//! Time-out and cancel drop the request: its connection is closed and never used again.
//!
//! To add a field of the request: `What::Http`, `request`, and `template` if it may hold
//! placeholders; its rule in `tests/runners/http.rs`.

mod client;
mod failure;
mod guard;
mod request;
mod signature;
mod template;

use std::collections::BTreeMap;

use reqwest::{Request, Response};
use serde_json::Value;

pub(super) use self::client::Client;
pub(super) use self::guard::default_deny;

use super::Attempt;
use super::capture::Stream;
use super::outcome::{Ended, Outcome};
use super::pump::Pump;
use super::spec::HttpSign;
use super::start::{Start, ask};
use super::stop::StopSignal;

/// The HTTP part of a [`super::What`].
pub(super) struct Call<'a> {
    pub(super) method: &'a str,
    pub(super) url: &'a str,
    pub(super) headers: &'a BTreeMap<String, String>,
    pub(super) body: Option<&'a str>,
    pub(super) expect_status: &'a [(u16, u16)],
    pub(super) sign: Option<&'a HttpSign>,
}

/// # Errors
/// A sentence, when the request could not be built.
pub(super) async fn run(
    call: Call<'_>,
    attempt: Attempt<'_>,
    started: impl Start,
) -> Result<Outcome, String> {
    let Attempt { spec, params, cancel, pump, node, now_micros } = attempt;
    let client =
        node.client.get_or_init(|| Client::new(&node.http_deny)).as_ref().map_err(Clone::clone)?;
    let now_seconds = now_micros().div_euclid(1_000_000);
    let request = request::build(&call, spec, params, now_seconds)?;
    client.may_reach(request.url())?;
    ask(&started)?;
    started.begun(None);
    let mut stop = StopSignal::new(spec.timeout, cancel);
    tokio::select! {
        biased;
        outcome = exchange(client, request, &call, spec.result_max, pump) => Ok(outcome),
        reason = stop.wait() => Ok(reason.outcome(spec.timeout)),
    }
}

async fn exchange(
    client: &Client,
    request: Request,
    call: &Call<'_>,
    result_max: usize,
    pump: &mut Pump,
) -> Outcome {
    let sent_to = request.url().clone();
    let mut response = match client.send(request).await {
        Ok(response) => response,
        Err(e) => return Outcome::failed(client.explain(&e, &sent_to)),
    };
    let status = response.status();
    pump.capture.note(&format!("HTTP {status}"));
    let mut outcome = judge(&response, call.expect_status);
    outcome.http_status = Some(status.as_u16());
    match receive(&mut response, result_max, pump).await {
        Ok(result) => outcome.result = result,
        Err(e) => {
            outcome.ended = Ended::Failed;
            let why = client.explain(&e, &sent_to);
            outcome.error.get_or_insert(format!("the response broke off: {why}"));
        }
    }
    outcome
}

fn judge(response: &Response, expected: &[(u16, u16)]) -> Outcome {
    let status = response.status();
    let code = status.as_u16();
    let good = match expected {
        [] => (200..=299).contains(&code),
        ranges => ranges.iter().any(|&(from, to)| (from..=to).contains(&code)),
    };
    if good {
        return Outcome::ended(Ended::Succeeded, None);
    }
    let location = response.headers().get("location").filter(|_| status.is_redirection());
    let more = location.map_or_else(String::new, |to| {
        format!(": the redirect to {} is not followed", String::from_utf8_lossy(to.as_bytes()))
    });
    Outcome::failed(format!("HTTP status {status}{more}"))
}

/// Passes the body on as output, and returns it as well when it is JSON.
async fn receive(
    response: &mut Response,
    result_max: usize,
    pump: &mut Pump,
) -> Result<Option<Value>, reqwest::Error> {
    let mut json = is_json(response).then(Vec::new);
    loop {
        let part = tokio::select! {
            part = response.chunk() => part?,
            () = pump.step() => continue,
        };
        let Some(part) = part else { break };
        pump.capture.feed(Stream::Stdout, &part);
        if let Some(text) = &mut json
            && text.len() <= result_max
        {
            text.extend_from_slice(&part);
        }
    }
    let Some(text) = json.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.len() > result_max {
        pump.capture.note(&format!("no result: the response has more than {result_max} bytes"));
        return Ok(None);
    }
    match serde_json::from_slice(&text) {
        Ok(result) => Ok(Some(result)),
        Err(e) => {
            pump.capture.note(&format!("no result: the response is not JSON: {e}"));
            Ok(None)
        }
    }
}

/// By its content type: `application/json`, or anything that ends in `+json`.
fn is_json(response: &Response) -> bool {
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json") || kind.to_ascii_lowercase().ends_with("+json")
}
