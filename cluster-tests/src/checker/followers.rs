//! Chains and joins: what the end of a run starts, once and for each cause.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use crate::history::{History, Life, Run};
use crate::moment::Moment;
use crate::workload::Definition;

/// The followers that the end of a run has: trigger and job.
fn due(definition: &Definition, status: &str) -> Vec<(&'static str, String)> {
    let of = |trigger: &'static str, list: &[String]| {
        list.iter().map(|job| (trigger, job.clone())).collect::<Vec<_>>()
    };
    let by_end = match status {
        "succeeded" => of("on_success", &definition.on_success),
        "failed" | "timed_out" | "lost" => of("on_failure", &definition.on_failure),
        _ => Vec::new(),
    };
    let always = match status {
        "succeeded" | "failed" | "timed_out" | "lost" | "cancelled" => {
            of("on_finish", &definition.on_finish)
        }
        _ => Vec::new(),
    };
    by_end.into_iter().chain(always).collect()
}

pub(super) fn chains(history: &History, findings: &mut Findings) {
    let mut following: BTreeMap<(&str, &str, &str), Vec<&Run>> = BTreeMap::new();
    for run in history.runs.values().filter(|run| run.trigger.starts_with("on_")) {
        let cause = run.cause.as_deref().unwrap_or_default();
        following.entry((cause, &run.trigger, &run.job)).or_default().push(run);
        let told = history.runs.get(cause).is_some_and(|cause| {
            let wanted = (run.trigger.as_str(), &run.job);
            history.definition_of(cause).is_some_and(|definition| {
                let due = due(definition, &cause.status);
                due.iter().any(|(trigger, job)| (*trigger, job) == wanted)
            })
        });
        if !told {
            let evidence =
                vec![format!("run: {run:?}"), format!("cause: {:?}", history.runs.get(cause))];
            findings.add(&run.job, "a chained run that nothing caused", evidence);
        }
    }
    for run in history.runs.values() {
        let living = history.life_of(run).is_some_and(|life| life.deleted.is_none());
        let Some(definition) = history.definition_of(run).filter(|_| living) else { continue };
        for (trigger, job) in due(definition, &run.status) {
            if history.living(&job).is_none() {
                continue;
            }
            let found = following.get(&(run.id.as_str(), trigger, job.as_str()));
            let found = found.map_or(&[][..], Vec::as_slice);
            if found.len() != 1 {
                let what = format!("{trigger}: {} runs of {job}, not one", found.len());
                let evidence = [run].into_iter().chain(found.iter().copied());
                let evidence = evidence.map(|run| format!("run: {run:?}")).collect();
                findings.add(&run.job, what, evidence);
            }
        }
    }
}

/// Successes of the named jobs after `after`, in the order of the log: end, job, run.
pub(super) fn successes<'a>(
    history: &'a History,
    names: &[String],
    after: Moment,
) -> Vec<(Moment, &'a str, &'a str)> {
    let mut found: Vec<_> = history
        .runs
        .values()
        .filter(|run| run.status == "succeeded" && names.contains(&run.job))
        .filter_map(|run| Some((run.finished_at?, run.job.as_str(), run.id.as_str())))
        .filter(|(end, _, _)| *end > after)
        .collect();
    found.sort_unstable();
    found
}

pub(super) fn joins(history: &History, findings: &mut Findings) {
    for life in history.lives.iter().filter(|life| life.deleted.is_none()) {
        let definition = &life.last().definition;
        if definition.schedule.is_none() && !definition.dependencies.is_empty() {
            join(history, life, definition, findings);
        }
    }
}

fn join(history: &History, life: &Life, definition: &Definition, findings: &mut Findings) {
    let names = &definition.dependencies;
    let successes = successes(history, names, life.created);
    // Ends at one instant have an order in the log that is not shown here.
    let ties = successes.windows(2).any(|pair| pair[0].0 == pair[1].0);
    let mut fresh = BTreeSet::new();
    let mut due = BTreeSet::new();
    for (_, job, run) in successes {
        fresh.insert(job);
        if fresh.len() == names.len() {
            fresh.clear();
            due.insert(run);
        }
    }
    let runs: Vec<&Run> = history.runs_of(life).filter(|run| run.trigger == "dependency").collect();
    let causes: BTreeSet<&str> = runs.iter().filter_map(|run| run.cause.as_deref()).collect();
    let twice = causes.len() != runs.len();
    if twice || (ties && causes.len() != due.len()) || (!ties && causes != due) {
        let what = format!("{} joins of {names:?}, {} were due", runs.len(), due.len());
        let evidence = [
            format!("without their run: {:?}", due.difference(&causes).collect::<Vec<_>>()),
            format!("without their cause: {:?}", causes.difference(&due).collect::<Vec<_>>()),
        ];
        findings.add(&life.name, what, evidence.to_vec());
    }
}
