//! No more runs of a job at a time than it allows, and none skipped for overlap without
//! another that was open.

use std::collections::BTreeMap;

use super::Findings;
use crate::history::{Attempt, History, Life, Run};
use crate::moment::Moment;
use crate::witness::Mark;
use crate::workload::Overlap;

pub(super) fn held(history: &History, findings: &mut Findings) {
    let mut marks: BTreeMap<&str, Vec<&Mark>> = BTreeMap::new();
    for mark in &history.marks {
        marks.entry(&mark.run).or_default().push(mark);
    }
    for life in &history.lives {
        // The policy of a job does not change in this workload; jobs that are made anew have
        // another life.
        let Some(most) = life.last().definition.most() else { continue };
        side_by_side(history, life, &marks, most, findings);
        skipped_for_cause(history, life, most, findings);
    }
}

/// A start and its end, with the run.
struct Span<'a> {
    from: Moment,
    until: Moment,
    run: &'a Run,
    attempt: u32,
}

fn spans<'a>(
    history: &'a History,
    life: &'a Life,
    marks: &BTreeMap<&str, Vec<&Mark>>,
) -> Vec<Span<'a>> {
    let mut spans = Vec::new();
    // What a backfill runs stands beside the policy.
    for run in history.runs_of(life).filter(|run| run.backfill.is_none()) {
        let of_run = marks.get(run.id.as_str()).map_or(&[][..], Vec::as_slice);
        for start in of_run.iter().filter(|mark| !mark.end) {
            let end = of_run.iter().find(|mark| mark.end && mark.attempt == start.attempt);
            let attempt = run.attempts.iter().find(|attempt| attempt.attempt == start.attempt);
            let lost = attempt.filter(|attempt| attempt.status == "lost");
            let mut until = match end {
                Some(end) => end.at,
                None => unwritten_end(history, attempt, start),
            };
            // A node that is cut off may go on with what the cluster has given up: the policy
            // is about what the log knows to be under way.
            if let Some(given_up) = lost.and_then(|attempt| attempt.finished_at) {
                until = until.min(given_up);
            }
            if lost.is_none() || start.at < until {
                spans.push(Span { from: start.at, until, run, attempt: start.attempt });
            }
        }
    }
    spans
}

/// When an attempt that wrote no end was over: as its node says, or, when that was killed
/// with it, before the next process of the node starts anything: it ends leftovers first.
/// An attempt may begin to write a moment after the kill of its node.
fn unwritten_end(history: &History, attempt: Option<&Attempt>, start: &Mark) -> Moment {
    let told = attempt.filter(|attempt| attempt.status != "lost");
    let assigned = attempt.map_or(start.at, |attempt| attempt.assigned_at);
    let node = attempt.and_then(|attempt| history.members.get(&attempt.node));
    let own = history.boots.iter().filter(|boot| node.is_none_or(|node| *node == boot.node));
    let next = own.map(|boot| boot.spawned).find(|spawned| *spawned > assigned);
    told.and_then(|attempt| attempt.finished_at).or(next).unwrap_or(start.at)
}

fn side_by_side(
    history: &History,
    life: &Life,
    marks: &BTreeMap<&str, Vec<&Mark>>,
    most: usize,
    findings: &mut Findings,
) {
    let mut spans = spans(history, life, marks);
    spans.sort_by_key(|span| span.from);
    for (at, span) in spans.iter().enumerate() {
        let open: Vec<&Span> = spans[..at].iter().filter(|other| other.until > span.from).collect();
        if open.len() >= most {
            let show = |span: &Span| {
                let Span { from, until, run, attempt } = span;
                format!("{from} to {until}: attempt {attempt} of {} ({})", run.id, run.status)
            };
            let evidence = open.into_iter().chain([span]).map(show).collect();
            findings.add(&life.name, format!("more than {most} at a time"), evidence);
        }
    }
}

fn skipped_for_cause(history: &History, life: &Life, most: usize, findings: &mut Findings) {
    let overlap = life.last().definition.overlap;
    let least = if overlap == Overlap::QueueOne { most + 1 } else { most };
    let runs: Vec<&Run> = history.runs_of(life).filter(|run| run.backfill.is_none()).collect();
    let skipped = life.ledger.iter().filter(|row| row.reason.as_deref() == Some("overlap"));
    for row in skipped {
        let at = row.decided_at;
        let open = runs
            .iter()
            .filter(|run| run.fired_at <= at && run.finished_at.is_none_or(|end| end >= at));
        if matches!(overlap, Overlap::QueueAll | Overlap::CancelRunning) {
            let what = "skipped for overlap, which its policy never does";
            findings.add(&life.name, what, vec![format!("ledger: {row:?}")]);
        } else if open.count() < least {
            let what = format!("skipped for overlap with fewer than {least} open");
            findings.add(&life.name, what, vec![format!("ledger: {row:?}")]);
        }
    }
}
