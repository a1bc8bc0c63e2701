//! A request with a JSON document, and what its answer means.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, StatusCode, Url};
use serde::Serialize;

use super::Fault;
use super::call::Call;
use crate::executor::runner::{Answer, post};
use crate::model::limits::DELIVERY_ANSWER_BYTES_MAX;

/// Characters of an answer that are told.
const ANSWER_LEN_MAX: usize = 200;

/// A document as bytes.
///
/// # Errors
/// None in practice: what is written are texts and numbers.
pub(super) fn document(of: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(of).map_err(|e| Fault::lasting(format!("the document can't be made: {e}")))
}

/// A header.
///
/// # Errors
/// When its value can't stand in one. The value is not told: it may be a secret.
pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Fault> {
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
    parsed.ok_or_else(|| {
        Fault::lasting(format!("header {name}: its value holds a line end or control character"))
    })
}

/// Sends a document.
///
/// # Errors
/// When it was not taken.
pub(super) async fn send(
    call: &Call<'_>,
    url: &str,
    headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    body: Vec<u8>,
) -> Result<String, Fault> {
    let url =
        Url::parse(url.trim()).map_err(|e| Fault::lasting(format!("the URL is none: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Fault::lasting("the URL must begin with https:// or http://"));
    }
    let mut request = Request::new(Method::POST, url);
    *request.headers_mut() = HeaderMap::from_iter(headers);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(body.into());
    let now = call.clock.now().secs();
    judge(post(call.env, request, DELIVERY_ANSWER_BYTES_MAX, now).await?)
}

/// What an answer means.
fn judge(answer: Answer) -> Result<String, Fault> {
    let Answer { status, body, retry_after } = answer;
    let said: String = body.trim().chars().take(ANSWER_LEN_MAX).collect();
    let said = if said.is_empty() { said } else { format!(": {said}") };
    if status.is_success() {
        return Ok(format!("HTTP {status}"));
    }
    if status.is_redirection() {
        return Err(Fault::lasting(format!(
            "HTTP {status}: a redirect is not followed; give the address that it leads to"
        )));
    }
    let passing = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    Err(Fault { retry: passing, after: retry_after, detail: format!("HTTP {status}{said}") })
}
