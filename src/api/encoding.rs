//! Which codings of a body a client reads.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT_ENCODING;

/// Whether the client names the coding, and does not say `q=0` of it (RFC 9110, 12.5.3).
pub(super) fn takes(asked: &HeaderMap, coding: &str) -> bool {
    let all = asked.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.trim_end_matches(['0', '.']).is_empty())
        });
        named && !refused
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn brotli(value: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
        takes(&headers, "br")
    }

    #[test]
    fn a_coding_goes_to_those_who_read_it() {
        assert!(brotli("gzip, deflate, br") && brotli("BR;q=0.5") && brotli("br"));
        assert!(!brotli("gzip") && !brotli("br;q=0, gzip") && !brotli("br;q=0.0"));
        assert!(!brotli("brotli") && !takes(&HeaderMap::new(), "br"));
    }
}
