//! The text of a schedule, as a whole: aliases, `@every`, `@at`, and how many fields.

use chrono::{DateTime, SecondsFormat};

use super::fault::Fault;
use super::field::{
    DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, Kind, MINUTE, MONTH, SECOND, Source, YEAR,
};
use super::{HORIZON_S, every};

/// The longest accepted `expr`, in bytes.
pub const EXPR_LEN_MAX: usize = 512;

/// A parsed `expr`.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    Cron(Box<Cron>),
    /// Whole seconds between two nominal times.
    Every(i64),
    /// The one nominal time, unix seconds.
    At(i64),
}

/// The seven fields of a cron expression.
#[derive(Debug, Clone)]
pub(super) struct Cron {
    pub(super) second: Field,
    pub(super) minute: Field,
    pub(super) hour: Field,
    pub(super) day_of_month: Field,
    pub(super) month: Field,
    pub(super) day_of_week: Field,
    pub(super) year: Field,
}

impl Cron {
    /// Whether the schedule follows real time across DST changes: Vixie cron's "wildcard jobs".
    pub(super) fn is_wildcard(&self) -> bool {
        self.minute.wildcard || self.hour.wildcard
    }

    /// Whether a day must satisfy only one of the two day fields: Vixie's rule for two
    /// restricted fields. A field that begins with `*` is not restricted, `*/2` included.
    pub(super) fn either_day(&self) -> bool {
        !self.day_of_month.star && !self.day_of_week.star
    }
}

/// Parses an expression for the job called `job`.
pub(super) fn parse(text: &str, job: &str) -> Result<Expr, Fault> {
    if text.len() > EXPR_LEN_MAX {
        return Err(Fault::expr(format!(
            "is {} bytes long; the limit is {EXPR_LEN_MAX}",
            text.len()
        )));
    }
    if let Some(c) = text.chars().find(|c| !(c.is_ascii_graphic() || matches!(c, ' ' | '\t'))) {
        let at = text.chars().take_while(|other| *other != c).count() + 1;
        return Err(Fault::expr(format!(
            "character {at} ({}) is not plain ASCII text; retype it",
            c.escape_unicode()
        )));
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::expr("is empty; write for example `*/5 * * * *` or `@every 5m`"));
    }
    match text.strip_prefix('@') {
        Some(named) => parse_named(named, job),
        None => parse_cron(text, job),
    }
}

fn parse_named(named: &str, job: &str) -> Result<Expr, Fault> {
    let (word, rest) = named.split_once([' ', '\t']).unwrap_or((named, ""));
    let (word, rest) = (word.to_ascii_lowercase(), rest.trim());
    let alias = match word.as_str() {
        "every" => return every::parse_period(rest).map(Expr::Every),
        "at" => return parse_instant(rest).map(Expr::At),
        "reboot" => {
            return Err(Fault::expr(
                "@reboot has no meaning in a cluster: no single machine's start is the start; \
                 use `@at` for one run, or start the job by hand",
            ));
        }
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        _ => {
            return Err(Fault::expr(format!(
                "`@{word}` is unknown; known are @hourly @daily @midnight @weekly @monthly \
                 @yearly @annually @every and @at"
            )));
        }
    };
    if !rest.is_empty() {
        return Err(Fault::expr(format!("`@{word}` takes nothing after it, but has `{rest}`")));
    }
    parse_cron(alias, job)
}

fn parse_instant(text: &str) -> Result<i64, Fault> {
    let instant = DateTime::parse_from_rfc3339(text).map_err(|_| {
        Fault::expr(format!(
            "@at `{text}` is not a date and time with an offset; write for example \
             `@at 2027-01-01T00:00:00Z` or `@at 2027-01-01T00:00:00+01:00`"
        ))
    })?;
    let t = instant.timestamp();
    if !(0..HORIZON_S).contains(&t) {
        return Err(Fault::expr(format!("@at `{text}` is outside the years 1970 to 2099")));
    }
    match instant.timestamp_subsec_nanos() {
        0 => {}
        // How the reader of the text says 23:59:60.
        1_000_000_000.. => {
            return Err(Fault::expr(format!(
                "@at `{text}` is a leap second, and clocks here have none"
            )));
        }
        _ => {
            let whole = instant.to_rfc3339_opts(SecondsFormat::Secs, true);
            let better = match parse_instant(&whole) {
                Ok(read) if read == t => format!("; the second that it lies in is `@at {whole}`"),
                _ => String::new(),
            };
            return Err(Fault::expr(format!("@at takes whole seconds{better}")));
        }
    }
    Ok(t)
}

fn parse_cron(text: &str, job: &str) -> Result<Expr, Fault> {
    if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
        return Err(Fault::expr("a zone can't be part of it; set `timezone` instead"));
    }
    let texts: Vec<&str> = text.split_ascii_whitespace().collect();
    let (seconds, years) = match texts.len() {
        5 => (0, 0),
        6 => (1, 0),
        7 => (1, 1),
        n => return Err(wrong_count(n)),
    };
    let field = |kind: &'static Kind, index: usize| {
        let text = texts.get(index).copied().unwrap_or("*");
        Source { kind, job, text, place: (index + 1, texts.len()), texts: &texts }.parse()
    };
    Ok(Expr::Cron(Box::new(Cron {
        second: if seconds == 1 { field(&SECOND, 0)? } else { Field::fixed(&SECOND, 0) },
        minute: field(&MINUTE, seconds)?,
        hour: field(&HOUR, seconds + 1)?,
        day_of_month: field(&DAY_OF_MONTH, seconds + 2)?,
        month: field(&MONTH, seconds + 3)?,
        day_of_week: field(&DAY_OF_WEEK, seconds + 4)?,
        year: if years == 1 { field(&YEAR, seconds + 5)? } else { Field::every(&YEAR) },
    })))
}

fn wrong_count(n: usize) -> Fault {
    Fault::expr(format!(
        "has {n} field{}; write 5 (minute hour day-of-month month day-of-week), 6 (second \
         first) or 7 (second first, year last)",
        if n == 1 { "" } else { "s" }
    ))
}
