//! A schedule in one English sentence.
//!
//! Never wrong before ever elegant: a phrase is used only for the sets it is true of, and
//! anything else falls back to naming the values.

use chrono::DateTime;

use super::expr::{Cron, Expr};
use super::field::Field;
use super::names::{MONTHS, WEEKDAYS};
use super::special::Special;

/// Up to this many times of day are listed one by one.
const CLOCK_TIMES_MAX: usize = 6;

/// The sentence, without a full stop; `anchor` is what `@every` counts from.
pub(super) fn sentence(expr: &Expr, anchor: i64, zone: &str) -> String {
    match expr {
        Expr::At(t) => format!("Once, at {}", utc(*t)),
        Expr::Every(period) => format!("Every {}, counted from {}", duration(*period), utc(anchor)),
        Expr::Cron(cron) => {
            let parts = [time(cron), days(cron), months(cron), years(cron)];
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            format!("{}, {zone}", parts.join(" "))
        }
    }
}

fn utc(t: i64) -> String {
    let at = DateTime::from_timestamp(t, 0).unwrap_or_default();
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn duration(period: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let mut rest = period;
    let mut parts = vec![];
    for (unit_s, name) in units {
        match rest / unit_s {
            0 => {}
            // "Every hour" reads better than "Every 1 hour"; "Every 1 hour 30 minutes" does not.
            1 if period == unit_s => return name.to_owned(),
            1 => parts.push(format!("1 {name}")),
            n => parts.push(format!("{n} {name}s")),
        }
        rest %= unit_s;
    }
    parts.join(" ")
}

// ---- the time of day

fn time(cron: &Cron) -> String {
    let (second, minute, hour) = (&cron.second, &cron.minute, &cron.hour);
    let clock_times = second.values.len() * minute.values.len() * hour.values.len();
    if clock_times <= CLOCK_TIMES_MAX {
        return format!("At {}", clock(second, minute, hour));
    }
    if second.values == [0] {
        if minute.values == [0] && hour.is_full() {
            return "Every hour, on the hour".to_owned();
        }
        return match steps_from_zero(minute) {
            Some(1) => format!("Every minute{}", within_hours(hour)),
            Some(n) => format!("Every {n} minutes{}", within_hours(hour)),
            None => format!("At {}{}", counted("minute", minute), past_hours(hour)),
        };
    }
    let minutes = if minute.is_full() {
        format!("every minute{}", within_hours(hour))
    } else {
        format!("{}{}", counted("minute", minute), past_hours(hour))
    };
    match steps_from_zero(second) {
        Some(1) if minute.is_full() => format!("Every second{}", within_hours(hour)),
        Some(n) if n > 1 && minute.is_full() => format!("Every {n} seconds{}", within_hours(hour)),
        Some(1) => format!("Every second of {minutes}"),
        _ => format!("At {} of {minutes}", counted("second", second)),
    }
}

fn clock(second: &Field, minute: &Field, hour: &Field) -> String {
    let mut times = vec![];
    for h in &hour.values {
        for m in &minute.values {
            for s in &second.values {
                times.push(match second.values.as_slice() {
                    [0] => format!("{h:02}:{m:02}"),
                    _ => format!("{h:02}:{m:02}:{s:02}"),
                });
            }
        }
    }
    and(&times)
}

/// The n of `*/n` when it divides the hour or minute evenly: only then is "every n" true.
fn steps_from_zero(field: &Field) -> Option<u32> {
    let n = match field.values.as_slice() {
        [0, n, ..] => *n,
        _ => return None,
    };
    let size = field.kind.star_max + 1;
    let even = size.is_multiple_of(n) && field.values.len() as u32 == size / n;
    (even && field.values.iter().all(|v| v.is_multiple_of(n))).then_some(n)
}

fn within_hours(hour: &Field) -> String {
    if hour.is_full() {
        return String::new();
    }
    let (first, last) = ends(&hour.values);
    if last - first + 1 == hour.values.len() as u32 {
        return format!(" from {first:02}:00 to {last:02}:59");
    }
    format!(" of {}", counted("hour", hour))
}

fn past_hours(hour: &Field) -> String {
    if hour.is_full() {
        return " of every hour".to_owned();
    }
    format!(" of {}", counted("hour", hour))
}

// ---- the days

fn days(cron: &Cron) -> String {
    let (dom, dow) = (day_of_month(&cron.day_of_month), day_of_week(&cron.day_of_week));
    match (dom, dow) {
        (Some(dom), Some(dow)) if cron.either_day() => format!("on {dom} or on {dow}"),
        (Some(dom), Some(dow)) => format!("on {dom}, if that is also {dow}"),
        // A full field makes an OR true of every day, and an AND a matter of the other field.
        _ if cron.either_day() => String::new(),
        (Some(day), None) | (None, Some(day)) => format!("on {day}"),
        (None, None) => String::new(),
    }
}

/// `None` when every day is selected.
fn day_of_month(field: &Field) -> Option<String> {
    if field.is_full() {
        return None;
    }
    let mut parts = vec![];
    if !field.values.is_empty() {
        parts.push(format!("{} of the month", counted("day", field)));
    }
    parts.extend(field.special.iter().map(|special| special_day(*special)));
    Some(or(&parts))
}

fn day_of_week(field: &Field) -> Option<String> {
    if field.is_full() {
        return None;
    }
    let mut parts = names(&week_from_monday(&field.values), |day| weekday(day % 7).to_owned());
    parts.extend(field.special.iter().map(|special| special_day(*special)));
    Some(or(&parts))
}

/// Sunday as 7 when Saturday is there too, so that weekends read in order.
fn week_from_monday(values: &[u32]) -> Vec<u32> {
    if !values.contains(&6) {
        return values.to_vec();
    }
    let mut days: Vec<u32> = values.iter().map(|v| if *v == 0 { 7 } else { *v }).collect();
    days.sort_unstable();
    days
}

fn special_day(special: Special) -> String {
    const NTH: [&str; 6] = ["", "first", "second", "third", "fourth", "fifth"];
    match special {
        Special::LastDay { back: 0 } => "the last day of the month".to_owned(),
        Special::LastDay { back: 1 } => "the day before the last day of the month".to_owned(),
        Special::LastDay { back } => format!("the day {back} days before the month's last day"),
        Special::LastWorkday => "the last working day (Monday to Friday) of the month".to_owned(),
        Special::NearestWorkday { day } => {
            format!("the working day (Monday to Friday) nearest to day {day} of the month")
        }
        Special::LastWeekday { dow } => format!("the last {} of the month", weekday(dow)),
        Special::NthWeekday { dow, nth } => {
            let nth = NTH.get(nth as usize).copied().unwrap_or_default();
            format!("the {nth} {} of the month", weekday(dow))
        }
    }
}

fn weekday(dow: u32) -> &'static str {
    WEEKDAYS.get(dow as usize).copied().unwrap_or_default()
}

