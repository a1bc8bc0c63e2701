//! Requests and answers.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::super::exit::Failure;

/// A request.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Request {
    pub(super) method: Method,
    /// With its query.
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Option<Vec<u8>>,
    /// Sending it twice does no more than once.
    pub(super) repeatable: bool,
}

impl Request {
    pub(in crate::cli) fn new(method: Method, path: impl Into<String>) -> Self {
        let repeatable = method.is_safe();
        Request { method, path: path.into(), headers: Vec::new(), body: None, repeatable }
    }

    pub(in crate::cli) fn get(path: impl Into<String>) -> Self {
        Request::new(Method::GET, path)
    }

    pub(in crate::cli) fn post(path: impl Into<String>, body: &Value) -> Self {
        Request::new(Method::POST, path).json(body)
    }

    pub(in crate::cli) fn delete(path: impl Into<String>) -> Self {
        Request::new(Method::DELETE, path)
    }

    #[must_use]
    pub(in crate::cli) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string().into_bytes())
    }

    #[must_use]
    pub(in crate::cli) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    #[must_use]
    pub(in crate::cli) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((HeaderName::from_static(name), value.into()));
        self
    }

    /// A header that the user gave.
    pub(in crate::cli) fn custom(mut self, name: &str, value: &str) -> Result<Self, Failure> {
        let known = HeaderName::from_bytes(name.as_bytes()).ok();
        match (known, HeaderValue::from_str(value)) {
            (Some(name), Ok(_)) => self.headers.push((name, value.to_owned())),
            _ => return Err(Failure::usage(format!("{name}: {value} is no header"))),
        }
        Ok(self)
    }

    /// Says that sending it twice does no more than once.
    #[must_use]
    pub(in crate::cli) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Marks a write, so that it is carried out once however often it is sent.
    pub(in crate::cli) fn once(self) -> Result<Self, Failure> {
        let failed = |error| Failure::failed(format!("the system has no random bytes: {error}"));
        let key = getrandom::u64().map_err(failed)?;
        let mut marked = self.header("idempotency-key", format!("cli-{key:016x}"));
        marked.repeatable = true;
        Ok(marked)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(in crate::cli) struct Answer {
    pub(in crate::cli) status: StatusCode,
    pub(in crate::cli) headers: HeaderMap,
    pub(in crate::cli) body: Vec<u8>,
}

impl Answer {
    pub(in crate::cli) fn json(&self) -> Result<Value, Failure> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let text = format!("the server's answer can't be understood: {error}");
            Failure::failed(text).advise("is it a CronAPI node? see --server")
        })
    }

    pub(in crate::cli) fn etag(&self) -> Option<String> {
        Some(self.headers.get("etag")?.to_str().ok()?.to_owned())
    }
}

/// A text as one step of a path, or one value of a query.
pub(in crate::cli) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut made, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                made.push(char::from(byte));
            }
            _ => made.push_str(&format!("%{byte:02X}")),
        }
        made
    })
}

/// A path with a query of what is there.
pub(in crate::cli) fn with_query(path: &str, query: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> = query
        .iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", escaped(value.as_deref()?))))
        .collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}
