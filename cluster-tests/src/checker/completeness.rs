//! Every nominal time of every job ends in exactly one outcome, and no other time does.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use crate::history::{History, Life, Row};
use crate::moment::Moment;

/// A time this close to when a ledger was read may be in it or not: the reader's clock and the
/// scheduler's are read one after the other.
const EDGE_MS: i64 = 100;

/// From the date of a decision to its being read, on a busy machine.
const UNREAD_MS: i64 = 5_000;

/// The nominal times of a life. True: it must be in the ledger; false: it may be.
fn expected(life: &Life) -> BTreeMap<Moment, bool> {
    let mut times = BTreeMap::new();
    for (at, version) in life.versions.iter().enumerate() {
        let Some(schedule) = version.definition.schedule else { continue };
        let begin = version.effective;
        let end = life.versions.get(at + 1).map_or(life.read_at, |next| next.effective);
        // One instant decides an edit: the times up to it are those of the definition before.
        // Only how far the last one was read is not known to the instant.
        let read = at + 1 == life.versions.len();
        let until = if read { end.plus_ms(EDGE_MS) } else { end };
        for time in schedule.between(life.created, begin, until).into_iter().filter(|t| *t > begin)
        {
            let certain = !read || time.ms_since(end).abs() > EDGE_MS;
            times.entry(time).and_modify(|sure| *sure = true).or_insert(certain);
        }
    }
    times
}

/// Up to where a ledger must be complete.
fn horizon(life: &Life) -> Moment {
    if life.deleted.is_none() {
        return life.read_at.plus_ms(-EDGE_MS);
    }
    // It was read while the job lived on: what follows the newest row was to come.
    let last = |row: &Row| row.until.map_or(row.nominal_time, |until| until.plus_ms(-1));
    life.ledger.iter().map(last).max().unwrap_or_default()
}

pub(super) fn every_time_once(history: &History, findings: &mut Findings) {
    for life in &history.lives {
        let times = expected(life);
        missing_or_twice(life, &times, findings);
        outside(life, &times, findings);
    }
}

fn covers(row: &Row, time: Moment) -> bool {
    match row.until {
        Some(until) => row.nominal_time <= time && time < until,
        None => row.nominal_time == time,
    }
}

fn show(row: &Row) -> String {
    format!("ledger: {row:?}")
}

/// Rows by their first time: ranges are few, and single rows are found at once.
fn missing_or_twice(life: &Life, times: &BTreeMap<Moment, bool>, findings: &mut Findings) {
    let horizon = horizon(life);
    let (ranges, singles): (Vec<&Row>, Vec<&Row>) =
        life.ledger.iter().partition(|row| row.until.is_some());
    let mut by_time: BTreeMap<Moment, Vec<&Row>> = BTreeMap::new();
    for row in singles {
        by_time.entry(row.nominal_time).or_default().push(row);
    }
    let all: BTreeSet<Moment> = times.keys().chain(by_time.keys()).copied().collect();
    for time in all {
        let mut rows = by_time.get(&time).cloned().unwrap_or_default();
        rows.extend(ranges.iter().filter(|row| covers(row, time)));
        let evidence = || rows.iter().map(|row| show(row)).chain([versions(life)]).collect();
        if rows.len() > 1 {
            findings.add(&life.name, format!("{time} has {} outcomes", rows.len()), evidence());
        }
        if rows.is_empty() && times.get(&time) == Some(&true) && time <= horizon {
            findings.add(&life.name, format!("{time} has no outcome"), evidence());
        }
    }
}

fn versions(life: &Life) -> String {
    let told = life.versions.iter().map(|version| {
        let of = &version.definition;
        let expr = of.schedule.map(|schedule| schedule.expr());
        format!("v{} from {} {expr:?} on={}", version.version, version.effective, of.enabled)
    });
    format!("created {}; {}", life.created, told.collect::<Vec<_>>().join("; "))
}

fn outside(life: &Life, times: &BTreeMap<Moment, bool>, findings: &mut Findings) {
    for row in &life.ledger {
        if !times.contains_key(&row.nominal_time) && row.nominal_time <= life.read_at {
            let what = format!("{} is no nominal time of it", row.nominal_time);
            findings.add(&life.name, what, vec![show(row), versions(life)]);
        }
        let (Some(until), Some(count)) = (row.until, row.count) else { continue };
        // What may or may not belong to the range makes its count a range too.
        let inside: Vec<bool> =
            times.range(row.nominal_time..until).map(|(_, certain)| *certain).collect();
        let least = inside.iter().filter(|certain| **certain).count() as u64;
        let virtual_row = until > life.read_at;
        if (count < least || count > inside.len() as u64) && !virtual_row {
            let what = format!("a range says {count} times and has {}", inside.len());
            findings.add(&life.name, what, vec![show(row), versions(life)]);
        }
    }
}

/// A time is fired as of the version in force at it, or of a later one that an edit made which left
/// the schedule alone.
pub(super) fn fired_by_its_version(history: &History, findings: &mut Findings) {
    for life in &history.lives {
        for row in life.ledger.iter().filter(|row| row.outcome == "fired") {
            let time = row.nominal_time;
            let at = life.versions.iter().position(|version| version.version == row.version);
            let mut at = at.unwrap_or_default();
            while at > 0 && time <= life.versions[at].effective {
                at -= 1;
                let of = &life.versions[at].definition;
                let names = |schedule: crate::nominal::Schedule| {
                    schedule.names(life.created, time.whole()) && time > life.created
                };
                if !of.enabled || !of.schedule.is_some_and(names) {
                    let what = format!("{time} fired before its version was in force");
                    findings.add(&life.name, what, vec![show(row), versions(life)]);
                    break;
                }
            }
        }
    }
}

pub(super) fn fired_has_its_run(history: &History, findings: &mut Findings) {
    for life in &history.lives {
        let mut named = BTreeSet::new();
        for row in &life.ledger {
            let Some(id) = &row.run_id else {
                if row.outcome == "fired" {
                    findings.add(&life.name, "a fired time names no run", vec![show(row)]);
                }
                continue;
            };
            named.insert(id.clone());
            let fits = history.runs.get(id).is_some_and(|run| {
                run.job_uid == life.uid
                    && run.nominal_time == Some(row.nominal_time)
                    && run.version == row.version
                    && run.trigger == "schedule"
            });
            if !fits {
                let run = format!("run: {:?}", history.runs.get(id));
                findings.add(&life.name, "its run does not fit", vec![show(row), run]);
            }
        }
        for run in history.runs_of(life).filter(|run| run.trigger == "schedule") {
            // Before a deletion, runs are read after the ledger, while the job still fires; and
            // a decision is dated before it is durable and can be read.
            let recent = run.fired_at >= life.read_at.plus_ms(-UNREAD_MS);
            let later = life.deleted.is_some() && recent;
            if !named.contains(&run.id) && !later {
                let what = format!("run {} is in no row of the ledger", run.id);
                findings.add(&life.name, what, vec![format!("run: {run:?}")]);
            }
        }
    }
}
