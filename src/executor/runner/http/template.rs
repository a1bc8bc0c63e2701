//! Placeholders in headers, bodies and URLs: `{{params.x}}`, `{{run_id}}` and a few more.

use std::borrow::Cow;

use serde_json::Value;

use crate::executor::runner::spec::Context;

/// What a placeholder stands for.
#[derive(Clone, Debug)]
pub(super) enum Found<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// Any other value of JSON.
    Json(&'a Value),
}

impl Found<'_> {
    /// As it is inserted unless told otherwise.
    pub(super) fn text(self) -> String {
        match self {
            Found::Text(text) => text.into_owned(),
            Found::Json(value) => value.to_string(),
        }
    }
}

/// Where the values come from.
pub(super) struct Values<'a> {
    pub(super) context: &'a Context,
    pub(super) params: &'a Value,
}

impl Values<'_> {
    /// Replaces every placeholder; `place` names the text in errors. `insert` makes the text of
    /// each value, of what stands between it and the one before, its name, and itself.
    ///
    /// # Errors
    /// A sentence, for an unknown placeholder, a parameter that is not given, an unclosed `{{`,
    /// and what `insert` refuses.
    pub(super) fn fill(
        &self,
        text: &str,
        place: &str,
        mut insert: impl FnMut(&str, &str, Found<'_>) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            filled.push_str(before);
            let (name, after) =
                after.split_once("}}").ok_or_else(|| format!("{place}: '{{{{' is not closed"))?;
            rest = after;
            let name = name.trim();
            if name == r#""{{""# {
                filled.push_str("{{");
            } else {
                let value = self.value(name).and_then(|value| insert(before, name, value));
                filled.push_str(&value.map_err(|why| format!("{place}: {why}"))?);
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str) -> Result<Found<'_>, String> {
        let context = self.context;
        let told = |text: &'_ str| Found::Text(Cow::Owned(text.to_owned()));
        Ok(match name {
            "job" => told(&context.job),
            "run_id" => told(&context.run_id),
            "attempt" => told(&context.attempt.to_string()),
            "fence" => told(&context.fence.to_string()),
            "nominal_time" => told(context.nominal_time.as_deref().unwrap_or_default()),
            _ => {
                let path = name.strip_prefix("params.");
                let path = path.ok_or_else(|| format!("{{{{{name}}}}} is not known"))?;
                let found = path.split('.').try_fold(self.params, |value, key| value.get(key));
                let found = found.ok_or_else(|| format!("parameter {path} is not given"))?;
                found.as_str().map_or(Found::Json(found), |text| Found::Text(text.into()))
            }
        })
    }
}

/// For URLs: everything but the unreserved characters of RFC 3986.
pub(super) fn percent_encode(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The bytes that percent-encoding stands for; what is none stays as it is.
pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *byte == b'%') {
            Some(meant) => {
                decoded.push(meant);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders() {
        let context = Context { job: "j".to_owned(), fence: 7, ..Context::default() };
        let params = json!({"s": "a\"b", "n": 1.5, "o": {"k": [1, null]}});
        let values = Values { context: &context, params: &params };
        let fill = |text: &str| values.fill(text, "the body", |_, _, value| Ok(value.text()));
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(fill("plain } { }}"), ok("plain } { }}"));
        assert_eq!(fill("{{job}}-{{ fence }}-{{nominal_time}}."), ok("j-7-."));
        assert_eq!(fill("{{params.s}} {{params.n}}"), ok("a\"b 1.5"));
        assert_eq!(fill("{{params.o}} {{params.o.k}}"), ok("{\"k\":[1,null]} [1,null]"));
        assert_eq!(fill("{{\"{{\"}}x}}"), ok("{{x}}"));
        let refused = |text: &str| Err(format!("the body: {text}"));
        assert_eq!(fill("{{params.x}}"), refused("parameter x is not given"));
        assert_eq!(fill("{{jobs}}"), refused("{{jobs}} is not known"));
        assert_eq!(fill("a {{job"), refused("'{{' is not closed"));
        assert_eq!(percent_encode("a/b?c=é."), "a%2Fb%3Fc%3D%C3%A9.");
    }
}
