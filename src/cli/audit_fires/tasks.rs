//! Workflows: no task began before what it comes after had ended as its edges ask, none was run
//! twice, each item once.
//!
//! By what a client reads of a run that is over: its tasks with their edges, and their runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::model::workflow::{AfterWith, Join, On};
use crate::model::{Run, RunId, RunStatus, Timestamp};

use super::super::exit::Failure;
use super::Audit;
use super::pages::Pages;
use super::report::{Findings, rule};

/// Runs of a workflow that are read task by task, the newest; the others are told as not checked.
pub(super) const FLOWS_MAX: usize = 200;

/// A task of `/runs/{id}/tasks`.
#[derive(Deserialize)]
struct Task {
    name: String,
    status: RunStatus,
    #[serde(default)]
    made_by: Option<RunId>,
    #[serde(default)]
    job: Option<String>,
    #[serde(default)]
    items: Option<Items>,
    #[serde(default)]
    after: Vec<AfterWith>,
    #[serde(default)]
    join: Join,
}

#[derive(Deserialize)]
struct Items {
    total: u32,
    succeeded: u32,
}

/// Reads one run of a workflow and judges it. Gives the runs of tasks that have no job of their
/// own, each with its task's name: nobody else judges those.
pub(super) async fn look(
    audit: &Audit,
    id: RunId,
    found: &mut Findings,
) -> Result<Vec<Run>, Failure> {
    let query = format!("/runs/{id}/tasks?limit=200");
    let tasks: Vec<Task> = Pages::new(&audit.client, 0, &query).all().await?;
    let query = format!("/runs?flow={id}&limit=200");
    let runs: Vec<Run> = Pages::new(&audit.client, 0, &query).all().await?;
    judge(id, &tasks, &runs, found);
    let own: BTreeSet<&str> =
        tasks.iter().filter(|task| task.job.is_none()).map(|task| task.name.as_str()).collect();
    let is_own = |run: &Run| run.task.as_ref().is_some_and(|of| own.contains(of.name.as_str()));
    Ok(runs.into_iter().filter(is_own).collect())
}

fn judge(id: RunId, tasks: &[Task], runs: &[Run], found: &mut Findings) {
    let mut of: BTreeMap<&str, Vec<&Run>> = BTreeMap::new();
    for run in runs {
        let Some(task) = &run.task else { continue };
        of.entry(task.name.as_str()).or_default().push(run);
    }
    for task in tasks {
        let name = &task.name;
        let mut tell =
            |what: String| found.add(rule::TASKS, format!("run {id}: task {name} {what}"));
        let own = of.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        if let (Some(maker), Some(run)) = (task.made_by, own.first()) {
            tell(format!("was made by the run {maker}, and again as {}", run.id));
        }
        let mut seen = BTreeMap::new();
        for run in own {
            let index = run.task.as_ref().and_then(|of| of.index);
            if let Some(first) = seen.insert(index, run.id) {
                let item = index.map(|at| format!(" {at}")).unwrap_or_default();
                tell(format!("ran its item{item} twice: {first} and {}", run.id));
            }
        }
        if let Some(items) = &task.items
            && items.succeeded > items.total
        {
            tell(format!("has {} items that succeeded, of {}", items.succeeded, items.total));
        }
        for run in own {
            early(task, tasks, &of, run).into_iter().for_each(&mut tell);
        }
    }
}

/// Why a run of a task should not have been made when it was, if so.
fn early(task: &Task, tasks: &[Task], of: &BTreeMap<&str, Vec<&Run>>, run: &Run) -> Option<String> {
    let by_name = |name: &str| tasks.iter().find(|task| task.name == name);
    let open = |edge: &&AfterWith| {
        by_name(edge.task.as_str()).is_some_and(|before| holds(edge.on, before.status))
    };
    let held: Vec<&AfterWith> = task.after.iter().filter(open).collect();
    let allowed = match task.join {
        Join::All => held.len() == task.after.len(),
        Join::Any => !held.is_empty() || task.after.is_empty(),
    };
    if !allowed {
        return Some(format!("ran as {}, which its edges forbid", run.id));
    }
    // Those that have no run here were skipped, or made by a run before.
    let end = |edge: &&AfterWith| -> Option<Timestamp> {
        of.get(edge.task.as_str())?.iter().filter_map(|run| run.finished_at).max()
    };
    let ends: Vec<Timestamp> = held.iter().filter_map(end).collect();
    let least = match task.join {
        Join::All => ends.iter().max(),
        Join::Any if ends.len() < held.len() => None,
        Join::Any => ends.iter().min(),
    };
    least.filter(|least| run.fired_at < **least).map(|least| {
        let at = run.fired_at;
        format!("was started at {at} as {}, and what it comes after ended at {least}", run.id)
    })
}

/// Whether an end lets a task start that comes after it in that way.
fn holds(on: On, status: RunStatus) -> bool {
    match on {
        On::Always => status.is_terminal(),
        On::Success => status == RunStatus::Succeeded,
        On::Failure => {
            matches!(status, RunStatus::Failed | RunStatus::TimedOut | RunStatus::Lost)
        }
    }
}
