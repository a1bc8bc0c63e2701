//! What a wall time means in a zone, and what to suggest for a zone that does not exist.

use std::str::FromStr;

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::fault::Fault;

/// No offset in the zone data is as large as this; a day more than any date-line move.
const OFFSET_BOUND_S: i64 = 26 * 3_600;

/// The longest IANA name has 32 bytes; anything beyond this is not compared with them.
const NAME_LEN_MAX: usize = 64;

#[derive(Debug, Clone, Copy)]
pub(super) struct Zone(Tz);

/// The instants (unix seconds) at which a local clock shows a wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Once(i64),
    Twice {
        first: i64,
        second: i64,
    },
    /// Jumped over; `resume` is the first instant after the gap.
    Never {
        resume: i64,
    },
}

/// A stretch of wall time that a local clock shows twice: `bottom` inclusive, `top` exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fold {
    pub(super) bottom: i64,
    pub(super) top: i64,
    /// Whether the instant asked about lies in the first of the two passes.
    pub(super) first_pass: bool,
}

impl Zone {
    /// Finds a zone by its exact IANA name; empty is UTC.
    pub(super) fn parse(name: &str) -> Result<Zone, Fault> {
        if name.is_empty() {
            return Ok(Zone(Tz::UTC));
        }
        Tz::from_str(name).map(Zone).map_err(|_| Fault::new("timezone", unknown(name)))
    }

    pub(super) fn name(self) -> &'static str {
        self.0.name()
    }

    /// Seconds east of UTC at an instant.
    pub(super) fn offset_at(self, t: i64) -> i64 {
        naive(t).map_or(0, |utc| {
            i64::from(self.0.offset_from_utc_datetime(&utc).fix().local_minus_utc())
        })
    }

    /// What the local clock shows at an instant.
    pub(super) fn wall_at(self, t: i64) -> i64 {
        t.saturating_add(self.offset_at(t))
    }

    /// When the local clock shows `wall`.
    pub(super) fn read(self, wall: i64) -> Reading {
        if self.0 == Tz::UTC {
            return Reading::Once(wall);
        }
        let offset = |of: chrono_tz::TzOffset| i64::from(of.fix().local_minus_utc());
        match naive(wall).map(|local| self.0.offset_from_local_datetime(&local)) {
            Some(LocalResult::Single(at)) => Reading::Once(wall - offset(at)),
            Some(LocalResult::Ambiguous(a, b)) if offset(a) != offset(b) => {
                let (a, b) = (wall - offset(a), wall - offset(b));
                Reading::Twice { first: a.min(b), second: a.max(b) }
            }
            Some(LocalResult::Ambiguous(a, _)) => Reading::Once(wall - offset(a)),
            Some(LocalResult::None) | None => {
                let (low, high) = (wall - OFFSET_BOUND_S, wall + OFFSET_BOUND_S);
                Reading::Never { resume: first(low, high, |t| self.wall_at(t) > wall) }
            }
        }
    }

    /// The fold that the instant `t` lies in, in whichever pass.
    pub(super) fn fold_at(self, t: i64) -> Option<Fold> {
        let Reading::Twice { first: early, second: late } = self.read(self.wall_at(t)) else {
            return None;
        };
        let (before, after) = (self.offset_at(early), self.offset_at(late));
        let back = first(early, late, |at| self.offset_at(at) == after);
        Some(Fold { bottom: back + after, top: back + before, first_pass: t < back })
    }

    /// A date and time of the local clock, for people.
    pub(super) fn at(self, t: i64) -> Option<DateTime<Tz>> {
        naive(t).map(|utc| self.0.from_utc_datetime(&utc))
    }
}

/// The names of all zones known, in the order of the zone data.
pub fn zone_names() -> impl Iterator<Item = &'static str> {
    TZ_VARIANTS.iter().map(|zone| zone.name())
}

/// The first second in `low..=high` that satisfies a predicate which, once true, stays true.
fn first(mut low: i64, mut high: i64, holds: impl Fn(i64) -> bool) -> i64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

fn naive(t: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(t, 0).map(|at| at.naive_utc())
}

fn unknown(name: &str) -> String {
    let shown: String = name.chars().take(NAME_LEN_MAX).collect();
    let better =
        advise(name).unwrap_or_else(|| "; write a name such as `Europe/London`".to_owned());
    format!("`{shown}` is not an IANA zone{better}")
}

