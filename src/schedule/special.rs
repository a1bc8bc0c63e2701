//! Day symbols whose days depend on the month: `L`, `L-3`, `LW`, `15W`, `FRIL`, `MON#2`.
//!
//! Source of the rules: the Quartz scheduler's CronTrigger manual, with Vixie's weekday numbers.

use super::fault::Fault;
use super::field::{DAY_OF_MONTH, DAY_OF_WEEK, Meant, Source, number};

/// One day symbol. Weekdays are 0 (Sunday) to 6; days of the month 1 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// `L` (0 back) or `L-n`: n days before the last day of the month, 0 to 30.
    LastDay { back: u32 },
    /// `LW`: the last Monday-to-Friday day of the month.
    LastWorkday,
    /// `15W`: the Monday-to-Friday day nearest to that day, never in another month.
    NearestWorkday { day: u32 },
    /// `FRIL`: the last such weekday of the month.
    LastWeekday { dow: u32 },
    /// `MON#2`: the nth such weekday of the month, 1 to 5.
    NthWeekday { dow: u32, nth: u32 },
}

impl Special {
    /// The day of the month it names in a month of `len` days whose day 1 falls on weekday
    /// `first` (0 = Sunday); `None` when the month has no such day.
    pub(super) fn day(self, first: u32, len: u32) -> Option<u32> {
        let dow_of = |day: u32| (first + day - 1) % 7;
        let day = match self {
            Special::LastDay { back } => len.checked_sub(back)?,
            Special::LastWorkday => match dow_of(len) {
                0 => len - 2,
                6 => len - 1,
                _ => len,
            },
            Special::NearestWorkday { day } if day > len => return None,
            Special::NearestWorkday { day } => match dow_of(day) {
                6 if day == 1 => 3,
                6 => day - 1,
                0 if day == len => day - 2,
                0 => day + 1,
                _ => day,
            },
            Special::LastWeekday { dow } => len - (dow_of(len) + 7 - dow) % 7,
            Special::NthWeekday { dow, nth } => 1 + (dow + 7 - first) % 7 + 7 * (nth - 1),
        };
        (1..=len).contains(&day).then_some(day)
    }
}

/// Reads one item (in upper case) as a day symbol; `None` when it is none, a fault when it is
/// one that this field or this dialect does not have.
pub(super) fn parse(source: &Source<'_>, item: &str) -> Result<Option<Special>, Fault> {
    if source.kind == &DAY_OF_MONTH {
        day_of_month(source, item)
    } else if source.kind == &DAY_OF_WEEK {
        day_of_week(source, item)
    } else if item.contains('#') || item == "L" || item == "W" {
        Err(source.fault(format!("`{item}`: `L`, `W` and `#` belong in the two day fields")))
    } else {
        Ok(None)
    }
}

fn day_of_month(source: &Source<'_>, item: &str) -> Result<Option<Special>, Fault> {
    if item.contains('#') {
        return Err(source.fault(format!("`{item}`: `#` belongs in the day-of-week field")));
    }
    if item == "L" {
        return Ok(Some(Special::LastDay { back: 0 }));
    }
    if item == "LW" || item == "WL" {
        return Ok(Some(Special::LastWorkday));
    }
    if let Some(back) = item.strip_prefix("L-") {
        return match number(back) {
            Some(back @ 1..=30) => Ok(Some(Special::LastDay { back })),
            _ => Err(source.fault(format!(
                "`{item}`: `L-n` counts back from the last day, n from 1 to 30, as in `L-3`"
            ))),
        };
    }
    if let Some(day) = item.strip_suffix('W') {
        return match number(day) {
            Some(day @ 1..=31) => Ok(Some(Special::NearestWorkday { day })),
            _ => Err(source.fault(format!(
                "`{item}`: `W` follows one day from 1 to 31, as in `15W`, or `L`, as in `LW`"
            ))),
        };
    }
    if item.contains('L') {
        return Err(source.fault(format!(
            "`{item}`: the forms here are `L` (last day), `L-3` and `LW`; `FRIL` (last Friday) \
             belongs in the day-of-week field"
        )));
    }
    Ok(None)
}

fn day_of_week(source: &Source<'_>, item: &str) -> Result<Option<Special>, Fault> {
    if let Some((day, nth)) = item.split_once('#') {
        let dow = source.value(day)? % 7;
        return match number(nth) {
            Some(nth @ 1..=5) => Ok(Some(Special::NthWeekday { dow, nth })),
            _ => Err(source.fault(format!(
                "`{item}`: `#` takes a number from 1 to 5, as in `MON#2`; the last is `{day}L`"
            ))),
        };
    }
    if item == "L" {
        return Err(source.fault(
            "`L` alone means Saturday to some and the last day to others; write `SAT`, or `FRIL` \
             for the last Friday",
        ));
    }
    match item.strip_suffix('L') {
        Some(days) if days.contains('-') => Err(last_of_several(source, item, days)),
        Some(day) => Ok(Some(Special::LastWeekday { dow: source.value(day)? % 7 })),
        None if item.ends_with('W') => {
            Err(source.fault(format!("`{item}`: `W` belongs in the day-of-month field")))
        }
        None => Ok(None),
    }
}

/// `MON-FRIL`: the last of each, when the days can be told.
fn last_of_several(source: &Source<'_>, item: &str, days: &str) -> Fault {
    let ends = days.split_once('-').map(|(from, to)| (source.value(from), source.value(to)));
    let better = match ends {
        Some((Ok(from), Ok(to))) if from < to => {
            let each: Vec<u32> = (from..=to).collect();
            let text: Vec<String> = each.iter().map(|dow| format!("{dow}L")).collect();
            let of_day = |dow: u32| Special::LastWeekday { dow: dow % 7 };
            let meant = Meant::Days(each.into_iter().map(of_day).collect());
            source.write(item, vec![text.join(",")], &meant)
        }
        _ => String::new(),
    };
    source.fault(format!("`{item}`: `L` follows one weekday{better}"))
}

#[cfg(test)]
mod tests {
    use super::Special::*;

    // May 2027 has 31 days and begins on a Saturday (6); February 2027: 28 days, Monday (1).
    #[test]
    fn symbols_name_their_day() {
        for (special, first, len, day) in [
            (LastDay { back: 0 }, 6, 31, Some(31)),
            (LastDay { back: 3 }, 6, 31, Some(28)),
            (LastDay { back: 30 }, 6, 31, Some(1)),
            (LastDay { back: 28 }, 1, 28, None),
            (LastWorkday, 6, 31, Some(31)),
            (LastWorkday, 1, 28, Some(26)),
            (NearestWorkday { day: 1 }, 6, 31, Some(3)),
            (NearestWorkday { day: 15 }, 6, 31, Some(14)),
            (NearestWorkday { day: 16 }, 6, 31, Some(17)),
            (NearestWorkday { day: 28 }, 1, 28, Some(26)),
            (NearestWorkday { day: 27 }, 1, 28, Some(26)),
            (NearestWorkday { day: 31 }, 1, 28, None),
            (LastWeekday { dow: 5 }, 6, 31, Some(28)),
            (LastWeekday { dow: 1 }, 6, 31, Some(31)),
            (NthWeekday { dow: 6, nth: 1 }, 6, 31, Some(1)),
            (NthWeekday { dow: 5, nth: 1 }, 6, 31, Some(7)),
            (NthWeekday { dow: 1, nth: 5 }, 6, 31, Some(31)),
            (NthWeekday { dow: 2, nth: 5 }, 6, 31, None),
        ] {
            assert_eq!(special.day(first, len), day, "{special:?} in {len} days from {first}");
        }
    }
}
