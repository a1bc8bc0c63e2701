//! One field of a cron expression: its bounds, its names, and the values its text selects.
//!
//! Source of the rules: crontab(5) of Vixie cron; `H` from the Jenkins pipeline manual.

use super::fault::Fault;
use super::special::{self, Special};
use super::spread::spread;

/// What a field counts. The names are part of the `H` hash (see `Source::hash`): frozen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) min: u32,
    /// The largest number accepted in text; `star_max` is the last value `*` stands for.
    pub(super) max: u32,
    pub(super) star_max: u32,
    /// The last value of a bare `H`: 28 for days, so that every month has it.
    hash_max: u32,
    /// Names of the values from `min` on.
    pub(super) names: &'static [&'static str],
}

const fn kind(name: &'static str, min: u32, max: u32) -> Kind {
    Kind { name, min, max, star_max: max, hash_max: max, names: &[] }
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(super) static SECOND: Kind = kind("second", 0, 59);
pub(super) static MINUTE: Kind = kind("minute", 0, 59);
pub(super) static HOUR: Kind = kind("hour", 0, 23);
pub(super) static DAY_OF_MONTH: Kind = Kind { hash_max: 28, ..kind("day-of-month", 1, 31) };
pub(super) static MONTH: Kind = Kind { names: &MONTHS, ..kind("month", 1, 12) };
/// 7 is read as Sunday too, and stored as 0.
pub(super) static DAY_OF_WEEK: Kind =
    Kind { star_max: 6, hash_max: 6, names: &WEEKDAYS, ..kind("day-of-week", 0, 7) };
/// The zone data ends with 2099.
pub(super) static YEAR: Kind = kind("year", 1970, 2099);

/// The values one field selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) kind: &'static Kind,
    /// Ascending, distinct.
    pub(super) values: Vec<u32>,
    /// Day symbols that depend on the month; only in the two day fields.
    pub(super) special: Vec<Special>,
    /// The text begins with `*` (or is `?`): Vixie's sign of an unrestricted day field.
    pub(super) star: bool,
    /// The text begins with `*` or `H/`: follows real time across DST changes.
    pub(super) wildcard: bool,
}

impl Field {
    /// A field that no text gave: exactly `value`.
    pub(super) fn fixed(kind: &'static Kind, value: u32) -> Field {
        Field { kind, values: vec![value], special: vec![], star: false, wildcard: false }
    }

    /// A field that no text gave: every value.
    pub(super) fn every(kind: &'static Kind) -> Field {
        let values = (kind.min..=kind.star_max).collect();
        Field { kind, values, special: vec![], star: true, wildcard: true }
    }

    /// Whether no value is excluded.
    pub(super) fn is_full(&self) -> bool {
        self.values.len() == (self.kind.star_max - self.kind.min + 1) as usize
    }
}

/// What a refused item was meant to select.
pub(super) enum Meant {
    Values(Vec<u32>),
    Days(Vec<Special>),
}

/// What the first characters of a field decide.
#[derive(Clone, Copy)]
pub(super) struct Signs {
    pub(super) star: bool,
    pub(super) wildcard: bool,
}

pub(super) fn signs(text: &str) -> Signs {
    let spread = text.get(..2).is_some_and(|two| two.eq_ignore_ascii_case("H/"));
    Signs { star: text.starts_with(['*', '?']), wildcard: text.starts_with(['*', '?']) || spread }
}

/// The text of one field, with what messages and `H` need to know about it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) kind: &'static Kind,
    /// The job's name, the seed of `H`.
    pub(super) job: &'a str,
    pub(super) text: &'a str,
    /// 1-based place of the field, and the number of fields.
    pub(super) place: (usize, usize),
    /// All fields: advice must fit into the whole.
    pub(super) texts: &'a [&'a str],
}

/// Both ends of a range; the error: they run backwards.
type Ends = Result<(u32, u32), (u32, u32)>;

