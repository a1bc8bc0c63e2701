//! Redirects: which are followed, and which are the answer.
//!
//! Followed is only what sends the same request to the same place: headers and signature are
//! meant for it alone. 307 and 308 say that the request stays as it is; after 301, 302 and 303
//! clients send a GET without the body, which is another request unless it was one.

use reqwest::{Method, Response, Url};

/// Where an answer points; none: nowhere that HTTP goes.
pub(super) fn target(response: &Response) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get("location")?.to_str().ok()?;
    let target = response.url().join(location).ok()?;
    matches!(target.scheme(), "http" | "https").then_some(target)
}

/// Whether a redirect of this status keeps the request what it is.
pub(super) fn keeps(status: u16, method: &Method) -> bool {
    matches!(status, 307 | 308) || *method == Method::GET || *method == Method::HEAD
}

/// The same host and port, or its change from plain to encrypted on the usual ports.
pub(super) fn same_place(from: &Url, to: &Url) -> bool {
    let port = Url::port_or_known_default;
    let same = from.scheme() == to.scheme() && port(from) == port(to);
    let upgrade = (from.scheme(), port(from), to.scheme(), port(to))
        == ("http", Some(80), "https", Some(443));
    from.host_str() == to.host_str() && (same || upgrade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_in_the_same_place() {
        let same =
            |from: &str, to: &str| same_place(&from.parse().expect(from), &to.parse().expect(to));
        assert!(same("http://a/x", "http://a/y"));
        assert!(same("http://a/x", "http://a:80/y"));
        assert!(same("http://a/x", "https://a/y"));
        assert!(!same("https://a/x", "http://a/y"));
        assert!(!same("http://a/x", "http://b/x"));
        assert!(!same("http://a/x", "http://a:81/x"));
    }

    #[test]
    fn a_request_stays_what_it_is() {
        assert!(keeps(307, &Method::POST) && keeps(308, &Method::DELETE));
        assert!(keeps(301, &Method::GET) && keeps(303, &Method::HEAD));
        assert!(!keeps(301, &Method::POST) && !keeps(303, &Method::PUT));
    }
}
