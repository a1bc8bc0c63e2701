//! The URL of a request: where values may stand in it, and where they may not lead.

use reqwest::Url;

use super::percent::percent_decode;
use crate::executor::runner::template::Values;
use crate::model::template::{Found, ends, percent_encode};

/// Percent-encoding within percent-encoding that is looked through.
const DECODED_MAX: usize = 4;

/// Fills the URL in. Placeholders are for the path and the query: a parameter must not choose
/// the host, nor climb out of the path that the job names.
///
/// # Errors
/// A sentence; it shows nothing of the URL that may be a secret.
pub(super) fn fill(text: &str, values: &Values<'_>) -> Result<Url, String> {
    let host_end = text
        .find("://")
        .and_then(|at| text[at + 3..].find(['/', '?', '#', '\\']).map(|end| at + 3 + end))
        .unwrap_or(text.len());
    let (host, rest) = text.split_at(host_end);
    if host.contains("{{") {
        return Err("the URL: placeholders are allowed after the host only".to_owned());
    }
    let (path, query) = rest.split_at(ends(rest, &['?', '#']));
    let path = fill_path(path, values)?;
    let encode = |_: &str, _: &str, value: Found<'_>| Ok(percent_encode(&value.text()));
    let query = values.fill_encoded(query, "the URL", encode)?;
    let filled = format!("{host}{path}{query}");
    let url = Url::parse(&filled).map_err(|e| match filled.contains('@') {
        true => format!("the URL can't be used: {e}"),
        false => format!("URL {filled:?} can't be used: {e}"),
    })?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => Err(format!("the URL's scheme is {other}; it must be http or https")),
    }
}

/// Each value becomes a part of one step of the path, and no step that has a value goes up.
fn fill_path(mut path: &str, values: &Values<'_>) -> Result<String, String> {
    let mut filled = String::with_capacity(path.len());
    while !path.is_empty() {
        let (step, rest) = path.split_at(ends(path, &['/', '\\']));
        let insert = |_: &str, name: &str, value: Found<'_>| {
            let text = value.text();
            if climbs(&text) {
                Err(refusal(&format!("{{{{{name}}}}}")))
            } else {
                Ok(percent_encode(&text))
            }
        };
        let made = values.fill_encoded(step, "the URL", insert)?;
        if step.contains("{{") && is_dots(&percent_decode(&made)) {
            return Err(format!("the URL: {}", refusal(step)));
        }
        filled.push_str(&made);
        let (separator, rest) = rest.split_at(rest.len().min(1));
        filled.push_str(separator);
        path = rest;
    }
    Ok(filled)
}

fn refusal(step: &str) -> String {
    format!("{step} would make a step of the path . or .., which leads elsewhere")
}

/// Whether a server that decodes once more than it should, or takes a backslash for a slash,
/// would see a step of this value go up.
fn climbs(value: &str) -> bool {
    let mut seen = value.as_bytes().to_vec();
    for _ in 0..DECODED_MAX {
        let decoded = percent_decode(&String::from_utf8_lossy(&seen));
        if decoded == seen {
            break;
        }
        seen = decoded;
    }
    let steps: Vec<&[u8]> = seen.split(|byte| matches!(byte, b'/' | b'\\')).collect();
    let hidden = steps.len() > 1 || seen != value.as_bytes();
    hidden && steps.into_iter().any(is_dots)
}

fn is_dots(step: &[u8]) -> bool {
    matches!(step, b"." | b"..")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::executor::runner::spec::Context;

    fn filled(url: &str, t: &str) -> Result<String, String> {
        let params = json!({ "t": t, "dot": "." });
        let context = Context::default();
        fill(url, &Values::new(&context, &params)).map(|url| url.to_string())
    }

    #[test]
    fn a_value_is_part_of_one_step() {
        let at = |t: &str| filled("http://a/x/{{params.t}}/y?q={{params.t}}", t).expect(t);
        assert_eq!(at("b"), "http://a/x/b/y?q=b");
        assert_eq!(at("a/b?c#d"), "http://a/x/a%2Fb%3Fc%23d/y?q=a%2Fb%3Fc%23d");
        assert_eq!(at("50%"), "http://a/x/50%25/y?q=50%25");
        assert_eq!(at("v1..2"), "http://a/x/v1..2/y?q=v1..2");
        assert_eq!(at("..."), "http://a/x/.../y?q=...");
        assert_eq!(filled("http://a/f{{params.t}}txt", "."), Ok("http://a/f.txt".to_owned()));
        assert_eq!(filled("http://a/x?to={{params.t}}", ".."), Ok("http://a/x?to=..".to_owned()));
    }

    #[test]
    fn no_value_climbs() {
        for t in [
            "..",
            ".",
            "../admin",
            "a/../../admin",
            "..\\admin",
            "%2e%2e",
            "%2E.",
            ".%2e",
            "..%2fadmin",
            "%252e%252e",
            "a/..",
            "./x",
            "%2e%2e%5cx",
        ] {
            let refused = filled("http://a/x/{{params.t}}/y", t);
            assert!(
                refused.as_ref().is_err_and(|why| why.contains("leads elsewhere")),
                "{t}: {refused:?}"
            );
        }
        for url in [
            "http://a/x/{{params.dot}}{{params.dot}}/y",
            "http://a/x/.{{params.dot}}",
            "http://a/x/%2e{{params.t}}",
            "http://a/x\\{{params.dot}}.",
            "http://a/{{params.t}}%2E",
        ] {
            assert!(filled(url, ".").is_err(), "{url}");
        }
    }

    #[test]
    fn errors_show_no_password() {
        let told = filled("http://ann:s3cret@[x/", "").unwrap_err();
        assert!(!told.contains("s3cret"), "{told}");
    }
}
