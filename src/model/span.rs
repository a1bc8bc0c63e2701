//! Durations: `500ms`, `90s`, `5m`, `1h30m`, `1h 30m`, `2d`, `1w`; ISO 8601 `PT30S`; bare
//! seconds; capitals or not. One grammar for JSON, YAML, flags, settings and `@every`. Answers
//! use the compact form (`90s` reads back as `1m30s`). No months or years: their length depends
//! on the calendar.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in whole milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Span(u64);

/// The largest first. Weeks are read, not written.
const UNITS: [(&str, u64); 6] = [
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

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
        let body = text.trim().to_ascii_lowercase();
        if let Some(iso) = body.strip_prefix('p') {
            return iso_8601(iso).ok_or_else(fault);
        }
        if !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit()) {
            return body.parse().map(Span::from_secs).map_err(|_| fault());
        }
        compact(&body).ok_or_else(fault)
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
        let tail = tail.trim_start_matches(' ');
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let at = UNITS.iter().position(|(name, _)| *name == unit)?;
        if at < floor {
            return None;
        }
        floor = at + 1;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(UNITS[at].1)?)?;
        rest = tail.trim_start_matches(' ');
    }
    Some(Span(total))
}

/// What follows the `p` of `p1dt2h3m4s`; whole numbers only.
fn iso_8601(text: &str) -> Option<Span> {
    let (days, time) = match text.split_once('t') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text, ""),
    };
    let plain =
        |part: &str, units: &str| part.chars().all(|c| c.is_ascii_digit() || units.contains(c));
    let plain = plain(days, "wd") && plain(time, "hms") && !time.contains("ms");
    plain.then(|| compact(&format!("{days}{time}")))?
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, size) in UNITS.into_iter().skip(1) {
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
pub(super) const PATTERN: &str = concat!(
    "^([0-9]{1,8}|[Pp](?=[0-9Tt])([0-9]{1,4}[Ww])?([0-9]{1,4}[Dd])?",
    "([Tt](?=[0-9])([0-9]{1,4}[Hh])?([0-9]{1,6}[Mm])?([0-9]{1,8}[Ss])?)?",
    "|(?=[0-9])([0-9]{1,4} ?[Ww] ?)?([0-9]{1,4} ?[Dd] ?)?([0-9]{1,4} ?[Hh] ?)?",
    "([0-9]{1,6} ?[Mm] ?)?([0-9]{1,8} ?[Ss] ?)?([0-9]{1,9} ?[Mm][Ss])?)$"
);

impl utoipa::PartialSchema for Span {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some(
                "A duration: 500ms, 90s, 5m, 1h30m, 2d, 1w, units descending, with spaces or \
                 without; ISO 8601 such as PT1H30M; or seconds. Answers have the first form",
            ))
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
            ("1h 30m", 5_400_000, "1h30m"),
            (" 1 h 30 m ", 5_400_000, "1h30m"),
            ("PT90M", 5_400_000, "1h30m"),
            ("pt90m", 5_400_000, "1h30m"),
            ("P1W", 604_800_000, "7d"),
            ("1w2D", 777_600_000, "9d"),
            ("5MS", 5, "5ms"),
        ] {
            let span = Span::parse(text).unwrap();
            assert_eq!((span.millis(), span.to_string().as_str()), (millis, shown), "{text}");
        }
        for bad in
            ["", "s", "1x", "30m1h", "5m5m", "-1s", "1.5s", "PT", "P1Y", "99999999999999999999s"]
        {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
        for bad in [
            "P", "P1M", "P1DT", "PT1D", "P1H", "1 0s", "1h\t30m", "PT1H 30M", "1 w h", "P5",
            "PT1ms",
        ] {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_document_allows_what_is_read() {
        let schema = jsonschema::validator_for(&serde_json::json!({"pattern": PATTERN})).unwrap();
        let allows = |text: &str| schema.is_valid(&serde_json::json!(text));
        let numbers = ["", "1", "30"];
        let units = ["", "w", "d", "h", "m", "s", "ms", "W", "M", "x"];
        let mut read = 0;
        for head in ["", "P", "PT", "pt", "T"] {
            for gap in ["", " "] {
                for first in numbers {
                    for a in units {
                        for second in numbers {
                            for b in units {
                                let text = format!("{head}{first}{a}{gap}{second}{b}");
                                let parsed = Span::parse(&text).is_ok();
                                assert!(
                                    parsed == allows(&text) || text != text.trim(),
                                    "{text:?} is read: {parsed}"
                                );
                                read += usize::from(parsed);
                            }
                        }
                    }
                }
            }
        }
        assert!(read > 200, "{read}");
    }
}