fn months(cron: &Cron) -> String {
    if cron.month.is_full() {
        return String::new();
    }
    let name = |m: u32| MONTHS.get(m as usize - 1).copied().unwrap_or_default().to_owned();
    format!("in {}", and(&names(&cron.month.values, name)))
}

fn years(cron: &Cron) -> String {
    if cron.year.is_full() {
        return String::new();
    }
    format!("in {}", and(&names(&cron.year.values, |year| year.to_string())))
}

// ---- lists of values

/// `minute 5`, or `minutes 5, 10 and 20 through 30`.
fn counted(noun: &str, field: &Field) -> String {
    let plural = if field.values.len() == 1 { "" } else { "s" };
    format!("{noun}{plural} {}", and(&names(&field.values, |value| value.to_string())))
}

/// The values by name, with three or more in a row as `a through b`.
fn names(values: &[u32], name: impl Fn(u32) -> String) -> Vec<String> {
    let mut parts = vec![];
    for run in values.chunk_by(|a, b| a + 1 == *b) {
        let (first, last) = ends(run);
        if run.len() > 2 {
            parts.push(format!("{} through {}", name(first), name(last)));
        } else {
            parts.extend(run.iter().map(|value| name(*value)));
        }
    }
    parts
}

fn ends(values: &[u32]) -> (u32, u32) {
    (values.first().copied().unwrap_or(0), values.last().copied().unwrap_or(0))
}

fn and(parts: &[String]) -> String {
    joined(parts, "and")
}

fn or(parts: &[String]) -> String {
    joined(parts, "or")
}

fn joined(parts: &[String], word: &str) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} {word} {last}", first.join(", ")),
    }
}
