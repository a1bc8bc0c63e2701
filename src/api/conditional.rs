//! Conditional requests: a definition's ETag is its version in quotes.

use axum::http::header::{ETAG, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::problem::Problem;

/// Entity tags in one header.
const TAGS_MAX: usize = 64;
/// No definition has this version: a tag that is not ours matches nothing.
const NEVER: u64 = 0;

/// Versions that a header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// There is no such header.
    None,
    /// `*`: any version.
    Any,
    /// One of these.
    Versions(Vec<u64>),
}

impl Condition {
    /// `If-Match`: compared strongly, so that weak tags never match.
    pub(super) fn if_match(headers: &HeaderMap) -> Result<Self, Problem> {
        read(headers, &IF_MATCH, "If-Match", false)
    }

    /// `If-None-Match`: compared weakly.
    pub(super) fn if_none_match(headers: &HeaderMap) -> Result<Self, Problem> {
        read(headers, &IF_NONE_MATCH, "If-None-Match", true)
    }

    /// Whether a definition of this version is meant.
    pub(super) fn names(&self, version: u64) -> bool {
        match self {
            Condition::None => false,
            Condition::Any => true,
            Condition::Versions(versions) => versions.contains(&version),
        }
    }
}

fn read(
    headers: &HeaderMap,
    name: &HeaderName,
    shown: &str,
    weak: bool,
) -> Result<Condition, Problem> {
    let mut versions = Vec::new();
    let mut any = false;
    for value in headers.get_all(name) {
        let text = value.to_str().map_err(|_| Problem::header(shown, "is not plain text"))?;
        for item in text.split(',').map(str::trim) {
            if item == "*" {
                any = true;
                continue;
            }
            let (is_weak, tag) = match item.strip_prefix("W/") {
                Some(tag) => (true, tag),
                None => (false, item),
            };
            let inner = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let Some(inner) = inner.filter(|inner| !inner.contains('"')) else {
                let detail = "must be * or ETags as they were given, quotes included: \"7\"";
                return Err(Problem::header(shown, detail));
            };
            let ours = inner.parse().ok().filter(|_| weak || !is_weak);
            versions.push(ours.filter(|v: &u64| v.to_string() == inner).unwrap_or(NEVER));
        }
    }
    match (any, versions.is_empty()) {
        (true, true) => Ok(Condition::Any),
        (true, false) => Err(Problem::header(shown, "is * and ETags; give one of the two")),
        (false, true) => Ok(Condition::None),
        (false, false) if versions.len() > TAGS_MAX => {
            Err(Problem::header(shown, format!("has over {TAGS_MAX} ETags")))
        }
        (false, false) => Ok(Condition::Versions(versions)),
    }
}

/// The ETag header of a version.
pub(super) fn etag(version: u64) -> (HeaderName, HeaderValue) {
    let quoted = HeaderValue::from_str(&format!("\"{version}\""));
    (ETAG, quoted.unwrap_or(HeaderValue::from_static("\"0\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &'static str) -> Result<Condition, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_static(text));
        Condition::if_match(&headers)
    }

    #[test]
    fn tags_are_read_as_they_were_given() {
        assert_eq!(given("\"7\"").unwrap(), Condition::Versions(vec![7]));
        assert_eq!(given("\"7\", \"8\"").unwrap(), Condition::Versions(vec![7, 8]));
        assert_eq!(given("*").unwrap(), Condition::Any);
        assert_eq!(Condition::if_match(&HeaderMap::new()).unwrap(), Condition::None);
        for never in ["W/\"7\"", "\"abc\"", "\"07\"", "\"-1\"", "\"\""] {
            assert_eq!(given(never).unwrap(), Condition::Versions(vec![0]), "{never}");
        }
        for bad in ["7", "\"7", "x", "", "*, \"7\"", "\"7\" \"8\"", "w/\"7\""] {
            assert_eq!(given(bad).unwrap_err().code(), "invalid-header", "{bad}");
        }
    }
}