impl Source<'_> {
    /// Reads the whole field: a comma-separated list of items.
    pub(super) fn parse(&self) -> Result<Field, Fault> {
        let Signs { star, wildcard } = signs(self.text);
        let (kind, values, special) = (self.kind, vec![], vec![]);
        let mut field = Field { kind, values, special, star, wildcard };
        for item in self.text.split(',') {
            self.item(item, &mut field)?;
        }
        if self.kind == &DAY_OF_WEEK {
            field.values.iter_mut().for_each(|v| *v %= 7);
        }
        field.values.sort_unstable();
        field.values.dedup();
        Ok(field)
    }

    /// A refusal that says where in the expression it is.
    pub(super) fn fault(&self, detail: impl std::fmt::Display) -> Fault {
        let (n, of) = self.place;
        let (name, text) = (self.kind.name, self.text);
        Fault::expr(format!("{name} field (`{text}`, {n} of {of}): {detail}"))
    }

    fn item(&self, item: &str, field: &mut Field) -> Result<(), Fault> {
        if item.is_empty() {
            return Err(self.fault("a comma with nothing before or after it; remove it"));
        }
        let (body, step) = match item.split_once('/') {
            Some((body, step)) => (body, Some(self.step(item, step)?)),
            None => (item, None),
        };
        let upper = body.to_ascii_uppercase();
        if let Some(symbol) = special::parse(self, &upper)? {
            if step.is_some() {
                return Err(self.fault(format!("`{body}` names one day and takes no step")));
            }
            field.special.push(symbol);
        } else if upper == "?" {
            self.question_mark(item, step)?;
            field.values.extend(self.kind.min..=self.kind.star_max);
        } else if upper.starts_with('H') {
            self.hashed(&upper, step, field)?;
        } else if upper == "*" {
            self.push(self.kind.min, self.kind.star_max, step, item, field)?;
        } else if let Some((from, to)) = upper.split_once('-') {
            let (from, to) = self.range(from, to)?.map_err(|(from, to)| {
                let better = self.forwards(item, from, to, step.unwrap_or(1));
                self.fault(format!("`{item}`: the range runs backwards{better}"))
            })?;
            self.push(from, to, step, item, field)?;
        } else {
            let value = self.value(&upper)?;
            if let Some(n) = step {
                return Err(self.step_after_value(item, body, value, n));
            }
            field.values.push(value);
        }
        Ok(())
    }

    fn question_mark(&self, item: &str, step: Option<u32>) -> Result<(), Fault> {
        if self.kind != &DAY_OF_MONTH && self.kind != &DAY_OF_WEEK {
            let all = self.kind.min..=self.kind.star_max;
            let meant = Meant::Values(all.step_by(step.unwrap_or(1) as usize).collect());
            let better = self.write(item, vec![item.replacen('?', "*", 1)], &meant);
            return Err(self.fault(format!("`?` belongs in the two day fields{better}")));
        }
        if step.is_some() || self.text != "?" {
            return Err(self.fault("`?` stands alone in its field"));
        }
        Ok(())
    }

    /// `5/15`: from 5 on to some, 5 alone to others.
    fn step_after_value(&self, item: &str, body: &str, value: u32, n: u32) -> Fault {
        let max = self.kind.star_max;
        let from: Vec<u32> = (value..=max).step_by(n as usize).collect();
        let several = from.len() > 1;
        let every = self.proved(item, vec![format!("{body}-{max}/{n}")], &Meant::Values(from));
        let alone = self.proved(item, vec![body.to_owned()], &Meant::Values(vec![value]));
        let better = match (every.filter(|_| several), alone) {
            (Some(every), Some(alone)) => {
                format!("; write `{every}` for every {n} from {value}, or `{alone}`")
            }
            (None, Some(alone)) => format!("; write `{alone}`"),
            _ => String::new(),
        };
        self.fault(format!("`{item}`: crons disagree on a step after a single value{better}"))
    }

    fn step(&self, item: &str, step: &str) -> Result<u32, Fault> {
        match number(step) {
            Some(0) => Err(self.fault(format!("`{item}`: a step is at least 1"))),
            Some(n) => Ok(n),
            None => Err(self.fault(format!(
                "`{item}`: the step after `/` must be a whole number, as in `*/5`"
            ))),
        }
    }

    /// Adds `from..=to` by `step`.
    fn push(
        &self,
        from: u32,
        to: u32,
        step: Option<u32>,
        item: &str,
        field: &mut Field,
    ) -> Result<(), Fault> {
        let n = step.unwrap_or(1);
        if n > (to - from).max(1) {
            let better = self.write(item, vec![from.to_string()], &Meant::Values(vec![from]));
            let better = if better.is_empty() { better } else { better + " if that is meant" };
            return Err(self.fault(format!(
                "`{item}`: a step of {n} is larger than the range {from}-{to} and would select \
                 {from} alone{better}"
            )));
        }
        field.values.extend((from..=to).step_by(n as usize));
        Ok(())
    }

    /// Both ends of `from-to`; the inner error: they run backwards. `SUN` as the end of a range
    /// is 7, so that `FRI-SUN` reads well.
    fn range(&self, from: &str, to: &str) -> Result<Ends, Fault> {
        let low = self.value(from)?;
        let high = match self.value(to)? {
            0 if to == "SUN" && low > 0 => 7,
            high => high,
        };
        Ok(if low <= high { Ok((low, high)) } else { Err((low, high)) })
    }

    /// `H`, `H/15`, `H(0-29)`, `H(10-40)/10`, already in upper case.
    fn hashed(&self, body: &str, step: Option<u32>, field: &mut Field) -> Result<(), Fault> {
        if self.kind == &YEAR {
            return Err(self.fault("`H` can't spread over years; write the years"));
        }
        let (from, to) = match body.strip_prefix('H') {
            Some("") => (self.kind.min, self.kind.hash_max),
            rest => {
                let inner =
                    rest.and_then(|r| r.strip_prefix('(')).and_then(|r| r.strip_suffix(')'));
                let Some((from, to)) = inner.and_then(|r| r.split_once('-')) else {
                    return Err(self.fault(format!(
                        "`{body}`: the forms are `H`, `H/2`, `H(1-5)` and `H(1-5)/2`"
                    )));
                };
                self.range(from, to)?.map_err(|_| {
                    self.fault(format!("`{body}`: the range of `H` can't run backwards"))
                })?
            }
        };
        match step {
            None => field.values.push(from + self.hash(to - from + 1)),
            Some(n) if n > to - from => {
                let alone = (from + self.hash(n)..=to).step_by(n as usize).collect();
                let item = format!("{body}/{n}");
                let better = self.write(&item, vec![body.to_owned()], &Meant::Values(alone));
                return Err(self.fault(format!(
                    "`{item}`: the step is larger than the range {from}-{to}{better}"
                )));
            }
            Some(n) => field.values.extend((from + self.hash(n)..=to).step_by(n as usize)),
        }
        Ok(())
    }

    /// Another hash for each field, so that `H H * * *` covers the day and not a diagonal of it.
    fn hash(&self, bound: u32) -> u32 {
        let spread = spread(&format!("{}#{}", self.job, self.kind.name), u64::from(bound));
        u32::try_from(spread).unwrap_or(0)
    }

    /// A number or a name (given in upper case) within the bounds of the field.
    pub(super) fn value(&self, text: &str) -> Result<u32, Fault> {
        let Kind { min, max, names, .. } = *self.kind;
        if let Some(at) = names.iter().position(|name| *name == text) {
            return Ok(min + at as u32);
        }
        if let Some(value) = number(text) {
            if (min..=max).contains(&value) {
                return Ok(value);
            }
            let hint = match (self.kind.name, value) {
                ("hour", 24) => "; a day begins with hour 0",
                ("minute" | "second", 60) => "; an hour or minute begins with 0",
                _ => "",
            };
            return Err(self.fault(format!("{value} is outside {min}-{max}{hint}")));
        }
        if let Some(short) = self.short_name(text) {
            return Err(self.fault(format!("`{text}`: names have three letters; write `{short}`")));
        }
        let names = if names.is_empty() {
            String::new()
        } else {
            format!(" or a name ({})", names.join(" "))
        };
        Err(self.fault(format!("`{text}` is not a number {min}-{max}{names}")))
    }
}

/// Plain decimal digits only: no sign, no more than six digits.
pub(super) fn number(text: &str) -> Option<u32> {
    let plain = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}
