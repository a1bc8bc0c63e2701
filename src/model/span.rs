//! Durations: `500ms`, `90s`, `5m`, `1h30m`, `2d`; ISO 8601 `PT30S`; bare seconds.
//! Answers use the compact form (`90s` reads back as `1m30s`). No months or years: their
//! length depends on the calendar.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in whole milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Span(u64);

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// From whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Span(secs.saturating_mul(1_000))
    }

    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Span(millis)
    }

    /// In milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// In whole seconds, rounded down.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000
    }

    /// In microseconds, clamped.
    pub const fn micros(self) -> i64 {
        let micros = self.0.saturating_mul(1_000);
        if micros > i64::MAX as u64 { i64::MAX } else { micros as i64 }
    }

    /// As the standard library's duration.
    pub const fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }

    /// Parses any accepted form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = || {
            format!("{text:?} is not a duration; write 500ms, 90s, 5m, 1h30m, 2d, PT30S or seconds")
        };
        let body = text.trim();
        if let Some(iso) = body.strip_prefix('P') {
            return iso_8601(iso).ok_or_else(fault);
        }
        if !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit()) {
            return body.parse().map(Span::from_secs).map_err(|_| fault());
        }
        compact(body).ok_or_else(fault)
    }
}

/// `1h30m`: units descending, each at most once.
fn compact(text: &str) -> Option<Span> {
    let (mut rest, mut total, mut floor) = (text, 0u64, 0usize);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let at = UNITS.iter().position(|(name, _)| *name == unit)?;
        if at < floor {
            return None;
        }
        floor = at + 1;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(UNITS[at].1)?)?;
        rest = tail;
    }
    Some(Span(total))
}

/// What follows the `P` of `P1DT2H3M4S`; whole numbers only.
fn iso_8601(text: &str) -> Option<Span> {
    let (days, time) = match text.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text, ""),
    };
    let lower = |part: &str, allowed: &str| {
        part.chars()
            .all(|c| c.is_ascii_digit() || allowed.contains(c))
            .then(|| part.to_ascii_lowercase())
    };
    let joined = format!("{}{}", lower(days, "D")?, lower(time, "HMS")?);
    compact(&joined)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if !d.is_human_readable() {
            return u64::deserialize(d).map(Span);
        }
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Span;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"90s\" or whole seconds")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, secs: u64) -> Result<Span, E> {
                Ok(Span::from_secs(secs))
            }
        }
        d.deserialize_any(Text)
    }
}

/// The grammar of [`Span::parse`] as a regular expression, for the OpenAPI document.
const PATTERN: &str = concat!(
    "^(?=[0-9])([0-9]{1,3}d)?([0-9]{1,4}h)?([0-9]{1,6}m)?",
    "([0-9]{1,8}s)?([0-9]{1,9}ms)?$"
);

impl utoipa::PartialSchema for Span {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some("A duration: 500ms, 90s, 5m, 1h30m, 2d; units descending"))
            .pattern(Some(PATTERN))
            .examples([serde_json::json!("1m30s")])
            .into()
    }
}

impl utoipa::ToSchema for Span {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_and_the_compact_one_is_written() {
        for (text, millis, shown) in [
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            ("45", 45_000, "45s"),
            ("PT30S", 30_000, "30s"),
            ("P1DT2H", 93_600_000, "1d2h"),
            ("0s", 0, "0s"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.millis(), span.to_string().as_str()), (millis, shown), "{text}");
        }
        for bad in
            ["", "s", "1x", "30m1h", "5m5m", "-1s", "1.5s", "PT", "P1Y", "99999999999999999999s"]
        {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }
}
