//! `/ui/`: the page. Its files are in the program; it uses the REST interface and nothing else.

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    LOCATION, VARY,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cronapi_ui::{File, MISSING, file};

use super::Api;
use super::encoding::takes;
use super::problem::Problem;

/// Nothing from elsewhere, no script that is not a file of ours, nothing that frames the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data:; font-src 'self'; connect-src 'self'; \
                      manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";
/// Names of these files change with what they hold.
const NAMED_BY_CONTENT: &str = "assets/";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/ui", get(|| async { redirect("/ui/") }))
        .route("/ui/", get(|headers: HeaderMap| async move { page(&headers) }))
        .route("/ui/{*path}", get(serve))
}

/// A browser is sent from here to there.
pub(super) fn redirect(to: &'static str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static(to))]).into_response()
}

/// A file; else, for an address that the page itself understands, the page.
async fn serve(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match file(&path) {
        Some(_) if path == "index.html" => redirect("/ui/"),
        Some(found) => send(found, &headers),
        // A file of an older build that is gone must not come back as a page.
        None if path.starts_with(NAMED_BY_CONTENT) => {
            Problem::new("no-route", "there is no such file; load the page again").into_response()
        }
        None => page(&headers),
    }
}

fn page(headers: &HeaderMap) -> Response {
    match file("index.html") {
        Some(found) => send(found, headers),
        None => without(MISSING.unwrap_or("it was not built")),
    }
}

/// Why there is no page, and what to do.
fn without(why: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>CronAPI</title>\
         <h1>This build has no page</h1><p>It has none because {why}.</p><p>The REST interface \
         works: <a href=\"/docs\">/docs</a>. For the page, build again where Node.js 20.19 or \
         newer is on the PATH (<code>CRONAPI_UI=require cargo build --release</code> says what is \
         missing), or use the image, which has it.</p></html>"
    );
    let headers = [(CONTENT_TYPE, "text/html; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    (headers, text).into_response()
}

fn send(file: &File, asked: &HeaderMap) -> Response {
    let forever = file.path.starts_with(NAMED_BY_CONTENT);
    // Short, and different when the file is.
    let tag = format!("\"{:08x}-{:x}\"", crc32fast::hash(file.bytes), file.bytes.len());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind(file.path)));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let keep = if forever { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    let known = asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    if known {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    match file.brotli.filter(|_| takes(asked, "br")) {
        Some(packed) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("br"));
            (headers, packed).into_response()
        }
        None => (headers, file.bytes).into_response(),
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
