//! Instants: microseconds since 1970-01-01 UTC (RFC 3339 in JSON).

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::span::Span;

/// An instant in UTC, microsecond precision, years 1970 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Timestamp(i64);

/// 9999-12-31T23:59:59Z, the last instant RFC 3339 can write.
const MICROS_MAX: i64 = 253_402_300_799_000_000;

impl Timestamp {
    /// The first instant: 1970-01-01T00:00:00Z.
    pub const ZERO: Timestamp = Timestamp(0);
    /// The last instant: 9999-12-31T23:59:59Z.
    pub const MAX: Timestamp = Timestamp(MICROS_MAX);

    /// From microseconds since 1970, clamped to the range of the type.
    pub const fn from_micros(micros: i64) -> Self {
        if micros < 0 {
            Timestamp(0)
        } else if micros > MICROS_MAX {
            Timestamp(MICROS_MAX)
        } else {
            Timestamp(micros)
        }
    }

    /// From whole seconds since 1970, clamped.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_micros(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since 1970, rounded down.
    pub const fn millis(self) -> u64 {
        (self.0 / 1_000) as u64
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn secs(self) -> i64 {
        self.0 / 1_000_000
    }

    /// The instant `span` later, clamped.
    pub const fn plus(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_add(span.micros()))
    }

    /// The instant `span` earlier, clamped.
    pub const fn minus(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_sub(span.micros()))
    }

    /// Time from `earlier` to here; zero when `earlier` is later. Whole milliseconds.
    pub const fn since(self, earlier: Timestamp) -> Span {
        let micros = self.0 - earlier.0;
        Span::from_millis(if micros < 0 { 0 } else { micros as u64 / 1_000 })
    }

    /// Microseconds from `earlier` to here; zero when `earlier` is later.
    pub const fn micros_since(self, earlier: Timestamp) -> u64 {
        let micros = self.0 - earlier.0;
        if micros < 0 { 0 } else { micros as u64 }
    }

    /// Parses RFC 3339, any offset.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| {
            format!("{text:?} is not an RFC 3339 time such as 2027-01-01T00:00:00Z")
        })?;
        let micros = parsed.timestamp_micros();
        if !(0..=MICROS_MAX).contains(&micros) {
            return Err(format!("{text:?} is outside the years 1970 to 9999"));
        }
        Ok(Timestamp(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            Timestamp::parse(&text).map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(d).map(Timestamp::from_micros)
        }
    }
}

impl utoipa::PartialSchema for Timestamp {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(
                utoipa::openapi::KnownFormat::DateTime,
            )))
            .into()
    }
}

impl utoipa::ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_round_and_offsets_become_utc() {
        let t = Timestamp::parse("2027-01-01T01:00:00.25+01:00").unwrap();
        assert_eq!(t.to_string(), "2027-01-01T00:00:00.250Z");
        assert_eq!(Timestamp::parse(&t.to_string()), Ok(t));
        assert_eq!(Timestamp::from_secs(0).to_string(), "1970-01-01T00:00:00Z");
        for bad in ["", "2027-01-01", "1969-12-31T23:59:59Z", "yesterday"] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
