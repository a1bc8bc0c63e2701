//! The ledger: one outcome for every nominal time, and none for any other.

use std::collections::BTreeMap;

use crate::model::limits::COUNTED_MAX;
use crate::model::{LedgerRow, Outcome, Timestamp};

use super::report::{Findings, rule};
use super::timeline::Timeline;

/// A walk along a ledger, newest first, of the times from `floor` up to, not including, `cut`.
pub(super) struct Rows<'a> {
    timeline: &'a Timeline,
    floor: Timestamp,
    /// Everything from here on has been judged.
    judged: Timestamp,
    /// The nominal time of the row before.
    above: Option<Timestamp>,
    /// The newest row of each version.
    newest: BTreeMap<u64, Timestamp>,
    /// Whether the schedule goes on: then no time of the version in force may be missing.
    goes_on: Option<u64>,
    /// Rows of versions that are not known any more.
    pub(super) unknown: u64,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        timeline: &'a Timeline,
        floor: Timestamp,
        cut: Timestamp,
        goes_on: Option<u64>,
    ) -> Self {
        let (above, newest, unknown) = (None, BTreeMap::new(), 0);
        Rows { timeline, floor, judged: cut, above, newest, goes_on, unknown }
    }

    /// Judges the rows that follow, newest first; `last`: there are no more.
    pub(super) fn judge(&mut self, rows: &[LedgerRow], last: bool, found: &mut Findings) {
        for row in rows {
            self.row(row, found);
        }
        let down_to = match rows.last() {
            _ if last => self.floor,
            Some(row) => row.nominal_time,
            None => return,
        };
        self.times(rows, down_to, found);
        self.judged = down_to;
    }

    fn row(&mut self, row: &LedgerRow, found: &mut Findings) {
        found.rows += 1;
        let at = row.nominal_time;
        self.newest.entry(row.version).or_insert(at);
        if let Some(above) = self.above {
            if at >= above {
                found.add(rule::ONE_OUTCOME, format!("the row of {at} is not older than {above}"));
            } else if row.until.is_some_and(|until| until > above) {
                let range = shown(row);
                found.add(rule::ONE_OUTCOME, format!("{above} has two outcomes: also {range}"));
            }
        }
        self.above = Some(at);
        match self.timeline.names(row.version, at) {
            Some(true) => {}
            Some(false) => {
                let (what, version) = (shown(row), row.version);
                let text = format!("{at} is no nominal time of version {version}, yet is {what}");
                found.add(rule::NAMED_TIME, text);
            }
            None => self.unknown += 1,
        }
        if row.until.is_some_and(|until| until <= at) {
            found.add(rule::NAMED_TIME, format!("{} is empty", shown(row)));
        }
        if let (Some(until), Some(count)) = (row.until, row.count) {
            self.counted(row, until, count, found);
        }
        if row.outcome == Outcome::Fired {
            self.fired(row, found);
        }
    }

    fn counted(&self, row: &LedgerRow, until: Timestamp, count: u32, found: &mut Findings) {
        let most = COUNTED_MAX as usize + 1;
        let named = self.timeline.count(row.version, row.nominal_time, until, most);
        if named.is_some_and(|named| named != count as usize) {
            let (named, range) = (named.unwrap_or_default(), shown(row));
            found.add(rule::NAMED_TIME, format!("{range} counts {count} times and has {named}"));
        }
    }

    fn fired(&self, row: &LedgerRow, found: &mut Findings) {
        let at = row.nominal_time;
        if row.run_id.is_none() {
            found.add(rule::RUN_OF_ROW, format!("{at} fired and names no run"));
        }
        if row.until.is_some() {
            found.add(rule::RUN_OF_ROW, format!("{} is a range and fired", shown(row)));
        }
        if let Some((before, from)) = self.timeline.before_its_version(row.version, at) {
            let version = row.version;
            let text = format!(
                "{at} fired as of version {version}, in force from {from} on; version {before}, \
                 in force before, was paused or does not name it"
            );
            found.add(rule::ITS_VERSION, text);
        }
        if row.decided_at < at {
            let decided = row.decided_at;
            found.add(rule::NEVER_EARLY, format!("{at} was decided early, at {decided}"));
        }
    }

    /// Every time from `down_to` up to what was judged before has a row among `rows`.
    fn times(&mut self, rows: &[LedgerRow], down_to: Timestamp, found: &mut Findings) {
        let mut ascending = rows.iter().rev().peekable();
        let mut after = Timestamp::from_micros(down_to.micros() - 1);
        while let Some((at, version)) = self.timeline.next_certain(after) {
            if at >= self.judged {
                return;
            }
            while ascending.next_if(|row| end(row) <= at).is_some() {}
            let over = ascending.peek().filter(|row| row.nominal_time <= at);
            after = match over {
                Some(row) if row.until.is_some() => {
                    found.times += u64::from(row.count.unwrap_or(1));
                    Timestamp::from_micros(end(row).micros() - 1)
                }
                Some(_) => {
                    found.times += 1;
                    at
                }
                None => {
                    found.times += 1;
                    if !self.was_over(version, at) {
                        found.add(rule::ONE_OUTCOME, format!("{at} has no outcome"));
                    }
                    at
                }
            };
        }
    }

    /// Whether a schedule that ends after `max_runs` may have ended before `at`: then no later
    /// time of that version has a row.
    fn was_over(&self, version: u64, at: Timestamp) -> bool {
        self.timeline.may_be_over(version)
            && self.goes_on != Some(version)
            && self.newest.get(&version).is_none_or(|newest| *newest < at)
    }
}

/// The first instant that a row is not about.
fn end(row: &LedgerRow) -> Timestamp {
    row.until.unwrap_or(Timestamp::from_micros(row.nominal_time.micros() + 1))
}

/// A row in a few words.
fn shown(row: &LedgerRow) -> String {
    let outcome = match row.outcome {
        Outcome::Fired => "fired",
        Outcome::Skipped => "skipped",
        Outcome::Superseded => "superseded",
    };
    match row.until {
        Some(until) => format!("the range {}..{until} {outcome}", row.nominal_time),
        None => outcome.to_owned(),
    }
}
