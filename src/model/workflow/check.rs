//! What the tasks of a definition must keep to.

use super::graph::each_reference;
use super::{Graph, Over, Reference, Task, references, too_many_items};
use crate::model::invalid::Invalid;
use crate::model::job::JobSpec;
use crate::model::limits::{CONCURRENT_MAX, FLOW_TASKS_MAX, SPAN_MAX};
use crate::model::parameters::Parameters;
use crate::model::policy;
use crate::model::span::Span;

impl JobSpec {
    /// Checks the tasks, and what belongs to a workflow alone.
    pub(in crate::model) fn check_tasks(&self, faults: &mut Vec<Invalid>) {
        if !self.is_workflow() {
            let given = [("result", self.result.is_some()), ("fail_fast", self.fail_fast)];
            for (field, _) in given.iter().filter(|(_, given)| *given) {
                faults.push(Invalid::new(field, "has no meaning without tasks"));
            }
            return;
        }
        let own = [
            ("code", self.code.is_some()),
            ("runner", self.runner.is_some()),
            ("retry", self.retry.is_some()),
            ("timeout", self.timeout.is_some()),
        ];
        for (field, _) in own.iter().filter(|(_, given)| *given) {
            let detail = "belongs to a task: a job with tasks carries out nothing itself";
            faults.push(Invalid::new(field, detail));
        }
        if self.tasks.len() > FLOW_TASKS_MAX {
            let (have, most) = (self.tasks.len(), FLOW_TASKS_MAX);
            faults.push(Invalid::new("tasks", format!("are {have}; at most {most} fit")));
            return;
        }
        for (at, task) in self.tasks.iter().enumerate() {
            let mut found = Vec::new();
            self.check_task(task, &mut found);
            faults.extend(found.into_iter().map(|fault| under(at, fault)));
        }
        match Graph::of(&self.tasks, self.result.as_deref()) {
            Ok(graph) => self.check_references_of_tasks(&graph, faults),
            Err(found) => faults.extend(found),
        }
    }

    fn check_task(&self, task: &Task, faults: &mut Vec<Invalid>) {
        if task.name.as_str().contains('.') {
            let detail = "of a task has no dot: ${tasks.name.result} ends it there";
            faults.push(Invalid::new("name", detail));
        }
        match (&task.runner, &task.job) {
            (Some(_), Some(_)) => faults.push(Invalid::new("job", "give runner or job, not both")),
            (None, None) => faults.push(Invalid::new("runner", "give runner or job")),
            (None, Some(job)) if *job == self.name => {
                let detail = format!("{job} is this workflow, which would never end");
                faults.push(Invalid::new("job", detail));
            }
            (Some(runner), None) => {
                runner.check(faults);
                match task.over {
                    Some(_) => runner.check_items(faults),
                    None => runner.refuse_items(faults),
                }
            }
            (None, Some(_)) => {
                let own = [
                    ("retry", task.retry.is_some()),
                    ("timeout", task.timeout.is_some()),
                    ("queue", task.queue.is_some()),
                    ("priority", task.priority.is_some()),
                    ("placement", task.placement.is_some()),
                ];
                for (field, _) in own.iter().filter(|(_, given)| *given) {
                    let detail = "is what the job says: change it there, or give a runner";
                    faults.push(Invalid::new(field, detail));
                }
            }
        }
        check_numbers(task, faults);
        if let Some(when) = task.when.as_deref()
            && when.is_empty()
        {
            let detail = "compares with nothing: give eq, ne, gt, ge, lt, le, in or exists";
            faults.push(Invalid::new("when", detail));
        }
        if let Some(parameters) = &task.parameters
            && let Err(detail) = Parameters::new(parameters.map().clone())
        {
            faults.push(Invalid::new("parameters", detail));
        }
        if let Some(retry) = &task.retry {
            policy::check_retry(retry, faults);
        }
        if let Some(placement) = &task.placement {
            placement.check(faults);
        }
        check_over(task, faults);
    }

