//! Reads everything there is: entries of the log, rows of the history.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use openraft::EntryPayload;

use super::Inspected;
use crate::consensus::convert;
use crate::consensus::types::Entry;
use crate::machine::{self, Output, State, history, invariants};
use crate::storage::{Error, Generation, Log, Mark};

/// Bytes of entries, and rows, read at a time.
const BYTES: usize = 4 * 1024 * 1024;
const ROWS: usize = 256;
/// Broken rows that are told one by one.
const TOLD_MAX: u32 = 10;

/// Reads the log: every entry is there, whole, in order. None: it has a hole.
pub(super) fn log(log: &Log, file: &Path, found: &mut Inspected) -> Option<Vec<Entry>> {
    let read = read(log);
    match read {
        Ok((entries, last)) => {
            found.entries = entries.len() as u64;
            found.last_log = last;
            Some(entries)
        }
        Err(what) => {
            found.grave(file, what);
            None
        }
    }
}

fn read(log: &Log) -> Result<(Vec<Entry>, u64), String> {
    let text = |e: Error| e.to_string();
    let mark = |mark| log.mark(mark).map_err(text);
    let id = |record| convert::open_log_id(record).map_err(|e| e.to_string());
    let purged = mark(Mark::Purged)?.map(id).transpose()?;
    let committed = mark(Mark::Committed)?.map(id).transpose()?;
    let vote = mark(Mark::Vote)?.map(convert::open_vote).transpose().map_err(|e| e.to_string())?;
    let mut next = purged.map_or(0, |id| id.index + 1);
    let mut term = purged.map_or(0, |id| id.leader_id.term);
    let mut entries = Vec::new();
    loop {
        let page = log.read(next, u64::MAX, BYTES).map_err(text)?;
        if page.is_empty() {
            break;
        }
        for (index, record) in page {
            // The first of a new log may be 0 or 1.
            if index != next && !(entries.is_empty() && purged.is_none() && index == 1) {
                return Err(format!("entry {next} is missing: after it comes {index}"));
            }
            let entry = convert::open_entry(record).map_err(|e| format!("entry {index}: {e}"))?;
            if entry.log_id.index != index {
                return Err(format!("entry {index} says that it is {}", entry.log_id.index));
            }
            if entry.log_id.leader_id.term < term {
                return Err(format!("entry {index} is of an earlier term than the one before"));
            }
            term = entry.log_id.leader_id.term;
            next = index + 1;
            entries.push(entry);
        }
    }
    let last = next.saturating_sub(1);
    if let Some(committed) = committed
        && committed.index > last
    {
        let committed = committed.index;
        return Err(format!("it ends at entry {last}, and {committed} was committed"));
    }
    if let Some(vote) = vote
        && vote.leader_id.term < term
    {
        let voted = vote.leader_id.term;
        return Err(format!("its vote is of term {voted}, its last entry of {term}"));
    }
    Ok((entries, last))
}

/// Applies what the log has beyond the checkpoint, as a start does.
pub(super) fn replay(mut state: State, entries: &[Entry], file: &Path, found: &mut Inspected) {
    for entry in entries.iter().filter(|entry| entry.log_id.index > found.checkpoint) {
        let EntryPayload::Normal(payload) = &entry.payload else { continue };
        let index = entry.log_id.index;
        let applied = catch_unwind(AssertUnwindSafe(|| {
            machine::apply_entry(
                &mut state,
                index,
                payload.batch.commands(),
                &mut Output::default(),
            )
        }));
        if applied.is_err() {
            return found.grave(file, format!("entry {index} can't be applied"));
        }
    }
    found.jobs = state.jobs.len() as u64;
    for broken in invariants::check(&state) {
        found.grave(file, format!("the state after the log is not in order: {broken}"));
    }
}

/// Reads every row of the history.
pub(super) fn rows(generation: &Generation, file: &Path, found: &mut Inspected) {
    let (mut from, mut broken) = (Vec::new(), 0);
    loop {
        let page = match generation.rows(&from, ROWS) {
            Ok(page) => page,
            Err(error) => return found.grave(file, error),
        };
        for (key, value) in &page {
            found.rows += 1;
            let Some(value) = value else { continue };
            if let Err(what) = history::check_row(key, value) {
                broken += 1;
                if broken <= TOLD_MAX {
                    found.grave(file, what);
                }
            }
        }
        let Some((last, _)) = page.last().filter(|_| page.len() == ROWS) else { break };
        from = [last, &[0][..]].concat();
    }
    if broken > TOLD_MAX {
        found.grave(file, format!("{} more rows can't be read", broken - TOLD_MAX));
    }
}