/// What the author may have meant, of which each part is compared with the zone data.
fn advise(name: &str) -> Option<String> {
    if name.len() > NAME_LEN_MAX {
        return None;
    }
    let wanted = name.trim().to_lowercase().replace(' ', "_");
    if let Some(zone) = zone_names().find(|zone| zone.to_lowercase() == wanted) {
        return Some(format!("; did you mean `{zone}`?"));
    }
    if let Some(offset) = offset(&wanted) {
        return Some(match fixed(offset) {
            Some("UTC") => "; did you mean `UTC`?".to_owned(),
            Some(zone) if wanted.starts_with("etc") => format!("; did you mean `{zone}`?"),
            Some(zone) => format!(
                " but an offset: write the name of a place, such as `Europe/London`, or `{zone}` \
                 for that offset all year (its sign is the other way round)"
            ),
            None => " but an offset: write the name of a place, such as `Europe/London`".to_owned(),
        });
    }
    if let Some((_, zone)) = ABBREVIATIONS.iter().find(|(short, _)| *short == wanted) {
        return Some(format!(" but an abbreviation; one that is known by it is `{zone}`"));
    }
    nearest(&wanted).map(|zone| format!("; did you mean `{zone}`?"))
}

/// What people write for a zone, and one that shows it on its clock.
const ABBREVIATIONS: [(&str, &str); 19] = [
    ("pst", "America/Los_Angeles"),
    ("pdt", "America/Los_Angeles"),
    ("mdt", "America/Denver"),
    ("cst", "America/Chicago"),
    ("cdt", "America/Chicago"),
    ("edt", "America/New_York"),
    ("akst", "America/Anchorage"),
    ("akdt", "America/Anchorage"),
    ("bst", "Europe/London"),
    ("west", "Europe/Lisbon"),
    ("cest", "Europe/Berlin"),
    ("eest", "Europe/Athens"),
    ("msk", "Europe/Moscow"),
    ("ist", "Asia/Kolkata"),
    ("jst", "Asia/Tokyo"),
    ("kst", "Asia/Seoul"),
    ("aest", "Australia/Sydney"),
    ("aedt", "Australia/Sydney"),
    ("nzst", "Pacific/Auckland"),
];

/// Seconds east of UTC that `utc+3`, `gmt-05:30`, `+0100` or `z` say; `etc/gmt+3` is west.
fn offset(wanted: &str) -> Option<i64> {
    if wanted == "z" {
        return Some(0);
    }
    let (rest, east) = match wanted.strip_prefix("etc/gmt") {
        Some(rest) => (rest, -1),
        None => {
            let rest = wanted.strip_prefix("utc").or_else(|| wanted.strip_prefix("gmt"));
            (rest.unwrap_or(wanted), 1)
        }
    };
    let rest = rest.trim_start_matches('_');
    let (sign, digits) = match (rest.strip_prefix('+'), rest.strip_prefix(['-', '\u{2212}'])) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        Some(_) => return None,
        None if digits.is_ascii() && digits.len() == 4 => digits.split_at(2),
        None => (digits, "0"),
    };
    let number = |text: &str| {
        let plain = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if plain { text.parse::<i64>().ok() } else { None }
    };
    let (hours, minutes) = (number(hours)?, number(minutes).filter(|minutes| *minutes < 60)?);
    Some(east * sign * (hours * 3_600 + minutes * 60))
}

/// The zone that has this offset and never another.
fn fixed(offset: i64) -> Option<&'static str> {
    let name = match offset {
        0 => "UTC".to_owned(),
        // POSIX counts to the west.
        _ if offset % 3_600 == 0 => format!("Etc/GMT{:+}", -offset / 3_600),
        _ => return None,
    };
    let zone = Tz::from_str(&name).map(Zone).ok()?;
    let ends = [0, super::HORIZON_S / 2, super::HORIZON_S - 1];
    ends.iter().all(|t| zone.offset_at(*t) == offset).then(|| zone.name())
}

/// The one known zone within two typing errors, of the whole name or of its city. None when
/// several are as near and their clocks differ.
fn nearest(wanted: &str) -> Option<&'static str> {
    // In `EST5EDT` and `GMT+3` another character is another clock.
    let counts = |name: &str| name.contains(|c: char| c.is_ascii_digit());
    if counts(wanted) {
        return None;
    }
    let scored: Vec<(usize, bool, &str)> = zone_names()
        .filter_map(|zone| {
            let known = zone.to_lowercase();
            let city = known.rsplit('/').next().unwrap_or(&known);
            let whole = distance(&known, wanted);
            let part = if wanted.len() > 3 { distance(city, wanted) } else { usize::MAX };
            // In a short word two errors leave nothing of it.
            let most = if wanted.len() < 7 { 1 } else { 2 };
            let near = whole.min(part) <= most && wanted.len() > 2;
            (near && !counts(zone)).then_some((whole.min(part), !zone.contains('/'), zone))
        })
        .collect();
    let (score, _, zone) = *scored.iter().min()?;
    let others = scored.iter().filter(|(other, ..)| *other == score);
    let alike = |name: &str| match (Tz::from_str(zone), Tz::from_str(name)) {
        (Ok(a), Ok(b)) => same_clock(Zone(a), Zone(b)),
        _ => false,
    };
    let mut others = others.map(|(_, _, name)| *name);
    others.all(alike).then_some(zone)
}