    /// Only what is there by then can be referred to.
    fn check_references_of_tasks(&self, graph: &Graph, faults: &mut Vec<Invalid>) {
        let before = before(graph);
        let place = |name: &str| self.tasks.iter().position(|task| task.name.as_str() == name);
        for (at, task) in self.tasks.iter().enumerate() {
            each_reference(task, &mut |pointer, reference| {
                let detail = match reference {
                    Reference::Task(name, what) => match place(name) {
                        None => Some(format!("there is no task {name} in this workflow")),
                        Some(from) if !is_before(&before, at, from) => Some(format!(
                            "{name} does not come before {}: add it to after",
                            task.name
                        )),
                        Some(from) => wrong_part(&self.tasks[from], what),
                    },
                    Reference::Item if task.over.is_none() => {
                        Some("there are items only in a task with over".to_owned())
                    }
                    Reference::Item if !pointer.starts_with("parameters/") => {
                        Some("an item is known in parameters only".to_owned())
                    }
                    Reference::Unknown(path) => Some(unknown(path)),
                    Reference::Item | Reference::Own => None,
                };
                faults.extend(detail.map(|detail| under(at, Invalid::new(pointer, detail))));
            });
        }
        if let Some(result) = self.result.as_deref() {
            references(result, "result", &mut |pointer, reference| {
                let detail = match reference {
                    Reference::Task(name, what) => match place(name) {
                        None => Some(format!("there is no task {name} in this workflow")),
                        Some(from) => wrong_part(&self.tasks[from], what),
                    },
                    Reference::Item => Some("there are items only in a task with over".to_owned()),
                    Reference::Unknown(path) => Some(unknown(path)),
                    Reference::Own => None,
                };
                faults.extend(detail.map(|detail| Invalid::new(pointer, detail)));
            });
        }
    }
}

fn unknown(path: &str) -> String {
    format!(
        "${{{path}}} is not known; there are tasks.<name>.result, .status, .run_id and .count, \
         parameters.<name>, job, run_id, nominal_time, item and index; $${{ stands for ${{"
    )
}

/// A part of a task that it does not have.
fn wrong_part(task: &Task, what: &str) -> Option<String> {
    let name = &task.name;
    let listed = task.collect() == super::Collect::List;
    match (what, task.over.is_some()) {
        ("count", false) => Some(format!("{name} has no items: only one with over has a count")),
        ("result", true) if !listed => {
            Some(format!("{name} keeps counts alone: give it \"collect\": \"list\""))
        }
        ("run_id", true) => Some(format!("{name} has a run for each item")),
        _ => None,
    }
}

fn check_numbers(task: &Task, faults: &mut Vec<Invalid>) {
    if task.timeout == Some(Span::ZERO) {
        faults.push(Invalid::new("timeout", "must be over 0; leave it out for no bound"));
    }
    if task.timeout.is_some_and(|span| span > SPAN_MAX) {
        faults.push(Invalid::new("timeout", "is over ten years"));
    }
    if task.priority.is_some_and(|p| !(-100..=100).contains(&p)) {
        faults.push(Invalid::new("priority", "must be from -100 to 100"));
    }
    if task.max_parallel.is_some_and(|n| n == 0 || n > CONCURRENT_MAX) {
        faults.push(Invalid::new("max_parallel", format!("must be from 1 to {CONCURRENT_MAX}")));
    }
    if task.join.is_some() && task.after.len() < 2 {
        faults.push(Invalid::new("join", "has no meaning with fewer than two tasks in after"));
    }
}

fn check_over(task: &Task, faults: &mut Vec<Invalid>) {
    let Some(over) = task.over.as_deref() else {
        let given =
            [("max_parallel", task.max_parallel.is_some()), ("collect", task.collect.is_some())];
        for (field, _) in given.iter().filter(|(_, given)| *given) {
            faults.push(Invalid::new(field, "has no meaning without over"));
        }
        return;
    };
    let count = match over {
        Over::List(items) => items.len(),
        Over::Count(count) => count.count as usize,
        Over::From(text) => {
            let whole = text.starts_with("${") && text.find('}') == Some(text.len() - 1);
            if !whole {
                let detail = "must be a list, {\"count\": n}, or one reference that gives a list, \
                              such as ${tasks.list.result.files}";
                faults.push(Invalid::new("over", detail));
            }
            return;
        }
    };
    if let Some(detail) = too_many_items(count) {
        faults.push(Invalid::new("over", detail));
    }
}

fn under(at: usize, fault: Invalid) -> Invalid {
    let inner = fault.pointer.trim_start_matches('/');
    Invalid::new(format!("tasks/{at}/{inner}"), fault.detail)
}

/// Of each task, a bit for each that comes before it.
fn before(graph: &Graph) -> Vec<Vec<u64>> {
    let words = graph.after.len().div_ceil(64);
    let mut before = vec![vec![0_u64; words]; graph.after.len()];
    for at in graph.order() {
        let mut own = std::mem::take(&mut before[at]);
        for edge in &graph.after[at] {
            let from = usize::from(edge.0);
            own[from / 64] |= 1 << (from % 64);
            for (word, bits) in own.iter_mut().zip(&before[from]) {
                *word |= bits;
            }
        }
        before[at] = own;
    }
    before
}

fn is_before(before: &[Vec<u64>], at: usize, from: usize) -> bool {
    before[at][from / 64] >> (from % 64) & 1 == 1
}
