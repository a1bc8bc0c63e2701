//! Bodies that are JSON stay JSON, whatever is put into them.
//!
//! Within quotes a value becomes part of the string, escaped. Outside, a text that is JSON by
//! itself stands as it is, and any other becomes a string.

use serde::de::IgnoredAny;

use crate::executor::runner::template::Values;
use crate::model::template::Found;

/// The body of a request, with its placeholders filled. `kind` is its `Content-Type`, if one is
/// set: without one, a template that gives JSON when filled so is JSON.
///
/// # Errors
/// A sentence, as in [`Values::fill`].
pub(super) fn fill(
    template: &str,
    kind: Option<&str>,
    values: &Values<'_>,
) -> Result<String, String> {
    let as_it_is = || values.fill(template, "the body", |_, _, value| Ok(value.text()));
    match kind.map(is_json) {
        Some(true) => escaped(template, values),
        Some(false) => as_it_is(),
        None if template.trim_start().starts_with(['{', '[', '"']) => {
            let filled = escaped(template, values)?;
            if reads(&filled) { Ok(filled) } else { as_it_is() }
        }
        None => as_it_is(),
    }
}

/// `application/json`, or anything that ends in `+json`.
pub(super) fn is_json(kind: &str) -> bool {
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.ends_with("+json")
}

fn escaped(template: &str, values: &Values<'_>) -> Result<String, String> {
    let mut place = Place::default();
    values.fill(template, "the body", |before, _, value| {
        place.pass(before);
        Ok(match value {
            value if place.in_string => {
                let quoted = serde_json::Value::from(value.text()).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            Found::Text(text) if !reads(&text) => serde_json::Value::from(text).to_string(),
            value => value.text(),
        })
    })
}

fn reads(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Where in a JSON text one is.
#[derive(Default)]
struct Place {
    in_string: bool,
    escaped: bool,
}

impl Place {
    fn pass(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::executor::runner::spec::Context;

    #[test]
    fn whatever_is_put_in_it_is_json() {
        let context = Context { run_id: "r-1".to_owned(), ..Context::default() };
        let error = "ValueError: \"x\\y\"\n\t{\"a\": 1}, \u{1}é";
        let params = json!({"e": error, "n": 5, "o": {"k": "\""}, "raw": "[1]", "s": "word",
            "evil": "x\", \"admin\": true, \"y\": \""});
        let values = Values::new(&context, &params);
        let read = |template: &str| -> Value {
            let filled = fill(template, None, &values).unwrap();
            serde_json::from_str(&filled).unwrap_or_else(|e| panic!("{e}: {filled}"))
        };
        assert_eq!(read(r#"{"text": "it said {{params.e}}"}"#)["text"], format!("it said {error}"));
        assert_eq!(read(r#"{"a\"": "\\{{params.e}}"}"#)["a\""], format!("\\{error}"));
        assert_eq!(read(r#"{"a": {{params.e}}, "n": {{params.n}}}"#), json!({"a": error, "n": 5}));
        assert_eq!(
            read(r#"{"o": {{params.o}}, "t": "{{params.o}}"}"#),
            json!({"o": {"k": "\""}, "t": r#"{"k":"\""}"#})
        );
        assert_eq!(
            read(r#"[{{params.raw}}, {{params.s}}, {{run_id}}]"#),
            json!([[1], "word", "r-1"])
        );
        assert_eq!(
            read(
                r#"{"t": {{params.e | json}}, "in": "{{ params.n | json }}",
                    "x": {{params.none | default("-")}}}"#
            ),
            json!({"t": error, "in": "5", "x": "-"})
        );
        assert_eq!(read(r#"{"t": "{{params.s | json}}"}"#), json!({"t": "\"word\""}));
        let literal = read(r#"{"a": "{{"{{"}} {{params.evil}}"}"#);
        assert_eq!(literal["a"], format!("{{{{ {}", params["evil"].as_str().unwrap()));
        let evil = read(r#"{"a": "{{params.evil}}"}"#);
        assert_eq!(evil, json!({"a": params["evil"]}), "no field comes in by a value");
    }

    #[test]
    fn what_is_no_json_is_left_as_it_is() {
        let context = Context::default();
        let params = json!({"e": "a \"b\""});
        let values = Values::new(&context, &params);
        let with = |template, kind| fill(template, kind, &values).unwrap();
        assert_eq!(with("e={{params.e}}", None), "e=a \"b\"");
        assert_eq!(with("[x] \"{{params.e}}\"", None), "[x] \"a \"b\"\"");
        assert_eq!(with("{\"a\":\"{{params.e}}\"}", Some("text/plain")), "{\"a\":\"a \"b\"\"}");
        assert_eq!(
            with(" {{params.e}}", Some("Application/JSON; charset=utf-8")),
            " \"a \\\"b\\\"\""
        );
        assert!(is_json("application/problem+json") && !is_json("text/json5"));
    }
}
