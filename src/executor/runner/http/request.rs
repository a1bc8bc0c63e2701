//! Building the request of an attempt, with every part checked and named in its error.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::Call;
use super::signature::sign;
use super::template::{Values, percent_encode};
use crate::executor::runner::spec::{Context, Spec};

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

/// `params` is the JSON text of the parameters.
///
/// # Errors
/// A sentence that names the part that can't be used.
pub(super) fn build(
    call: &Call<'_>,
    spec: &Spec,
    params: &str,
    now_seconds: i64,
) -> Result<Request, String> {
    let context = &spec.context;
    let values = Values { context, params: &spec.params };
    let method = Method::from_bytes(call.method.as_bytes())
        .map_err(|_| format!("method {:?} is not a method", call.method))?;
    let url = url(call.url, &values)?;
    let mut headers = told(context)?;
    let body = match call.body {
        Some(text) => Some(values.fill(text, "the body", |value| value)?),
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

/// Placeholders are for the path and the query: a parameter must not choose the host.
fn url(text: &str, values: &Values<'_>) -> Result<Url, String> {
    let host_end = text
        .find("://")
        .and_then(|at| text[at + 3..].find(['/', '?', '#']).map(|end| at + 3 + end))
        .unwrap_or(text.len());
    let (host, path) = text.split_at(host_end);
    if host.contains("{{") {
        return Err("the URL: placeholders are allowed after the host only".to_owned());
    }
    let filled = format!("{host}{}", values.fill(path, "the URL", percent_encode)?);
    let url = Url::parse(&filled).map_err(|e| format!("URL {filled:?} can't be used: {e}"))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("the URL's scheme is {other}; it must be http or https")),
    }
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
    let value = values.fill(text, &format!("header {name}"), |value| value)?;
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
