//! The schedule module against brute force, and against another cron library.
//!
//! The oracle below shares nothing with the implementation: it decides every value by reading
//! the text again, every day by looking at its neighbours in the calendar, and every DST case
//! by walking through real time and watching the local clock. A failure prints its seed:
//! `CRONAPI_SEED=<seed> cargo test --test schedule_oracle` repeats it, and `CRONAPI_CASES=10`
//! runs ten times as many cases.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono::{DateTime, Datelike, Days, NaiveDate, Offset, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use cronapi::schedule::{Definition, DstFold, DstGap, Schedule};

// ---------------------------------------------------------------- randomness with a seed

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Fixed unless given, so that a red build stays red; `salt` keeps the tests apart.
fn seed(salt: u64) -> u64 {
    let base =
        std::env::var("CRONAPI_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(20_270_101);
    base ^ (salt << 40)
}

// ---------------------------------------------------------------- the oracle

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

fn number(text: &str) -> i64 {
    let upper = text.to_ascii_uppercase();
    if let Some(m) = MONTHS.iter().position(|name| *name == upper) {
        return m as i64 + 1;
    }
    if let Some(d) = WEEKDAYS.iter().position(|name| *name == upper) {
        return d as i64;
    }
    upper.parse().unwrap()
}

/// Whether a plain item of a field (`*`, `a`, `a-b`, with `/n`) selects a value.
fn item_selects(item: &str, value: i64, min: i64, max: i64) -> bool {
    let (body, step) = item.split_once('/').unwrap_or((item, "1"));
    let (low, high) = match body.split_once('-') {
        _ if body == "*" || body == "?" => (min, max),
        Some((a, b)) if b.eq_ignore_ascii_case("SUN") && number(a) > 0 => (number(a), 7),
        Some((a, b)) => (number(a), number(b)),
        None => (number(body), number(body)),
    };
    low <= value && value <= high && (value - low) % number(step) == 0
}

fn selects(text: &str, value: i64, min: i64, max: i64) -> bool {
    text.split(',').any(|item| item_selects(item, value, min, max))
}

fn is_workday(date: NaiveDate) -> bool {
    (1..=5).contains(&date.weekday().num_days_from_sunday())
}

fn plus(date: NaiveDate, days: u64) -> NaiveDate {
    date + Days::new(days)
}

/// `15W`: try ever farther from the day until a workday of the same month turns up.
fn is_nearest_workday(date: NaiveDate, target: u32) -> bool {
    let Some(wanted) = date.with_day(target) else {
        return false;
    };
    for distance in 0..4 {
        for near in [wanted - Days::new(distance), plus(wanted, distance)] {
            if near.month() == date.month() && is_workday(near) {
                return near == date;
            }
        }
    }
    false
}

fn day_of_month_selects(text: &str, date: NaiveDate) -> bool {
    text.split(',').any(|item| {
        let item = item.to_ascii_uppercase();
        if item == "L" {
            plus(date, 1).month() != date.month()
        } else if item == "LW" {
            let later = (1..4).map(|n| plus(date, n));
            is_workday(date)
                && !later.into_iter().any(|d| d.month() == date.month() && is_workday(d))
        } else if let Some(n) = item.strip_prefix("L-") {
            let n = n.parse::<u64>().unwrap();
            plus(date, n).month() == date.month() && plus(date, n + 1).month() != date.month()
        } else if let Some(day) = item.strip_suffix('W') {
            is_nearest_workday(date, day.parse().unwrap())
        } else {
            item_selects(&item, i64::from(date.day()), 1, 31)
        }
    })
}

fn day_of_week_selects(text: &str, date: NaiveDate) -> bool {
    let today = i64::from(date.weekday().num_days_from_sunday());
    text.split(',').any(|item| {
        let item = item.to_ascii_uppercase();
        if let Some((day, nth)) = item.split_once('#') {
            number(day) % 7 == today && i64::from(date.day().div_ceil(7)) == number(nth)
        } else if let Some(day) = item.strip_suffix('L') {
            number(day) % 7 == today && plus(date, 7).month() != date.month()
        } else {
            item_selects(&item, today, 0, 6)
                || today == 0 && item != "*" && {
                    !item.starts_with("*/") && item_selects(&item, 7, 0, 7)
                }
        }
    })
}

struct Oracle {
    second: Vec<bool>,
    minute: Vec<bool>,
    hour: Vec<bool>,
    days: [String; 2],
    month: String,
    year: String,
    wildcard: bool,
    known_days: HashMap<i64, bool>,
}

impl Oracle {
    fn new(expr: &str) -> Oracle {
        let mut f: Vec<&str> = expr.split(' ').collect();
        if f.len() == 5 {
            f.insert(0, "0");
        }
        if f.len() == 6 {
            f.push("*");
        }
        let table = |text: &str, size: i64| {
            (0..size).map(|value| selects(text, value, 0, size - 1)).collect::<Vec<_>>()
        };
        Oracle {
            second: table(f[0], 60),
            minute: table(f[1], 60),
            hour: table(f[2], 24),
            days: [f[3].to_owned(), f[5].to_owned()],
            month: f[4].to_owned(),
            year: f[6].to_owned(),
            wildcard: f[1].starts_with('*') || f[2].starts_with('*'),
            known_days: HashMap::new(),
        }
    }

    fn selects_date(&self, date: NaiveDate) -> bool {
        if !selects(&self.month, i64::from(date.month()), 1, 12)
            || !selects(&self.year, i64::from(date.year()), 1970, 2099)
        {
            return false;
        }
        let [dom, dow] = &self.days;
        let open = |text: &str| text.starts_with('*') || text == "?";
        let (by_month, by_week) = (day_of_month_selects(dom, date), day_of_week_selects(dow, date));
        if open(dom) || open(dow) { by_month && by_week } else { by_month || by_week }
    }

    /// Whether a wall time (seconds as if UTC) is selected.
    fn selects_wall(&mut self, wall: i64) -> bool {
        let (day, time) = (wall.div_euclid(86_400), wall.rem_euclid(86_400));
        let (h, m, s) = (time / 3_600, time / 60 % 60, time % 60);
        if !(self.hour[h as usize] && self.minute[m as usize] && self.second[s as usize]) {
            return false;
        }
        if let Some(known) = self.known_days.get(&day) {
            return *known;
        }
        let date = DateTime::<Utc>::from_timestamp(wall, 0).unwrap().date_naive();
        let selected = self.selects_date(date);
        self.known_days.insert(day, selected);
        selected
    }

    /// Every nominal time in `(from, to]`, by walking through real time in steps.
    fn walk(
        &mut self,
        zone: Tz,
        gap: DstGap,
        fold: DstFold,
        from: i64,
        to: i64,
        step: i64,
    ) -> Vec<i64> {
        // The walk starts early enough to know what the clock has shown before `from`: no clock
        // since 1973 was set back by more than three hours.
        let start = from - 4 * 3_600;
        let mut fires = vec![];
        let mut before = start - step + offset(zone, start - step);
        let mut highest = before;
        for t in (start..=to).step_by(step as usize) {
            let wall = t + offset(zone, t);
            let jumped = gap == DstGap::RunAfter
                && wall > before + step
                && (before + step..wall).step_by(step as usize).any(|w| self.selects_wall(w));
            let shown = self.selects_wall(wall) && (fold == DstFold::Both || wall > highest);
            if (jumped || shown) && t > from {
                fires.push(t);
            }
            before = wall;
            highest = highest.max(wall);
        }
        fires
    }
}

fn offset(zone: Tz, t: i64) -> i64 {
    let utc = DateTime::<Utc>::from_timestamp(t, 0).unwrap().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

// ---------------------------------------------------------------- random expressions

fn cased(rng: &mut Lcg, name: &str) -> String {
    match rng.below(3) {
        0 => name.to_ascii_lowercase(),
        1 => name[..1].to_owned() + &name[1..].to_ascii_lowercase(),
        _ => name.to_owned(),
    }
}

fn value_text(rng: &mut Lcg, value: i64, names: &[&str], min: i64) -> String {
    match names.get((value - min) as usize) {
        Some(name) if rng.chance(30) => cased(rng, name),
        _ => value.to_string(),
    }
}

/// A plain item between `low` and `high`, which are numbers of the field.
fn plain_item(rng: &mut Lcg, low: i64, high: i64, names: &[&str], min: i64) -> String {
    let a = rng.between(low, high);
    if a == high || rng.chance(50) {
        return value_text(rng, a, names, min);
    }
    let b = rng.between(a + 1, high);
    let mut item = value_text(rng, a, names, min) + "-" + &value_text(rng, b, names, min);
    if rng.chance(40) {
        write!(item, "/{}", rng.between(1, (b - a).max(1))).unwrap();
    }
    item
}

fn field(rng: &mut Lcg, star: u64, low: i64, high: i64, names: &[&str], min: i64) -> String {
    if rng.chance(star) {
        return "*".to_owned();
    }
    if rng.chance(15) {
        let span = if names == WEEKDAYS { 6 } else { high - min };
        return format!("*/{}", rng.between(1, span));
    }
    let items: Vec<String> =
        (0..1 + rng.below(3)).map(|_| plain_item(rng, low, high, names, min)).collect();
    items.join(",")
}

fn special_day(rng: &mut Lcg) -> (String, String) {
    let any = |rng: &mut Lcg| field(rng, 60, 1, 31, &[], 1);
    let weekday = |rng: &mut Lcg| {
        let day = rng.between(0, 7);
        value_text(rng, day, &WEEKDAYS, 0)
    };
    let mut dom = vec![];
    let mut dow = vec![];
    for _ in 0..1 + rng.below(2) {
        match rng.below(6) {
            0 => dom.push("L".to_owned()),
            1 => dom.push(format!("L-{}", rng.between(1, 30))),
            2 => dom.push("LW".to_owned()),
            3 => dom.push(format!("{}W", rng.between(1, 31))),
            4 => dow.push(format!("{}L", weekday(rng))),
            _ => dow.push(format!("{}#{}", weekday(rng), rng.between(1, 5))),
        }
    }
    if dom.is_empty() {
        dom.push(any(rng));
    }
    if dow.is_empty() {
        dow.push(if rng.chance(50) { "?".into() } else { field(rng, 30, 0, 7, &WEEKDAYS, 0) });
    }
    (dom.join(","), dow.join(","))
}

fn days(rng: &mut Lcg, special: u64) -> (String, String) {
    if rng.chance(special) {
        return special_day(rng);
    }
    (field(rng, 55, 1, 31, &[], 1), field(rng, 55, 0, 7, &WEEKDAYS, 0))
}

fn year_field(rng: &mut Lcg, around: i64) -> String {
    let (low, high) = ((around - 2).max(1970), (around + 3).min(2099));
    field(rng, 20, low, high, &[], 1970)
}

// ---------------------------------------------------------------- the comparisons

fn schedule(expr: &str, zone: &str, gap: DstGap, fold: Option<DstFold>) -> Schedule {
    let definition = Definition {
        name: "job",
        expr,
        timezone: zone,
        anchor: 0,
        start_at: None,
        end_at: None,
        dst_gap: gap,
        dst_fold: fold,
    };
    Schedule::parse(&definition).unwrap_or_else(|faults| panic!("{expr}: {faults:?}"))
}

const ZONES: [&str; 34] = [
    "Europe/London",
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Asuncion",
    "America/Santiago",
    "America/St_Johns",
    "America/Caracas",
    "America/Scoresbysund",
    "America/Nuuk",
    "America/Juneau",
    "Africa/Casablanca",
    "Africa/El_Aaiun",
    "Africa/Cairo",
    "Africa/Juba",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Tehran",
    "Asia/Amman",
    "Asia/Pyongyang",
    "Asia/Kathmandu",
    "Asia/Ulaanbaatar",
    "Atlantic/Azores",
    "Antarctica/Troll",
    "Antarctica/Casey",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kwajalein",
    "Pacific/Kiritimati",
    "Pacific/Fakaofo",
];

/// An instant at which the zone's offset changes, in a random year from 1973 on.
fn a_transition(rng: &mut Lcg, zone: Tz) -> Option<i64> {
    let year = rng.between(1973, 2045);
    let start =
        NaiveDate::from_ymd_opt(year as i32, 1, 1)?.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
    let steps: Vec<i64> = (0..366 * 4).map(|n| start + n * 21_600).collect();
    let changes: Vec<i64> = steps
        .windows(2)
        .filter(|pair| offset(zone, pair[0]) != offset(zone, pair[1]))
        .map(|pair| {
            let after = offset(zone, pair[1]);
            (pair[0]..=pair[1]).find(|t| t % 60 == 0 && offset(zone, *t) == after).unwrap()
        })
        .collect();
    if changes.is_empty() { None } else { Some(*rng.pick(&changes)) }
}

/// The famous ones come up more often than chance would bring them.
fn zone_and_transition(rng: &mut Lcg) -> (Tz, i64) {
    if rng.chance(6) {
        let (zone, t) = *rng.pick(&[
            (Tz::Pacific__Apia, 1_325_239_200),    // 2011-12-30 does not exist
            (Tz::Pacific__Kwajalein, 745_934_400), // 1993-08-21 does not exist
            (Tz::Pacific__Kiritimati, 788_954_400), // 1994-12-31 does not exist
            (Tz::Australia__Lord_Howe, 1_743_865_200), // back by half an hour
        ]);
        return (zone, t);
    }
    loop {
        let zone = if rng.chance(70) {
            rng.pick(&ZONES).parse().unwrap()
        } else {
            *rng.pick(&TZ_VARIANTS)
        };
        if let Some(t) = a_transition(rng, zone) {
            return (zone, t);
        }
    }
}

fn policy(rng: &mut Lcg, wildcard: bool) -> (DstGap, Option<DstFold>, DstGap, DstFold) {
    let gap = *rng.pick(&[DstGap::RunAfter, DstGap::Skip]);
    let fold = *rng.pick(&[None, None, Some(DstFold::First), Some(DstFold::Both)]);
    let usual = if wildcard { DstFold::Both } else { DstFold::First };
    (gap, fold, if wildcard { DstGap::Skip } else { gap }, fold.unwrap_or(usual))
}

/// Compares one expression over `(from, to]`, from its start and from random points within.
fn compare(rng: &mut Lcg, expr: &str, zone: Tz, from: i64, to: i64, step: i64) -> usize {
    let mut oracle = Oracle::new(expr);
    let (gap, fold, real_gap, real_fold) = policy(rng, oracle.wildcard);
    let expected = oracle.walk(zone, real_gap, real_fold, from, to, step);
    let schedule = schedule(expr, zone.name(), gap, fold);
    let got: Vec<i64> = schedule.upcoming(from).take_while(|t| *t <= to).collect();
    let case = format!("`{expr}` in {} gap {gap:?} fold {fold:?} after {from}", zone.name());
    assert_eq!(got, expected, "{case}");
    for _ in 0..8 {
        let t = rng.between(from, to);
        let expected = expected.iter().copied().find(|fire| *fire > t);
        let got = schedule.next_after(t).filter(|fire| *fire <= to);
        assert_eq!(got, expected, "{case}, from {t} on");
    }
    expected.len()
}

fn with_seed(salt: u64, cases: usize, mut case: impl FnMut(&mut Lcg)) {
    let times = std::env::var("CRONAPI_CASES").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    for n in 0..cases * times {
        let seed = seed(salt).wrapping_add(n as u64 * 7_919);
        let mut rng = Lcg(seed);
        rng.below(2);
        let run = std::panic::AssertUnwindSafe(|| case(&mut rng));
        if let Err(panic) = std::panic::catch_unwind(run) {
            eprintln!("case {n} of salt {salt}, base seed {}", self::seed(0));
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn five_fields_agree_around_transitions() {
    let mut fires = 0;
    with_seed(1, 1_500, |rng| {
        let (zone, change) = zone_and_transition(rng);
        let from = change - 60 * rng.between(0, 10 * 60);
        let to = change + 30 * 3_600;
        let minute = field(rng, 15, 0, 59, &[], 0);
        let hour = match rng.below(3) {
            0 => field(rng, 40, 0, 23, &[], 0),
            _ => field(rng, 10, 0, 4, &[], 0),
        };
        let (dom, dow) = days(rng, 10);
        let expr = format!("{minute} {hour} {dom} * {dow}");
        fires += compare(rng, &expr, zone, from, to, 60);
    });
    assert!(fires > 10_000, "only {fires} fires were compared");
}

#[test]
fn six_and_seven_fields_agree_around_transitions_by_the_second() {
    let mut fires = 0;
    with_seed(2, 200, |rng| {
        let (zone, change) = zone_and_transition(rng);
        let from = change - rng.between(0, 4_000);
        let to = change + 7_500;
        let second = field(rng, 15, 0, 59, &[], 0);
        let minute = field(rng, 30, 0, 59, &[], 0);
        let hour = field(rng, 30, 0, 4, &[], 0);
        let mut expr = format!("{second} {minute} {hour} * * *");
        if rng.chance(50) {
            let year = DateTime::<Utc>::from_timestamp(change, 0).unwrap().year();
            write!(expr, " {}", year_field(rng, i64::from(year))).unwrap();
        }
        fires += compare(rng, &expr, zone, from, to, 1);
    });
    assert!(fires > 20_000, "only {fires} fires were compared");
}

#[test]
fn months_of_minutes_agree() {
    let mut fires = 0;
    with_seed(3, 150, |rng| {
        let zone = *rng.pick(&[Tz::UTC, Tz::Europe__London, Tz::Australia__Lord_Howe]);
        let from = 60 * rng.between(5_000_000, 60_000_000);
        let month = field(rng, 70, 1, 12, &MONTHS, 1);
        let (dom, dow) = days(rng, 30);
        let (minute, hour) = (field(rng, 5, 0, 59, &[], 0), field(rng, 15, 0, 23, &[], 0));
        let expr = format!("{minute} {hour} {dom} {month} {dow}");
        fires += compare(rng, &expr, zone, from, from + 31 * 86_400, 60);
    });
    assert!(fires > 5_000, "only {fires} fires were compared");
}

#[test]
fn days_agree_up_to_the_horizon() {
    let mut never = 0;
    with_seed(4, 800, |rng| {
        let year = rng.between(1971, 2098);
        let from = NaiveDate::from_yo_opt(year as i32, rng.between(1, 365) as u32).unwrap();
        let (dom, dow) = days(rng, 60);
        let month = if rng.chance(40) { "2".into() } else { field(rng, 40, 1, 12, &MONTHS, 1) };
        let mut expr = format!("0 30 12 {dom} {month} {dow}");
        if rng.chance(40) {
            write!(expr, " {}", year_field(rng, year)).unwrap();
        }
        let oracle = Oracle::new(&expr);
        let last = NaiveDate::from_ymd_opt(2099, 12, 31).unwrap();
        let dates = from.iter_days().take_while(|date| *date <= last);
        let expected: Vec<NaiveDate> =
            dates.filter(|date| oracle.selects_date(*date)).take(12).collect();
        let at = from.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp();
        let schedule = schedule(&expr, "", DstGap::RunAfter, None);
        let got: Vec<NaiveDate> =
            schedule.upcoming(at).take(12).map(|t| schedule.local(t).1).collect();
        assert_eq!(got, expected, "`{expr}` from {from}");
        never += usize::from(expected.is_empty());
    });
    assert!(never > 5, "no expression that never fires was met");
}

// ---------------------------------------------------------------- another library

/// croner reads two things otherwise, which are left out: `*/n` in a day field (it ORs) and
/// ranges that end in `SUN`.
fn croner_field(rng: &mut Lcg, star: u64, low: i64, high: i64, names: &[&str], min: i64) -> String {
    loop {
        let text = field(rng, star, low, high, names, min);
        let day = high == 31 || names == WEEKDAYS;
        let sunday = text.to_ascii_uppercase().contains("-SUN");
        if !(sunday || day && text.starts_with("*/")) {
            return text;
        }
    }
}

#[test]
fn croner_agrees_in_utc() {
    with_seed(5, 800, |rng| {
        let minute = croner_field(rng, 10, 0, 59, &[], 0);
        let hour = croner_field(rng, 20, 0, 23, &[], 0);
        let dom = match rng.below(5) {
            0 => "L".to_owned(),
            1 => format!("{}W", rng.between(1, 28)),
            _ => croner_field(rng, 50, 1, 31, &[], 1),
        };
        let dow = match rng.below(5) {
            0 => format!("{}#{}", rng.between(0, 6), rng.between(1, 5)),
            1 => format!("{}L", rng.between(0, 6)),
            _ => croner_field(rng, 50, 0, 7, &WEEKDAYS, 0),
        };
        let month = croner_field(rng, 60, 1, 12, &MONTHS, 1);
        let expr = match rng.below(3) {
            0 => format!(
                "{} {minute} {hour} {dom} {month} {dow}",
                croner_field(rng, 10, 0, 59, &[], 0)
            ),
            _ => format!("{minute} {hour} {dom} {month} {dow}"),
        };
        let from = rng.between(1_600_000_000, 2_400_000_000);
        let other: croner::Cron = expr.parse().unwrap_or_else(|e| panic!("croner: {expr}: {e}"));
        let start = DateTime::<Utc>::from_timestamp(from, 0).unwrap();
        let expected: Vec<i64> = other
            .iter_after(start)
            .take(6)
            .map(|at| at.timestamp())
            .take_while(|t| *t < 4_000_000_000)
            .collect();
        let ours = schedule(&expr, "", DstGap::RunAfter, None);
        let got: Vec<i64> =
            ours.upcoming(from).take(6).take_while(|t| *t < 4_000_000_000).collect();
        assert_eq!(got, expected, "`{expr}` after {start}");
    });
}

/// Around changes of the clock, croner agrees on one fixed time and on true wildcards. Lists of
/// fixed times are left out: it takes them for wildcards. So are gaps of three hours (Casey) and
/// of days, where it ends.
#[test]
fn croner_agrees_around_transitions() {
    with_seed(6, 250, |rng| {
        let zone: Tz = rng.pick(&ZONES).parse().unwrap();
        let Some(change) = a_transition(rng, zone) else {
            return;
        };
        if offset(zone, change) - offset(zone, change - 1) > 2 * 3_600 {
            return;
        }
        let expr = match rng.below(3) {
            0 => format!("{} {} * * *", rng.between(0, 59), rng.between(0, 4)),
            1 => format!("*/{} * * * *", rng.pick(&[1, 5, 10, 30])),
            _ => format!("{} * * * *", rng.between(0, 59)),
        };
        let from = change - 60 * rng.between(0, 300);
        let to = change + 20 * 3_600;
        let other: croner::Cron = expr.parse().unwrap();
        let start = zone.timestamp_opt(from, 0).unwrap();
        let expected: Vec<i64> =
            other.iter_after(start).map(|at| at.timestamp()).take_while(|t| *t <= to).collect();
        let ours = schedule(&expr, zone.name(), DstGap::RunAfter, None);
        let got: Vec<i64> = ours.upcoming(from).take_while(|t| *t <= to).collect();
        assert_eq!(got, expected, "`{expr}` in {} after {from}", zone.name());
    });
}

#[test]
fn the_oracle_reads_a_known_week() {
    let mut oracle = Oracle::new("30 2 * * MON#1,5L");
    let monday = NaiveDate::from_ymd_opt(2027, 2, 1).unwrap().and_hms_opt(2, 30, 0).unwrap();
    assert_eq!(monday.minute(), 30);
    let t = monday.and_utc().timestamp();
    assert!(oracle.selects_wall(t) && !oracle.selects_wall(t + 7 * 86_400));
    assert!(oracle.selects_wall(t + 25 * 86_400), "Friday 26 February is the last one");
}
