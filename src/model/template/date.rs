//! `date`: an instant, written as somebody wants to read it.

use std::str::FromStr;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::Timestamp;

/// Characters of a format: it is written out for each place that has it.
const FORMAT_LEN_MAX: usize = 128;

/// How an instant is written, and in which zone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format {
    text: String,
    zone: Tz,
}

impl Format {
    /// `strftime`; an empty zone is UTC.
    ///
    /// # Errors
    /// A sentence, for an unknown sign after `%` or an unknown zone.
    pub(super) fn read(text: &str, zone: &str) -> Result<Self, String> {
        if text.chars().count() > FORMAT_LEN_MAX {
            return Err(format!("a format of date has at most {FORMAT_LEN_MAX} characters"));
        }
        if StrftimeItems::new(text).any(|item| item == Item::Error) {
            return Err(format!("{text:?} is not a format of date, such as \"%Y-%m-%d\""));
        }
        let zone = if zone.is_empty() { Ok(Tz::UTC) } else { Tz::from_str(zone) };
        let zone = zone.map_err(|_| "the zone of date is no IANA name".to_owned())?;
        Ok(Format { text: text.to_owned(), zone })
    }

    pub(super) fn write(&self, at: Timestamp) -> String {
        let at = DateTime::<Utc>::from_timestamp_micros(at.micros()).unwrap_or_default();
        at.with_timezone(&self.zone).format(&self.text).to_string()
    }
}
