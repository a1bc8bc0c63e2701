//! What to write instead of a refused item: each text is read in the field's own dialect and
//! compared with what was meant before it is given. None is given rather than a wrong one.

use super::field::{
    DAY_OF_MONTH, DAY_OF_WEEK, HOUR, Kind, MINUTE, MONTH, Meant, Source, YEAR, signs,
};
use super::names::{MONTHS, WEEKDAYS};

impl Source<'_> {
    /// The first of `texts` that, in place of `item`, selects what was meant, and by which the
    /// rest of the expression means what it did.
    pub(super) fn proved(&self, item: &str, texts: Vec<String>, meant: &Meant) -> Option<String> {
        texts.into_iter().find(|text| self.selects(text, meant) && self.keeps_signs(item, text))
    }

    /// `; write ...` when there is a proved text, else nothing.
    pub(super) fn write(&self, item: &str, texts: Vec<String>, meant: &Meant) -> String {
        self.proved(item, texts, meant).map_or_else(String::new, |text| format!("; write `{text}`"))
    }

    fn selects(&self, text: &str, meant: &Meant) -> bool {
        let Ok(read) = (Source { text, ..*self }).parse() else { return false };
        match meant {
            Meant::Values(values) => {
                let mut values: Vec<u32> = values.iter().map(|v| self.stored(*v)).collect();
                values.sort_unstable();
                values.dedup();
                read.special.is_empty() && read.values == values
            }
            Meant::Days(days) => read.values.is_empty() && read.special == *days,
        }
    }

    /// 7 is Sunday, stored as 0.
    fn stored(&self, value: u32) -> u32 {
        if self.kind == &DAY_OF_WEEK { value % 7 } else { value }
    }

    /// Whether the field stays as it is in what its first character decides: how the day fields
    /// are combined, and whether the schedule follows real time.
    fn keeps_signs(&self, item: &str, text: &str) -> bool {
        let mut items: Vec<&str> = self.text.split(',').collect();
        let Some(place) = items.iter_mut().find(|other| other.eq_ignore_ascii_case(item)) else {
            return false;
        };
        *place = text;
        let (was, is) = (signs(self.text), signs(&items.join(",")));
        // Either sign counts only where the field beside it does not bear it too.
        if self.kind == &DAY_OF_MONTH {
            was.star == is.star || self.beside(2).is_some_and(|text| signs(text).star)
        } else if self.kind == &DAY_OF_WEEK {
            was.star == is.star || self.beside(-2).is_some_and(|text| signs(text).star)
        } else if self.kind == &MINUTE {
            was.wildcard == is.wildcard || self.beside(1).is_some_and(|text| signs(text).wildcard)
        } else if self.kind == &HOUR {
            was.wildcard == is.wildcard || self.beside(-1).is_some_and(|text| signs(text).wildcard)
        } else {
            true
        }
    }

    /// The text of the field so many places further on.
    fn beside(&self, places: isize) -> Option<&str> {
        let at = (self.place.0 - 1).checked_add_signed(places)?;
        self.texts.get(at).copied()
    }

    /// `from-to` by `step` that runs beyond the end of the field and goes on from its start: the
    /// texts that may say so, and what it selects.
    pub(super) fn around(&self, from: u32, to: u32, step: u32) -> (Vec<String>, Meant) {
        let Kind { min, star_max, .. } = *self.kind;
        let (from, to) = (self.stored(from), self.stored(to));
        let size = star_max - min + 1;
        let end = if from <= to { to } else { to + size };
        let all: Vec<u32> = (from..=end).step_by(step as usize).collect();
        let over = all.partition_point(|value| *value <= star_max);
        let (before, after) = all.split_at(over);
        let after: Vec<u32> = after.iter().map(|value| value - size).collect();
        let parts: Vec<String> = [(before, end.min(star_max)), (&after, to)]
            .into_iter()
            .filter_map(|(values, last)| counted(values, last, step))
            .collect();
        let mut texts = vec![parts.join(",")];
        if self.kind == &DAY_OF_WEEK && to == 0 {
            // Sunday ends a week that began on another day.
            texts.insert(0, counted(before, 7, step).unwrap_or_default());
        }
        (texts, Meant::Values(before.iter().chain(&after).copied().collect()))
    }

    /// What a range that runs backwards, no part of an `H`, should be instead.
    pub(super) fn forwards(&self, item: &str, from: u32, to: u32, step: u32) -> String {
        if self.kind == &YEAR {
            // Years don't come again: only the order can be wrong, and then a step's start is.
            let meant = Meant::Values((to..=from).collect());
            let texts = if step == 1 { vec![format!("{to}-{from}")] } else { vec![] };
            return self.write(item, texts, &meant);
        }
        let (texts, meant) = self.around(from, to, step);
        let text = self.proved(item, texts, &meant);
        text.map_or_else(String::new, |text| format!("; to wrap around, write `{text}`"))
    }

    /// The short name that a long one, or a part of it, begins with.
    pub(super) fn short_name(&self, text: &str) -> Option<&'static str> {
        let long = match self.kind {
            kind if kind == &MONTH => &MONTHS[..],
            kind if kind == &DAY_OF_WEEK => &WEEKDAYS[..],
            _ => return None,
        };
        let starts = |name: &str| text.len() > 3 && name.to_ascii_uppercase().starts_with(text);
        let at = long.iter().position(|name| starts(name))?;
        let short = self.kind.names.get(at)?;
        let meant = Meant::Values(vec![self.kind.min + at as u32]);
        self.selects(short, &meant).then_some(*short)
    }
}

/// Some of the values up to `last`, by `step`; none when there are none.
fn counted(values: &[u32], last: u32, step: u32) -> Option<String> {
    match values {
        [] => None,
        [one] => Some(one.to_string()),
        [first, ..] if step == 1 => Some(format!("{first}-{last}")),
        [first, ..] => Some(format!("{first}-{last}/{step}")),
    }
}

#[cfg(test)]
mod tests;
