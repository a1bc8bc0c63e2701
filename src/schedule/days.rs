//! The days a cron expression selects, month by month, when `L`, `W` or `#` is involved.
//!
//! The `cron` crate does not know these symbols, so it is given only the time of day and this
//! decides the days. A month is one bit mask, so even a scan to the horizon that finds
//! nothing (`0 0 31W 2 *`) is 1,560 masks.

use chrono::{Datelike, NaiveDate};

use super::expr::Cron;
use super::field::{Field, YEAR};
use super::special::Special;

#[derive(Debug, Clone)]
pub(super) struct Days {
    day_of_month: DayField,
    day_of_week: DayField,
    /// A day needs one of the two fields; otherwise it needs both.
    either: bool,
    /// Bit m is set for month m, 1 to 12.
    months: u32,
    /// Ascending; empty for every year, which spares most schedules the list.
    years: Vec<u32>,
}

#[derive(Debug, Clone)]
struct DayField {
    /// Bit v is set for the value v.
    values: u32,
    special: Vec<Special>,
}

impl DayField {
    fn of(field: &Field) -> DayField {
        DayField { values: mask(&field.values), special: field.special.clone() }
    }

    /// The days of a month that the symbols name, as bits 1 to 31.
    fn special_days(&self, first: u32, len: u32) -> u32 {
        let days = self.special.iter().filter_map(|special| special.day(first, len));
        days.fold(0, |bits, day| bits | 1 << day)
    }
}

impl Days {
    /// `None` when no day symbol is used: the crate can judge the days itself.
    pub(super) fn of(cron: &Cron) -> Option<Days> {
        if cron.day_of_month.special.is_empty() && cron.day_of_week.special.is_empty() {
            return None;
        }
        Some(Days {
            day_of_month: DayField::of(&cron.day_of_month),
            day_of_week: DayField::of(&cron.day_of_week),
            either: cron.either_day(),
            months: mask(&cron.month.values),
            years: if cron.year.is_full() { vec![] } else { cron.year.values.clone() },
        })
    }

    /// The first selected day on or after `date`.
    pub(super) fn first_from(&self, date: NaiveDate) -> Option<NaiveDate> {
        let year = u32::try_from(date.year()).unwrap_or(0).max(YEAR.min);
        let from = NaiveDate::from_ymd_opt(YEAR.min as i32, 1, 1)?.max(date);
        for year in (year..=YEAR.max).filter(|y| self.has_year(*y)) {
            for month in (1..=12).filter(|month| self.months & 1 << month != 0) {
                let first = NaiveDate::from_ymd_opt(year as i32, month, 1)?;
                let skipped = match from.signed_duration_since(first).num_days() {
                    days if days <= 0 => 0,
                    days @ 1..=30 => days as u32,
                    _ => continue,
                };
                let left = self.in_month(first) & (u32::MAX << (skipped + 1));
                if left != 0 {
                    return first.with_day(left.trailing_zeros());
                }
            }
        }
        None
    }

    fn has_year(&self, year: u32) -> bool {
        self.years.is_empty() || self.years.binary_search(&year).is_ok()
    }

    /// The selected days of the month that begins on `first`, as bits 1 to 31.
    fn in_month(&self, first: NaiveDate) -> u32 {
        let len = u32::from(first.num_days_in_month());
        let weekday = first.weekday().num_days_from_sunday();
        let all = (u32::MAX >> (31 - len)) & !1;
        let by_month = self.day_of_month.values | self.day_of_month.special_days(weekday, len);
        let by_week = (1..=len)
            .filter(|day| self.day_of_week.values & 1 << ((weekday + day - 1) % 7) != 0)
            .fold(self.day_of_week.special_days(weekday, len), |bits, day| bits | 1 << day);
        all & if self.either { by_month | by_week } else { by_month & by_week }
    }
}

fn mask(values: &[u32]) -> u32 {
    values.iter().fold(0, |bits, value| bits | 1 << value)
}
