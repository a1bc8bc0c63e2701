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
    match suggest(name) {
        Some(better) => format!("`{shown}` is not an IANA zone; did you mean `{better}`?"),
        None => format!("`{shown}` is not an IANA zone; write a name such as `Europe/London`"),
    }
}

/// A known zone that the author may have meant.
fn suggest(name: &str) -> Option<&'static str> {
    if name.len() > NAME_LEN_MAX {
        return None;
    }
    let wanted = name.trim().to_lowercase().replace(' ', "_");
    let abbreviation = match wanted.as_str() {
        "pst" | "pdt" | "pt" => Some("America/Los_Angeles"),
        "mdt" => Some("America/Denver"),
        "cst" | "cdt" => Some("America/Chicago"),
        "edt" | "et" => Some("America/New_York"),
        "bst" => Some("Europe/London"),
        "cest" => Some("Europe/Berlin"),
        "ist" => Some("Asia/Kolkata"),
        "jst" => Some("Asia/Tokyo"),
        "aest" | "aedt" => Some("Australia/Sydney"),
        "z" | "utc+0" | "gmt+00:00" | "+00:00" => Some("UTC"),
        _ => None,
    };
    if abbreviation.is_some() {
        return abbreviation;
    }
    // Shorter cities first on a tie, and never more than two typing errors.
    let scored = zone_names().filter_map(|zone| {
        let known = zone.to_lowercase();
        let city = known.rsplit('/').next().unwrap_or(&known);
        let whole = distance(&known, &wanted);
        let part = if wanted.len() > 3 { distance(city, &wanted) } else { usize::MAX };
        let score = whole.min(part);
        (score <= 2 && score < wanted.len()).then_some((score, !zone.contains('/'), zone))
    });
    scored.min().map(|(_, _, zone)| zone)
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
    use super::{Reading, TZ_VARIANTS, Zone, first};

    const DAY_S: i64 = 86_400;
    /// 1973-01-01: before it some offsets have odd seconds, which the walk below does not need.
    const FROM: i64 = 94_694_400;

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
