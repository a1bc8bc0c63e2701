//! Building the request of an attempt, with every part checked and named in its error.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::percent::percent_decode;
use super::signature::sign;
use super::{Call, json_body, url};
use crate::executor::runner::spec::{Context, Spec};
use crate::executor::runner::template::Values;

/// Headers beginning so are told by the runner and can't be set by a job.
const RESERVED: &str = "x-cronapi-";

/// Headers that belong to the connection, not to the job.
const CONNECTION: [&str; 7] = [
    "connection",
    "content-length",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A shorter password in a URL is not masked: it would be found in words that are none.
const URL_SECRET_BYTES_MIN: usize = 4;

/// `params` is the JSON text of the parameters; `redirected` is where the request goes in place
/// of the job's URL.
///
/// # Errors
/// A sentence that names the part that can't be used.
pub(super) fn build(
    call: &Call<'_>,
    spec: &Spec,
    params: &str,
    redirected: Option<&Url>,
    now_seconds: i64,
) -> Result<Request, String> {
    let context = &spec.context;
    let values = Values::new(context, spec.given());
    let method = Method::from_bytes(call.method.as_bytes())
        .map_err(|_| format!("method {:?} is not a method", call.method))?;
    let mut url = url::fill(call.url, &values)?;
    let mut headers = told(context)?;
    if let Some(login) = login(&url) {
        let mut value = header_value("Authorization", &format!("Basic {login}"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(redirected) = redirected {
        url = redirected.clone();
    }
    // They are in the header, or of no account; a URL is shown here and there.
    let _ = (url.set_username(""), url.set_password(None));
    let body = match call.body {
        Some(text) => Some(json_body::fill(text, content_type(call), &values)?),
        None if matches!(method, Method::POST | Method::PUT | Method::PATCH) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Some(params.to_owned())
        }
        None => None,
    };
    for (name, text) in call.headers {
        let (name, value) = header(name, text, &values)?;
        headers.insert(name, value);
    }
    for (name, text) in &spec.filled.headers {
        let (name, mut value) = (header_name(name)?, header_value(name, text)?);
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    if let Some(key) = call.sign {
        let bytes = body.as_deref().unwrap_or_default().as_bytes();
        let signature = sign(&key.secret, now_seconds, bytes)?;
        headers.insert("x-cronapi-signature", header_value("X-CronAPI-Signature", &signature)?);
    }
    let mut request = Request::new(method, url);
    *request.headers_mut() = headers;
    *request.body_mut() = body.map(Into::into);
    Ok(request)
}

/// What `Authorization: Basic` carries for the user and the password in a URL.
fn login(url: &Url) -> Option<String> {
    let password = url.password().unwrap_or_default();
    if url.username().is_empty() && password.is_empty() {
        return None;
    }
    let both = [&percent_decode(url.username())[..], b":", &percent_decode(password)].concat();
    Some(BASE64_STANDARD.encode(both))
}

/// What must not be shown of a URL: its password, or its user where that is all there is.
pub(in super::super) fn secrets(url: &str) -> Vec<String> {
    let Ok(url) = Url::parse(url.split("{{").next().unwrap_or_default()) else {
        return Vec::new();
    };
    let secret = url.password().unwrap_or(url.username());
    let decoded = String::from_utf8_lossy(&percent_decode(secret)).into_owned();
    let both = url.password().and(login(&url));
    let all = [Some(secret.to_owned()), Some(decoded), both].into_iter().flatten();
    all.filter(|secret| secret.len() >= URL_SECRET_BYTES_MIN).collect()
}

/// The `Content-Type` that the job sets.
fn content_type<'a>(call: &Call<'a>) -> Option<&'a str> {
    let mut named =
        call.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    named.next().map(|(_, value)| value.as_str())
}

fn told(context: &Context) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let mut tell = |name: &'static str, value: &str| {
        headers.insert(HeaderName::from_static(name), header_value(name, value)?);
        Ok::<_, String>(())
    };
    tell("x-cronapi-job", &context.job)?;
    tell("x-cronapi-run-id", &context.run_id)?;
    tell("x-cronapi-attempt", &context.attempt.to_string())?;
    tell("x-cronapi-fence", &context.fence.to_string())?;
    if let Some(fence) = context.lock_fence {
        tell("x-cronapi-lock-fence", &fence.to_string())?;
    }
    if let Some(nominal_time) = &context.nominal_time {
        tell("x-cronapi-nominal-time", nominal_time)?;
    }
    if let Some(trace) = &context.traceparent {
        tell("traceparent", trace)?;
    }
    tell("idempotency-key", &format!("{}:{}", context.run_id, context.attempt))?;
    Ok(headers)
}

fn header(
    name: &str,
    text: &str,
    values: &Values<'_>,
) -> Result<(HeaderName, HeaderValue), String> {
    let parsed = header_name(name)?;
    let value = values.fill(text, &format!("header {name}"), |_, _, value| Ok(value.text()))?;
    Ok((parsed, header_value(name, &value)?))
}

fn header_name(name: &str) -> Result<HeaderName, String> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("header {name:?}: not a header name"))?;
    if parsed.as_str().starts_with(RESERVED) {
        return Err(format!("header {name}: names with X-CronAPI- are reserved"));
    }
    if CONNECTION.contains(&parsed.as_str()) {
        return Err(format!("header {name} belongs to the connection and can't be set"));
    }
    Ok(parsed)
}

/// Line ends would let a parameter add headers of its own.
fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| format!("header {name}: its value holds a line end or control character"))
}
