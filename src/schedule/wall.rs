//! The wall times a cron expression names, without any zone: the `cron` crate, driven safely.
//!
//! The crate differs from Vixie cron in text (six fields, Sunday is 1), in days (always AND)
//! and around DST (it rewinds). So it gets explicit lists made by our own parser, one schedule
//! for each side of an OR, and naive time only.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::HORIZON_S;
use super::days::Days;
use super::expr::Cron;
use super::fault::Fault;
use super::field::{DAY_OF_WEEK, Field};

/// The crate's word for "every value".
const ANY: &str = "*";

#[derive(Debug, Clone)]
pub(super) struct Walls {
    /// One schedule, or one for each day field when either may match.
    schedules: Vec<cron::Schedule>,
    /// Present when the days are ours to judge; `schedules` is then the time of day alone.
    days: Option<Days>,
}

impl Walls {
    pub(super) fn of(cron: &Cron) -> Result<Walls, Fault> {
        let time = [&cron.second, &cron.minute, &cron.hour].map(list).join(" ");
        let (month, year) = (list(&cron.month), list(&cron.year));
        let (dom, dow) = (list(&cron.day_of_month), list(&cron.day_of_week));
        let days = Days::of(cron);
        let texts = if days.is_some() {
            vec![format!("{time} * * * *")]
        } else if cron.either_day() {
            vec![
                format!("{time} {dom} {month} {ANY} {year}"),
                format!("{time} {ANY} {month} {dow} {year}"),
            ]
        } else {
            vec![format!("{time} {dom} {month} {dow} {year}")]
        };
        let schedules = texts.iter().map(|text| cron::Schedule::from_str(text));
        let schedules = schedules.collect::<Result<Vec<_>, _>>();
        let schedules = schedules.map_err(|e| Fault::expr(format!("can't be evaluated: {e}")))?;
        Ok(Walls { schedules, days })
    }

    /// The first wall time after `wall`, both counted in seconds as if UTC; from 1970 on and
    /// before the horizon.
    pub(super) fn next_after(&self, wall: i64) -> Option<i64> {
        let wall = wall.max(-1);
        let next = match &self.days {
            None => self.next_plain(wall),
            Some(days) => self.next_on(days, wall),
        };
        next.filter(|next| (wall + 1..HORIZON_S).contains(next))
    }

    fn next_plain(&self, wall: i64) -> Option<i64> {
        let after = DateTime::<Utc>::from_timestamp(wall, 0)?;
        let next = self.schedules.iter().filter_map(|schedule| schedule.after(&after).next());
        next.min().map(|next| next.timestamp())
    }

    /// Goes from selected day to selected day. Every day has the same times, so the second
    /// day tried has one at the latest.
    fn next_on(&self, days: &Days, wall: i64) -> Option<i64> {
        let mut from = wall;
        for _ in 0..2 {
            let date = days.first_from(date_of(from.checked_add(1)?)?)?;
            let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp();
            let next = self.next_plain(from.max(midnight - 1))?;
            if date_of(next)? == date {
                return Some(next);
            }
            from = midnight + 86_399;
        }
        None
    }
}

fn date_of(wall: i64) -> Option<NaiveDate> {
    DateTime::<Utc>::from_timestamp(wall, 0).map(|at| at.date_naive())
}

/// A field in the crate's words: `*` or an explicit list, with Sunday as 1.
fn list(field: &Field) -> String {
    if field.is_full() {
        return ANY.to_owned();
    }
    let shift = u32::from(field.kind == &DAY_OF_WEEK);
    let values: Vec<String> = field.values.iter().map(|v| (v + shift).to_string()).collect();
    values.join(",")
}
