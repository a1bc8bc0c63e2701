//! Placeholders in headers, bodies and URLs: `{{params.x}}`, `{{run_id}}` and a few more.

use serde_json::Value;

use crate::executor::runner::spec::Context;

/// Where the values come from.
pub(super) struct Values<'a> {
    pub(super) context: &'a Context,
    pub(super) params: &'a Value,
}

impl Values<'_> {
    /// Replaces every placeholder; `place` names the text in errors. Each value passes
    /// through `escape` on its way in.
    ///
    /// # Errors
    /// A sentence, for an unknown placeholder, a parameter that is not given, and an
    /// unclosed `{{`.
    pub(super) fn fill(
        &self,
        text: &str,
        place: &str,
        escape: impl Fn(String) -> String,
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
                let value = self.value(name).map_err(|why| format!("{place}: {why}"))?;
                filled.push_str(&escape(value));
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn value(&self, name: &str) -> Result<String, String> {
        let context = self.context;
        Ok(match name {
            "job" => context.job.clone(),
            "run_id" => context.run_id.clone(),
            "attempt" => context.attempt.to_string(),
            "fence" => context.fence.to_string(),
            "nominal_time" => context.nominal_time.clone().unwrap_or_default(),
            _ => {
                let path = name.strip_prefix("params.");
                let path = path.ok_or_else(|| format!("{{{{{name}}}}} is not known"))?;
                let found = path.split('.').try_fold(self.params, |value, key| value.get(key));
                let found = found.ok_or_else(|| format!("parameter {path} is not given"))?;
                found.as_str().map_or_else(|| found.to_string(), str::to_owned)
            }
        })
    }
}

/// For URLs: everything but the unreserved characters of RFC 3986.
pub(super) fn percent_encode(value: String) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn placeholders() {
        let context = Context { job: "j".to_owned(), fence: 7, ..Context::default() };
        let params = json!({"s": "a\"b", "n": 1.5, "o": {"k": [1, null]}});
        let values = Values { context: &context, params: &params };
        let fill = |text: &str| values.fill(text, "the body", |value| value);
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
        assert_eq!(percent_encode("a/b?c=é.".to_owned()), "a%2Fb%3Fc%3D%C3%A9.");
    }
}
