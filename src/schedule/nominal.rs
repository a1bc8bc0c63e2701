//! A schedule, and the instants it names: where wall times, zone and DST policy meet.

use chrono::NaiveDate;

use super::definition::{Definition, DstFold, DstGap};
use super::expr::{self, Expr};
use super::fault::Fault;
use super::wall::Walls;
use super::zone::{Reading, Zone};
use super::{HORIZON_S, describe, every};

/// Gaps and second passes one search may cross. Two gaps are never minutes apart, so two or
/// three are enough; the bound makes an endless loop impossible whatever the zone data says.
const CROSSINGS_MAX: usize = 64;

/// A parsed schedule. Immutable, `Send + Sync`. About 2 KB for a cron expression
/// (the sets of the `cron` crate), at most some 10 KB; under 200 bytes for `@every` and `@at`.
#[derive(Debug, Clone)]
pub struct Schedule {
    rhythm: Rhythm,
    /// Made at once: it is a tenth of the size of the fields that it is made from.
    sentence: Box<str>,
    zone: Zone,
    gap: DstGap,
    fold: DstFold,
    start: Option<i64>,
    end: Option<i64>,
}

/// What is left of an expression once it is compiled.
#[derive(Debug, Clone)]
enum Rhythm {
    Cron(Box<Walls>),
    /// Seconds; the anchor is the unix time that the periods are counted from.
    Every {
        anchor: i64,
        period: i64,
    },
    /// Unix seconds.
    At(i64),
}

impl Schedule {
    /// Checks and compiles a definition. It may still name no time at all: ask
    /// [`fires_after`](Self::fires_after).
    ///
    /// # Errors
    /// What is wrong, as far as it can be told at once; at least one fault.
    pub fn parse(d: &Definition<'_>) -> Result<Schedule, Vec<Fault>> {
        let mut faults = Vec::new();
        let expr = expr::parse(d.expr, d.name).map_err(|fault| faults.push(fault));
        let zone = Zone::parse(d.timezone).map_err(|fault| faults.push(fault));
        if d.start_at.is_some_and(|start| start >= HORIZON_S) {
            faults.push(Fault::new("start_at", "is after the year 2099, where schedules end"));
        }
        if let (Some(start), Some(end)) = (d.start_at, d.end_at)
            && start >= end
        {
            faults.push(Fault::new("end_at", "must be later than start_at"));
        }
        let (Ok(expr), Ok(zone), true) = (expr, zone, faults.is_empty()) else {
            return Err(faults);
        };
        let sentence = describe::sentence(&expr, d.anchor, zone.name()).into_boxed_str();
        let (rhythm, wildcard) = match expr {
            Expr::Cron(cron) => {
                let walls = Walls::of(&cron).map_err(|fault| vec![fault])?;
                (Rhythm::Cron(Box::new(walls)), cron.is_wildcard())
            }
            Expr::Every(period) => (Rhythm::Every { anchor: d.anchor, period }, false),
            Expr::At(t) => (Rhythm::At(t), false),
        };
        let usual = if wildcard { DstFold::Both } else { DstFold::First };
        Ok(Schedule {
            rhythm,
            sentence,
            zone,
            gap: if wildcard { DstGap::Skip } else { d.dst_gap },
            fold: d.dst_fold.unwrap_or(usual),
            start: d.start_at,
            end: d.end_at,
        })
    }

    /// The first nominal time after `t`, both unix seconds UTC. Always greater than `t`, within
    /// `start_at` and `end_at` (both inclusive), and from 1970 to 2099.
    pub fn next_after(&self, t: i64) -> Option<i64> {
        let t = self.start.map_or(t, |start| t.max(start.saturating_sub(1)));
        let t = t.max(-1);
        if t >= HORIZON_S || self.end.is_some_and(|end| t >= end) {
            return None;
        }
        let next = match &self.rhythm {
            Rhythm::Cron(walls) => self.next_cron(walls, t),
            Rhythm::Every { anchor, period } => every::next_after(*anchor, *period, t),
            Rhythm::At(at) => Some(*at),
        };
        next.filter(|next| *next > t && *next < HORIZON_S && self.end.is_none_or(|e| *next <= e))
    }

    /// Whether any nominal time follows `t`. A definition that is written when this is false
    /// never fires.
    pub fn fires_after(&self, t: i64) -> bool {
        self.next_after(t).is_some()
    }

    /// The nominal times after `after`, ascending.
    pub fn upcoming(&self, after: i64) -> impl Iterator<Item = i64> + '_ {
        std::iter::successors(self.next_after(after), |t| self.next_after(*t))
    }

    /// One English sentence without a full stop, with the values of `H` filled in.
    pub fn describe(&self) -> String {
        self.sentence.to_string()
    }

    /// The local date and time of an instant, in RFC 3339 with the offset then in force, and the
    /// local date (what calendars go by). Instants outside the years 0 to 9999 are clamped.
    pub fn local(&self, t: i64) -> (String, NaiveDate) {
        const YEARS_0_TO_9999: (i64, i64) = (-62_167_132_800, 253_402_214_400);
        let t = t.clamp(YEARS_0_TO_9999.0, YEARS_0_TO_9999.1);
        self.zone.at(t).map_or_else(Default::default, |at| (at.to_rfc3339(), at.date_naive()))
    }

    /// The nominal times of a cron expression are what its wall times become in the zone:
    /// the instant that shows it; none or the end of the gap when it is jumped over; the first
    /// or both when it comes twice.
    fn next_cron(&self, walls: &Walls, t: i64) -> Option<i64> {
        let now = self.zone.wall_at(t);
        let fold = self.zone.fold_at(t);
        let shown = match fold {
            // In the second pass the first has shown every wall time below the top already.
            Some(fold) if !fold.first_pass && self.fold == DstFold::First => fold.top - 1,
            _ => now,
        };
        let ahead = self.next_from(walls, shown, t);
        let again = match fold {
            Some(fold) if fold.first_pass && self.fold == DstFold::Both => {
                self.next_in_second_pass(walls, fold.bottom)
            }
            _ => None,
        };
        [ahead, again].into_iter().flatten().min()
    }

    /// The first instant after `t` of the wall times after `shown`.
    fn next_from(&self, walls: &Walls, mut shown: i64, t: i64) -> Option<i64> {
        for _ in 0..CROSSINGS_MAX {
            let wall = walls.next_after(shown)?;
            shown = wall;
            let at = match self.zone.read(wall) {
                Reading::Once(at) => at,
                Reading::Twice { second, first } if first <= t && self.fold == DstFold::Both => {
                    second
                }
                Reading::Twice { first, .. } => first,
                Reading::Never { resume } if self.gap == DstGap::RunAfter => resume,
                Reading::Never { resume } => {
                    shown = self.zone.wall_at(resume) - 1;
                    continue;
                }
            };
            if at > t {
                return Some(at);
            }
        }
        None
    }

    /// The first instant of the second pass of the fold that begins at the wall time `bottom`.
    fn next_in_second_pass(&self, walls: &Walls, bottom: i64) -> Option<i64> {
        let wall = walls.next_after(bottom - 1)?;
        match self.zone.read(wall) {
            Reading::Twice { second, .. } => Some(second),
            Reading::Once(_) | Reading::Never { .. } => None,
        }
    }
}