/// Whether two zones show the same time, looked at twice a month from 2000 on.
fn same_clock(a: Zone, b: Zone) -> bool {
    const FROM: i64 = 946_684_800;
    const STEP: usize = 1_296_000;
    (FROM..super::HORIZON_S / 2).step_by(STEP).all(|t| a.offset_at(t) == b.offset_at(t))
}

/// Levenshtein distance: insertions, deletions and substitutions of bytes.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let above = *cell;
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            *cell = left;
        }
        if let Some(start) = row.first_mut() {
            *start = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use chrono_tz::OffsetName;

    use super::{ABBREVIATIONS, Reading, TZ_VARIANTS, Zone, first, fixed, naive, offset};

    const DAY_S: i64 = 86_400;
    /// 1973-01-01: before it some offsets have odd seconds, which the walk below does not need.
    const FROM: i64 = 94_694_400;

    #[test]
    fn abbreviations_are_shown_by_their_zones() {
        for (short, name) in ABBREVIATIONS {
            let zone = Zone::parse(name).unwrap();
            // A day of each season, 2027.
            let shown = [1_800_000_000, 1_815_000_000].map(|t| {
                let at = zone.0.offset_from_utc_datetime(&naive(t).unwrap());
                at.abbreviation().unwrap_or_default().to_lowercase()
            });
            assert!(shown.contains(&short.to_owned()), "{short}: {name} shows {shown:?}");
        }
    }

    #[test]
    fn offsets_are_read_and_the_zone_for_one_has_it() {
        for (text, seconds) in [
            ("gmt+3", 10_800),
            ("utc-05:00", -18_000),
            ("+0530", 19_800),
            ("etc/gmt+15", -54_000),
            ("z", 0),
        ] {
            assert_eq!(offset(text), Some(seconds), "{text}");
        }
        for text in ["utc", "gmt+", "+5:3", "+123", "utc+5.5", "est5edt"] {
            assert_eq!(offset(text), None, "{text}");
        }
        for hours in -14..=16 {
            let zone = fixed(hours * 3_600).map(|name| Zone::parse(name).unwrap());
            assert_eq!(zone.is_some(), (-12..=14).contains(&hours), "{hours}");
            assert!(zone.is_none_or(|zone| zone.offset_at(1_800_000_000) == hours * 3_600));
        }
    }

    /// Every change of every zone up to the horizon, read at the seconds around its edges.
    /// Changes that undo each other within two days are not seen; there are none in the data.
    #[test]
    fn every_change_of_every_zone_is_read_as_the_clock_shows_it() {
        let (mut gaps, mut folds) = (0, 0);
        for zone in TZ_VARIANTS.map(Zone) {
            let mut day = FROM;
            let mut before = zone.offset_at(day);
            while day < super::super::HORIZON_S {
                let next = day + 2 * DAY_S;
                let after = zone.offset_at(next);
                if after != before {
                    let change = first(day, next, |t| zone.offset_at(t) == after);
                    if after > before {
                        check_gap(zone, change, before, after);
                        gaps += 1;
                    } else {
                        check_fold(zone, change, before, after);
                        folds += 1;
                    }
                }
                (day, before) = (next, after);
            }
        }
        assert!(gaps > 10_000 && folds > 10_000, "{gaps} gaps, {folds} folds");
    }

    fn check_gap(zone: Zone, change: i64, before: i64, after: i64) {
        let (begin, end) = (change + before, change + after);
        assert_eq!(zone.read(begin - 1), Reading::Once(change - 1), "{zone:?}");
        assert_eq!(zone.read(begin), Reading::Never { resume: change }, "{zone:?}");
        assert_eq!(zone.read(end - 1), Reading::Never { resume: change }, "{zone:?}");
        assert_eq!(zone.read(end), Reading::Once(change), "{zone:?}");
    }

    fn check_fold(zone: Zone, change: i64, before: i64, after: i64) {
        let (bottom, top) = (change + after, change + before);
        assert_eq!(zone.read(bottom - 1), Reading::Once(bottom - 1 - before), "{zone:?}");
        for wall in [bottom, top - 1] {
            let (first, second) = (wall - before, wall - after);
            assert_eq!(zone.read(wall), Reading::Twice { first, second }, "{zone:?}");
            for (t, first_pass) in [(first, true), (second, false)] {
                let fold = zone.fold_at(t).unwrap();
                assert_eq!((fold.bottom, fold.top), (bottom, top), "{zone:?}");
                assert_eq!(fold.first_pass, first_pass, "{zone:?}");
            }
        }
        assert_eq!(zone.read(top), Reading::Once(change + before - after), "{zone:?}");
    }
}
