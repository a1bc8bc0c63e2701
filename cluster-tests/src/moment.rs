//! Instants: microseconds since 1970, UTC.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer};

/// An instant. The daemon, its jobs and this process read the same clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub i64);

impl Moment {
    /// The present.
    pub fn now() -> Moment {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// A whole second.
    pub const fn secs(secs: i64) -> Moment {
        Moment(secs * 1_000_000)
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn whole(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Later by `millis`, or earlier when it is negative.
    pub const fn plus_ms(self, millis: i64) -> Moment {
        Moment(self.0 + millis * 1_000)
    }

    /// Milliseconds from `earlier` to here; negative when it is later.
    pub const fn ms_since(self, earlier: Moment) -> i64 {
        (self.0 - earlier.0) / 1_000
    }

    /// Reads RFC 3339.
    pub fn parse(text: &str) -> Option<Moment> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        Some(Moment(time.timestamp_micros()))
    }

    /// Time from now until then; none when it has passed.
    pub fn ahead(self) -> Duration {
        let micros = (self.0 - Moment::now().0).max(0);
        Duration::from_micros(micros.unsigned_abs())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Moment::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not an RFC 3339 time")))
    }
}
