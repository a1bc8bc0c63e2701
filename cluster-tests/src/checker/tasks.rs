//! Workflows: no task before its edges allow, none that they forbid, none twice, each item once. By
//! what the API says of a run, and by what its attempts wrote.

use std::collections::BTreeMap;

use super::Findings;
use crate::history::{Edge, Flow, History, Run, Task, TaskMark};
use crate::moment::Moment;

pub(super) fn by_edges(history: &History, findings: &mut Findings) {
    for flow in &history.flows {
        for task in &flow.tasks {
            let mut seen: BTreeMap<Option<u32>, &Run> = BTreeMap::new();
            for run in runs_of(flow, &task.name) {
                let index = run.task.as_ref().and_then(|of| of.index);
                if let Some(first) = seen.insert(index, run) {
                    let what = format!("task {} ran {index:?} twice", task.name);
                    findings.add(&flow.run.id, what, vec![show(first), show(run)]);
                }
                if !allowed(flow, task) {
                    let what = format!("task {} ran, and its edges forbid it", task.name);
                    findings.add(&flow.run.id, what, vec![show(run), format!("{:?}", flow.tasks)]);
                }
                early(flow, task, run, findings);
            }
            let items = task.items.as_ref().map_or(0, |items| items.total);
            let whole = task.status != "succeeded" || seen.len() == items.max(1) as usize;
            if !whole {
                let what = format!("task {} succeeded with {} runs", task.name, seen.len());
                findings.add(&flow.run.id, what, vec![format!("{task:?}")]);
            }
        }
    }
}

/// What attempts wrote: each started once, of a run that the API lists, and after what it comes
/// after had ended. An attempt that was given up may go on where it is.
pub(super) fn witnessed(history: &History, findings: &mut Findings) {
    let mut starts: BTreeMap<(&str, u32), &TaskMark> = BTreeMap::new();
    for mark in history.task_marks.iter().filter(|mark| !mark.end) {
        if let Some(first) = starts.insert((mark.run.as_str(), mark.attempt), mark) {
            let evidence = vec![format!("{first:?}"), format!("{mark:?}")];
            findings.add(&mark.flow, format!("task {} started twice", mark.task), evidence);
        }
    }
    for flow in &history.flows {
        for task in &flow.tasks {
            let own = history
                .task_marks
                .iter()
                .filter(|mark| !mark.end && mark.flow == flow.run.id && mark.task == task.name);
            for mark in own {
                let known = runs_of(flow, &task.name).any(|run| {
                    let index = run.task.as_ref().and_then(|of| of.index);
                    run.id == mark.run && index == mark.index && has(run, mark.attempt)
                });
                if !known {
                    let what = format!("a start of {} that nobody knows", task.name);
                    findings.add(&flow.run.id, what, vec![format!("{mark:?}")]);
                }
                let goes_on = history.task_marks.iter().find(|other| {
                    let before = task.after.iter().any(|edge| edge.task == other.task);
                    let of = other.end && other.flow == mark.flow && before;
                    of && other.at > mark.at && !given_up(flow, other)
                });
                if let Some(other) = goes_on.filter(|_| task.join != "any") {
                    let evidence = vec![format!("{mark:?}"), format!("{other:?}")];
                    let what = format!("task {} started while {} went on", task.name, other.task);
                    findings.add(&flow.run.id, what, evidence);
                }
            }
        }
    }
}

fn has(run: &Run, attempt: u32) -> bool {
    run.attempts.iter().any(|known| known.attempt == attempt)
}

fn given_up(flow: &Flow, mark: &TaskMark) -> bool {
    let run = flow.runs.iter().find(|run| run.id == mark.run);
    let attempt = run.and_then(|run| run.attempts.iter().find(|it| it.attempt == mark.attempt));
    attempt.is_none_or(|attempt| attempt.status == "lost")
}

fn show(run: &Run) -> String {
    format!("run: {run:?}")
}

fn runs_of<'a>(flow: &'a Flow, task: &'a str) -> impl Iterator<Item = &'a Run> {
    flow.runs.iter().filter(move |run| run.task.as_ref().is_some_and(|of| of.name == task))
}

fn holds(flow: &Flow, edge: &Edge) -> bool {
    let before = flow.tasks.iter().find(|task| task.name == edge.task);
    before.is_some_and(|before| match edge.on.as_str() {
        "always" => true,
        "success" => before.status == "succeeded",
        _ => ["failed", "timed_out", "lost"].contains(&before.status.as_str()),
    })
}

fn allowed(flow: &Flow, task: &Task) -> bool {
    let held = task.after.iter().filter(|edge| holds(flow, edge)).count();
    match task.join.as_str() {
        "any" => held > 0 || task.after.is_empty(),
        _ => held == task.after.len(),
    }
}

/// By times of the log: it was made in the step that ended what it comes after, or later.
fn early(flow: &Flow, task: &Task, run: &Run, findings: &mut Findings) {
    let held: Vec<&Edge> = task.after.iter().filter(|edge| holds(flow, edge)).collect();
    let end = |edge: &&Edge| runs_of(flow, &edge.task).filter_map(|run| run.finished_at).max();
    let ends: Vec<Moment> = held.iter().filter_map(end).collect();
    let least = match task.join.as_str() {
        // One that was skipped has no run, and no time that is told.
        "any" if ends.len() < held.len() => None,
        "any" => ends.iter().min(),
        _ => ends.iter().max(),
    };
    if let Some(least) = least.filter(|least| run.fired_at < **least) {
        let what = format!("task {} was started before {least}, its edges' end", task.name);
        findings.add(&flow.run.id, what, vec![show(run)]);
    }
}
