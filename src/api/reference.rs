//! The documentation that a node serves: the OpenAPI document, Swagger UI, the problems.

use std::io::Write;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use utoipa_swagger_ui::Config;

use super::Api;
use super::encoding::takes;
use super::path::Path;
use super::problem::Problem;

/// Explains every problem; its headings are the codes.
const PROBLEMS: &str = include_str!("../../docs/errors.md");
/// Swagger UI writes styles into its page.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; \
                           style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                           font-src 'self'; frame-ancestors 'none'";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(|| async { Redirect::to("/docs/") }))
        .route("/docs/", get(|| async { page("") }))
        .route("/docs/{*rest}", get(file))
        .route("/problems", get(|| async { markdown(PROBLEMS) }))
        .route("/problems/{code}", get(explain))
}

/// The document as it is sent, made when it is first asked for.
struct Document {
    text: Bytes,
    /// A tenth of it.
    packed: Option<Bytes>,
    tag: String,
}

impl Document {
    fn make() -> Self {
        let text = Bytes::from(super::openapi());
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        let packed = packer.write_all(&text).and_then(|()| packer.finish()).ok().map(Bytes::from);
        let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(&text), text.len());
        Self { text, packed, tag }
    }
}

async fn document(asked: HeaderMap) -> Response {
    static MADE: OnceLock<Document> = OnceLock::new();
    let made = MADE.get_or_init(Document::make);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&made.tag) {
        headers.insert(ETAG, tag);
    }
    if asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == made.tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    match made.packed.clone().filter(|_| takes(&asked, "gzip")) {
        Some(packed) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            (headers, packed).into_response()
        }
        None => (headers, made.text.clone()).into_response(),
    }
}

#[derive(Deserialize)]
struct FilePath {
    rest: String,
}

async fn file(Path(path): Path<FilePath>) -> Response {
    page(&path.rest)
}

fn page(path: &str) -> Response {
    static CONFIG: OnceLock<Arc<Config<'static>>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| Arc::new(Config::from("/openapi.json")));
    let file = match utoipa_swagger_ui::serve(path, Arc::clone(config)) {
        Ok(Some(file)) => file,
        Ok(None) => return Problem::new("no-route", "there is no such page").into_response(),
        Err(error) => {
            tracing::error!(%error, "a page of the documentation can't be served");
            return Problem::internal().into_response();
        }
    };
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    if file.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    (headers, file.bytes).into_response()
}

#[derive(Deserialize)]
struct CodePath {
    code: String,
}

async fn explain(Path(path): Path<CodePath>) -> Response {
    match section(&path.code) {
        Some(text) => markdown(text),
        None => {
            Problem::new("not-found", "there is no such problem; see /problems").into_response()
        }
    }
}

/// The section of the documentation about a code.
fn section(code: &str) -> Option<&'static str> {
    let heading = format!("\n## {code}\n");
    let start = PROBLEMS.find(&heading)? + 1;
    let length = PROBLEMS[start + 3..].find("\n## ").map(|end| end + 4);
    Some(length.map_or(&PROBLEMS[start..], |length| &PROBLEMS[start..start + length]))
}

fn markdown(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response()
}
