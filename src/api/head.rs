//! Heads of requests that are refused before anything looks at them (RFC 9112): those that two
//! programs in a row could read in two ways.

use axum::http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Request, Version};

use super::problem::Problem;

/// Bytes of a head.
pub(super) const BYTES_MAX: usize = 32 * 1024;

/// Why a head is refused. The connection ends with the answer: where the next request begins is
/// not sure.
#[derive(Clone)]
pub(super) struct Refused(pub Problem);

/// What is wrong with the head of `request`.
pub(super) fn fault<B>(request: &Request<B>) -> Option<Refused> {
    let headers = request.headers();
    let found = size(request).or_else(|| framing(headers)).or_else(|| {
        // What HTTP/2 calls the authority is a part of the target.
        let named = request.uri().authority().filter(|_| request.version() == Version::HTTP_2);
        host(headers, request.version() == Version::HTTP_11).or_else(|| other(headers, named?))
    });
    found.map(Refused)
}

fn size<B>(request: &Request<B>) -> Option<Problem> {
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, str::len);
    let each = request.headers().iter();
    let bytes = each.map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>();
    let detail = format!("a request's head has at most {BYTES_MAX} bytes");
    (target + bytes > BYTES_MAX).then(|| Problem::new("head-too-large", detail))
}

fn framing(headers: &HeaderMap) -> Option<Problem> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next()?;
    let refuse = |detail: &str| Some(Problem::header("Transfer-Encoding", detail));
    if codings.next().is_some() || !first.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return refuse("must be chunked and nothing else");
    }
    if headers.contains_key(CONTENT_LENGTH) {
        return refuse("can't be given with Content-Length");
    }
    None
}

fn host(headers: &HeaderMap, needed: bool) -> Option<Problem> {
    let refuse = |detail: &str| Some(Problem::header("Host", detail));
    let mut given = headers.get_all(HOST).iter();
    let Some(host) = given.next() else {
        return needed.then(|| Problem::header("Host", "is missing"));
    };
    if given.next().is_some() {
        return refuse("is given twice");
    }
    let good = host.to_str().is_ok_and(|text| {
        let authority = text.parse::<Authority>();
        text.is_empty() || authority.is_ok_and(|it| !it.as_str().contains('@'))
    });
    if good { None } else { refuse("is not a host, maybe with a port") }
}

/// RFC 9113, 8.3.1: both may be given, and are the same then.
fn other(headers: &HeaderMap, named: &Authority) -> Option<Problem> {
    let host = headers.get(HOST)?;
    let same = host.as_bytes().eq_ignore_ascii_case(named.as_str().as_bytes());
    (!same).then(|| Problem::header("Host", "is not the authority of the request"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = Request::get("/jobs");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        fault(&request.body(()).unwrap()).map(|Refused(problem)| problem.code())
    }

    #[test]
    fn of_http_2_the_authority_is_enough_and_a_host_is_the_same() {
        let code = |host: Option<&str>| {
            let request = Request::get("https://node:8000/jobs").version(Version::HTTP_2);
            let request = host.into_iter().fold(request, |all, host| all.header("host", host));
            fault(&request.body(()).unwrap()).map(|Refused(problem)| problem.code())
        };
        assert_eq!([code(None), code(Some("NODE:8000"))], [None, None]);
        assert_eq!(code(Some("other:8000")), Some("invalid-header"));
    }

    #[test]
    fn a_head_that_could_be_read_in_two_ways_is_refused() {
        const HOST: (&str, &str) = ("host", "node:8000");
        let long = "x".repeat(BYTES_MAX);
        let bad = Some("invalid-header");
        for (headers, wanted) in [
            (vec![HOST], None),
            (vec![], bad),
            (vec![HOST, HOST], bad),
            (vec![HOST, ("host", "other")], bad),
            (vec![("host", "[2001:db8::1]:8000")], None),
            (vec![("host", "")], None),
            (vec![("host", "a b")], bad),
            (vec![("host", "a/b")], bad),
            (vec![("host", "user@a")], bad),
            (vec![HOST, ("transfer-encoding", "chunked")], None),
            (vec![HOST, ("transfer-encoding", "Chunked")], None),
            (vec![HOST, ("transfer-encoding", "gzip, chunked")], bad),
            (vec![HOST, ("transfer-encoding", "chunked, chunked")], bad),
            (vec![HOST, ("transfer-encoding", "identity")], bad),
            (vec![HOST, ("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")], bad),
            (vec![HOST, ("transfer-encoding", "chunked"), ("content-length", "3")], bad),
            (vec![HOST, ("x-long", &long)], Some("head-too-large")),
        ] {
            assert_eq!(code(&headers), wanted, "{headers:?}");
        }
    }
}
