//! What holds of workflows under way: no task was started before its edges allow, each item is
//! there once, and something goes on unless the run is paused.

use std::collections::BTreeSet;

use crate::machine::state::{Flow, OpenRun, State, TaskState};
use crate::model::RunId;
use crate::model::workflow::Stand;

pub(super) fn check(s: &State, broken: &mut Vec<String>) {
    for (id, flow) in &s.flows {
        let Some(open) = s.runs.get(id) else {
            broken.push(format!("{id} is a workflow under way and no open run"));
            continue;
        };
        one(s, *id, flow, open, broken);
    }
    for (id, open) in &s.runs {
        let Some(of) = open.run.task.as_deref() else { continue };
        let known = s.flows.get(&of.flow).is_some_and(|flow| flow.open.contains(id));
        if !known || open.task.is_none() {
            broken.push(format!("{id} is a task of {} , which does not know it", of.flow));
        }
    }
    for (job, tasks) in &s.task_numbers.of_job {
        if s.task_numbers.jobs.get(tasks) != Some(job) || s.jobs.contains_key(tasks) {
            broken.push(format!("the tasks of job {job} have the number {tasks} of another"));
        }
    }
    if s.task_numbers.jobs.len() != s.task_numbers.of_job.len() {
        broken.push("the numbers of tasks are off".into());
    }
}

fn one(s: &State, id: RunId, flow: &Flow, open: &OpenRun, broken: &mut Vec<String>) {
    if flow.tasks.len() != open.spec.tasks.len() || flow.graph.after.len() != flow.tasks.len() {
        broken.push(format!("{id} has {} tasks", flow.tasks.len()));
        return;
    }
    let left = flow.tasks.iter().filter(|task| task.end.is_none()).count() as u32;
    if left != flow.left || left == 0 {
        broken.push(format!("{id} has {left} tasks left and says {}", flow.left));
    }
    if flow.open.is_empty() && !flow.paused {
        broken.push(format!("{id} has tasks left and nothing under way"));
    }
    let mut seen = BTreeSet::new();
    for run in &flow.open {
        let task = s.runs.get(run).and_then(|open| {
            let index = open.run.task.as_ref().filter(|of| of.flow == id)?.index;
            Some((open.task?, index))
        });
        match task {
            None => broken.push(format!("{id} has {run} under way, which is none of its")),
            Some(task) if !seen.insert(task) => {
                broken.push(format!("{id} has {task:?} under way twice"));
            }
            Some(_) => {}
        }
    }
    for (at, task) in flow.tasks.iter().enumerate() {
        let most = open.spec.tasks[at].max_parallel();
        let under_way = seen.iter().filter(|(of, _)| usize::from(*of) == at).count() as u32;
        let why = of_task(flow, at, task, (under_way, most));
        broken.extend(why.map(|why| format!("{id}: {} {why}", open.spec.tasks[at].name)));
    }
}

fn of_task(
    flow: &Flow,
    at: usize,
    task: &TaskState,
    (under_way, most): (u32, u32),
) -> Option<String> {
    let stand = flow.stand(at);
    if task.begun && stand != Stand::Ready && task.made_by.is_none() {
        return Some(format!("was started and its edges say {stand:?}"));
    }
    let waits = !task.begun && task.end.is_none();
    if waits && (stand == Stand::Never || (stand == Stand::Ready && !flow.paused)) {
        return Some(format!("waits and its edges say {stand:?}"));
    }
    if waits && flow.stop.is_some() {
        return Some("waits in a workflow that starts nothing more".into());
    }
    let wanted = match &task.items {
        _ if !task.begun || task.end.is_some() => 0,
        None => 1,
        Some(items) => items.open,
    };
    if under_way != wanted || under_way > most.max(1) {
        return Some(format!("has {under_way} runs under way of {wanted}, {most} at most"));
    }
    let items = task.items.as_ref().filter(|_| task.begun)?;
    let failed: BTreeSet<u32> = items.failed.iter().copied().collect();
    let done = items.succeeded + items.failed.len() as u32;
    let before = items.total - items.todo();
    if failed.len() != items.failed.len() || items.open + done != items.started + before {
        return Some(format!("has lost count of its items: {:?}", items.counts()));
    }
    let idle = items.open < most && items.next().is_some();
    if idle && task.end.is_none() && !flow.paused && flow.stop.is_none() {
        return Some("has room for an item and starts none".into());
    }
    None
}
