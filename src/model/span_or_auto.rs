//! How long something may take before it is told: a span, or one that the cluster works out.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::Span;
use super::span::PATTERN;

/// What stands for one that is worked out.
const AUTO: &str = "auto";

/// A span, or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanOrAuto {
    /// That long.
    Span(Span),
    /// As the job's own past says; from format 7 on.
    Auto,
}

impl SpanOrAuto {
    /// The span, if one is given.
    pub fn span(self) -> Option<Span> {
        match self {
            SpanOrAuto::Span(span) => Some(span),
            SpanOrAuto::Auto => None,
        }
    }
}

impl Serialize for SpanOrAuto {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            SpanOrAuto::Span(span) => span.serialize(s),
            SpanOrAuto::Auto => s.serialize_str(AUTO),
        }
    }
}

/// A number is seconds where people write it, and milliseconds as a span is packed.
struct Read {
    human: bool,
}

impl serde::de::Visitor<'_> for Read {
    type Value = SpanOrAuto;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"90s\", whole seconds, or \"auto\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<SpanOrAuto, E> {
        if text.eq_ignore_ascii_case(AUTO) {
            return Ok(SpanOrAuto::Auto);
        }
        let span = Span::parse(text);
        span.map(SpanOrAuto::Span).map_err(|why| E::custom(format!("{why}; or \"auto\"")))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<SpanOrAuto, E> {
        let span = if self.human { Span::from_secs(number) } else { Span::from_millis(number) };
        Ok(SpanOrAuto::Span(span))
    }
}

impl<'de> Deserialize<'de> for SpanOrAuto {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let human = d.is_human_readable();
        d.deserialize_any(Read { human })
    }
}

impl utoipa::PartialSchema for SpanOrAuto {
    fn schema() -> RefOr<Schema> {
        // One text: generated clients have no use for a choice of two.
        let pattern = PATTERN.replacen("^(", "^([Aa][Uu][Tt][Oo]|", 1);
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A duration such as 90s, 5m or 1h30m, as elsewhere; or `auto`: as the job's own \
                 past says",
            ))
            .pattern(Some(pattern))
            .examples([serde_json::json!("auto")])
            .into()
    }
}

impl utoipa::ToSchema for SpanOrAuto {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_read_and_go_round_in_both_codecs() {
        for (written, after, shown) in [
            (json!("90s"), SpanOrAuto::Span(Span::from_secs(90)), json!("1m30s")),
            (json!(45), SpanOrAuto::Span(Span::from_secs(45)), json!("45s")),
            (json!("auto"), SpanOrAuto::Auto, json!("auto")),
            (json!("AUTO"), SpanOrAuto::Auto, json!("auto")),
        ] {
            let read: SpanOrAuto = serde_json::from_value(written).unwrap();
            assert_eq!((read, serde_json::to_value(read).unwrap()), (after, shown));
            let packed = rmp_serde::to_vec_named(&read).unwrap();
            assert_eq!(rmp_serde::from_slice::<SpanOrAuto>(&packed).unwrap(), after);
        }
        let why = serde_json::from_value::<SpanOrAuto>(json!("soon")).unwrap_err().to_string();
        assert!(why.contains("auto") && why.contains("duration"), "{why}");
    }

    #[test]
    fn the_document_allows_what_is_read() {
        use utoipa::PartialSchema;
        let schema = serde_json::to_value(SpanOrAuto::schema()).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        for (text, fits) in
            [("auto", true), ("AUTO", true), ("90s", true), ("autos", false), ("", false)]
        {
            assert_eq!(schema.is_valid(&json!(text)), fits, "{text:?}");
            assert_eq!(serde_json::from_value::<SpanOrAuto>(json!(text)).is_ok(), fits);
        }
    }

    #[test]
    fn a_span_is_packed_as_it_was_before() {
        let span = Span::from_secs(90);
        let packed = rmp_serde::to_vec_named(&SpanOrAuto::Span(span)).unwrap();
        assert_eq!(packed, rmp_serde::to_vec_named(&span).unwrap());
    }
}
