//! Date sets such as holidays, which exclude or include nominal times by their local date.

use chrono::NaiveDate;

/// A set of dates. Build with [`Calendar::parse`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Calendar {
    /// Inclusive ranges, ascending, not overlapping.
    ranges: Vec<(NaiveDate, NaiveDate)>,
}

/// A refusal of one item of a calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("item {index}: {detail}")]
pub struct CalendarFault {
    /// Position in the list given, from 0.
    pub index: usize,
    /// What is wrong and what to write instead. English, one line.
    pub detail: String,
}

impl Calendar {
    /// Parses dates (`2026-12-25`) and ranges with both ends included
    /// (`2026-12-24..2027-01-02`), in any order, overlapping or not. Years 1970 to 2099.
    pub fn parse(items: &[String]) -> Result<Calendar, CalendarFault> {
        let mut ranges = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            ranges.push(parse_item(item).map_err(|detail| CalendarFault { index, detail })?);
        }
        ranges.sort_unstable();
        let mut merged: Vec<(NaiveDate, NaiveDate)> = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            match merged.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        Ok(Calendar { ranges: merged })
    }

    /// Whether `date` is in the set. Logarithmic in the number of items.
    pub fn contains(&self, date: NaiveDate) -> bool {
        let after = self.ranges.partition_point(|(from, _)| *from <= date);
        after.checked_sub(1).and_then(|i| self.ranges.get(i)).is_some_and(|(_, to)| date <= *to)
    }
}

fn parse_item(item: &str) -> Result<(NaiveDate, NaiveDate), String> {
    let (from, to) = item.split_once("..").unwrap_or((item, item));
    let (from, to) = (parse_date(from)?, parse_date(to)?);
    if from > to {
        return Err(format!("`{}` ends before it begins; write {to}..{from}", excerpt(item)));
    }
    Ok((from, to))
}

/// Only the exact shape `YYYY-MM-DD`, so that each date has one spelling.
fn parse_date(text: &str) -> Result<NaiveDate, String> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    if !shaped {
        return Err(format!(
            "`{}` is not a date; write 2026-12-25 or 2026-12-24..2027-01-02",
            excerpt(text)
        ));
    }
    let date = text.parse::<NaiveDate>();
    let date = date.map_err(|_| format!("`{text}` is not in the calendar; check month and day"))?;
    if !(("1970".."2100").contains(&&text[..4])) {
        return Err(format!("`{text}` is outside the years 1970 to 2099"));
    }
    Ok(date)
}

/// The beginning of a text that may be anything, for a message.
fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::Calendar;
    use chrono::NaiveDate;

    fn parse(items: &[&str]) -> Result<Calendar, super::CalendarFault> {
        Calendar::parse(&items.iter().map(|s| s.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn overlapping_ranges_are_one_set() {
        let set = parse(&[
            "2026-12-25",
            "2026-12-24..2027-01-02",
            "2026-12-01",
            "2026-12-26..2026-12-27",
        ])
        .unwrap();
        for (date, inside) in [
            ("2026-11-30", false),
            ("2026-12-01", true),
            ("2026-12-02", false),
            ("2026-12-23", false),
            ("2026-12-24", true),
            ("2026-12-31", true),
            ("2027-01-02", true),
            ("2027-01-03", false),
        ] {
            assert_eq!(set.contains(date.parse::<NaiveDate>().unwrap()), inside, "{date}");
        }
        assert!(!Calendar::default().contains("2026-12-25".parse().unwrap()));
    }

    #[test]
    fn a_bad_item_is_named_by_its_index() {
        for bad in [
            "2026-02-30",
            "2026-1-1",
            "26-01-01",
            "2026-12-25..",
            "2027-01-02..2026-12-24",
            "",
            "2026-12-24...2026-12-25",
            "tomorrow",
            "é026-12-2",
            "1969-01-01",
            "2100-01-01",
        ] {
            assert_eq!(parse(&["2026-12-25", bad]).unwrap_err().index, 1, "{bad}");
        }
    }
}
