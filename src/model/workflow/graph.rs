//! The graph of a workflow's tasks, by their places in the definition.

use serde::{Deserialize, Serialize};

use super::references::{Reference, in_text, references};
use super::{Join, On, Over, Task, TaskEnd};
use crate::model::invalid::Invalid;
use crate::model::limits::FLOW_DEPTH_MAX;

/// From a task that another comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge(pub u16, pub On);

/// Where a task stands with what it comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It may start.
    Ready,
    /// Some of it has not ended.
    Waits,
    /// It can't hold any more.
    Never,
}

/// The edges of a workflow, taken apart once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// Of each task, what it comes after.
    pub after: Vec<Vec<Edge>>,
    /// Of each task, those that come after it.
    pub next: Vec<Vec<u16>>,
    /// The tasks of which any will do.
    pub any: Vec<bool>,
    /// The tasks whose result something names.
    pub named: Vec<bool>,
}

impl Graph {
    /// The graph of these tasks.
    ///
    /// # Errors
    /// What is wrong with its edges, each with where.
    pub fn of(tasks: &[Task], result: Option<&serde_json::Value>) -> Result<Graph, Vec<Invalid>> {
        let mut faults = Vec::new();
        let mut places = std::collections::BTreeMap::new();
        for (at, task) in tasks.iter().enumerate() {
            if let Some(first) = places.get(&task.name) {
                let detail = format!("{} is the name of tasks/{first} too", task.name);
                faults.push(Invalid::new(format!("tasks/{at}/name"), detail));
            } else {
                places.insert(task.name.clone(), u16::try_from(at).unwrap_or(u16::MAX));
            }
        }
        let mut graph = Graph {
            after: Vec::with_capacity(tasks.len()),
            next: vec![Vec::new(); tasks.len()],
            any: tasks.iter().map(|task| task.join() == Join::Any).collect(),
            named: vec![false; tasks.len()],
        };
        for (at, task) in tasks.iter().enumerate() {
            let mut edges: Vec<Edge> = Vec::new();
            for (nth, after) in task.after.iter().enumerate() {
                let (name, on) = after.edge();
                let pointer = format!("tasks/{at}/after/{nth}");
                match places.get(name) {
                    None => {
                        let detail = format!("there is no task {name} in this workflow");
                        faults.push(Invalid::new(pointer, detail));
                    }
                    Some(from) if usize::from(*from) == at => {
                        faults.push(Invalid::new(pointer, format!("{name} comes after itself")));
                    }
                    Some(from) if edges.iter().any(|edge| edge.0 == *from) => {
                        faults.push(Invalid::new(pointer, format!("{name} twice")));
                    }
                    Some(from) => {
                        edges.push(Edge(*from, on));
                        let to = u16::try_from(at).unwrap_or(u16::MAX);
                        graph.next[usize::from(*from)].push(to);
                    }
                }
            }
            graph.after.push(edges);
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        graph.check_order(tasks)?;
        graph.name_results(tasks, result, &places);
        Ok(graph)
    }

    /// Refuses a circle, and a way that is too long.
    fn check_order(&self, tasks: &[Task]) -> Result<(), Vec<Invalid>> {
        let order = self.order();
        if order.len() < tasks.len() {
            return Err(vec![self.circle(tasks, &order)]);
        }
        let mut depth = vec![1_usize; tasks.len()];
        for at in order {
            for next in &self.next[at] {
                let next = usize::from(*next);
                depth[next] = depth[next].max(depth[at] + 1);
            }
        }
        let deep = depth.iter().position(|depth| *depth > FLOW_DEPTH_MAX);
        match deep {
            None => Ok(()),
            Some(at) => {
                let detail =
                    format!("makes a way through over {FLOW_DEPTH_MAX} tasks, one after the other");
                Err(vec![Invalid::new(format!("tasks/{at}/after"), detail)])
            }
        }
    }

    /// The tasks, each after all that it comes after. Those of a circle are left out.
    pub fn order(&self) -> Vec<usize> {
        let mut left: Vec<usize> = self.after.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..left.len()).filter(|at| left[*at] == 0).collect();
        let mut at = 0;
        while let Some(task) = order.get(at).copied() {
            at += 1;
            for next in &self.next[task] {
                let next = usize::from(*next);
                left[next] -= 1;
                if left[next] == 0 {
                    order.push(next);
                }
            }
        }
        order
    }

    /// Where a circle runs through: the first edge of it of its first task.
    fn circle(&self, tasks: &[Task], order: &[usize]) -> Invalid {
        let mut free = vec![false; tasks.len()];
        for at in order {
            free[*at] = true;
        }
        // Each that is left comes after one that is left: going back, one comes twice.
        let back = |at: usize| {
            let mut edges = self.after[at].iter().enumerate();
            edges.find(|(_, edge)| !free[usize::from(edge.0)])
        };
        let mut way: Vec<usize> = Vec::new();
        let mut at = free.iter().position(|free| !free).unwrap_or_default();
        while !way.contains(&at) {
            way.push(at);
            at = back(at).map_or(at, |(_, edge)| usize::from(edge.0));
        }
        let mut way: Vec<usize> = way.into_iter().skip_while(|it| *it != at).collect();
        way.reverse();
        let least = way.iter().position(|it| Some(it) == way.iter().min()).unwrap_or_default();
        way.rotate_left(least);
        let first = way.first().copied().unwrap_or_default();
        let nth = back(first).map_or(0, |(nth, _)| nth);
        let mut names: Vec<&str> = way.iter().map(|at| tasks[*at].name.as_str()).collect();
        names.extend(names.first().copied());
        let detail = format!("makes a circle: {}", names.join(" -> "));
        Invalid::new(format!("tasks/{first}/after/{nth}"), detail)
    }

    fn name_results(
        &mut self,
        tasks: &[Task],
        result: Option<&serde_json::Value>,
        places: &std::collections::BTreeMap<crate::model::Name, u16>,
    ) {
        let named = &mut self.named;
        let mut note = |_: &str, reference: Reference<'_>| {
            if let Reference::Task(task, "result") = reference
                && let Some(at) = places.get(task)
            {
                named[usize::from(*at)] = true;
            }
        };
        for task in tasks {
            each_reference(task, &mut note);
        }
        if let Some(result) = result {
            references(result, "result", &mut note);
        }
    }

    /// Where a task stands, by how those before it ended.
    pub fn stand(&self, at: usize, ended: impl Fn(usize) -> Option<TaskEnd>) -> Stand {
        let edges = self.after.get(at).map_or(&[][..], Vec::as_slice);
        if edges.is_empty() {
            return Stand::Ready;
        }
        let holds = |edge: &Edge| ended(usize::from(edge.0)).map(|end| end.fits(edge.1));
        let any = self.any.get(at) == Some(&true);
        let mut waits = false;
        for edge in edges {
            match holds(edge) {
                Some(true) if any => return Stand::Ready,
                Some(false) if !any => return Stand::Never,
                None => waits = true,
                Some(_) => {}
            }
        }
        match (waits, any) {
            (true, _) => Stand::Waits,
            (false, true) => Stand::Never,
            (false, false) => Stand::Ready,
        }
    }

    /// Whether a failure of a task is left by an edge that asks for it, so that it does not count
    /// as one of the workflow. A stop is no failure: only `always` leaves it.
    pub fn is_left(&self, at: usize, end: TaskEnd) -> bool {
        let next = self.next.get(at).map_or(&[][..], Vec::as_slice);
        next.iter().any(|next| {
            let edges = self.after.get(usize::from(*next)).map_or(&[][..], Vec::as_slice);
            edges.iter().any(|edge| {
                usize::from(edge.0) == at
                    && (edge.1 == On::Always || (edge.1 == On::Failure && end.is_failure()))
            })
        })
    }

    /// All tasks that come after those of `from`, however far, and these.
    pub fn below(&self, from: impl IntoIterator<Item = usize>) -> Vec<bool> {
        let mut found = vec![false; self.after.len()];
        let mut left: Vec<usize> = from.into_iter().collect();
        while let Some(at) = left.pop() {
            if !std::mem::replace(&mut found[at], true) {
                left.extend(self.next[at].iter().map(|next| usize::from(*next)));
            }
        }
        found
    }
}

/// Everything that a task refers to, with where.
pub(super) fn each_reference<'a>(task: &'a Task, found: &mut impl FnMut(&str, Reference<'a>)) {
    if let Some(when) = task.when.as_deref() {
        references(&when.value, "when/value", found);
        for (name, other) in when.others() {
            references(other, &format!("when/{name}"), found);
        }
        for (at, one) in when.among.iter().flatten().enumerate() {
            references(one, &format!("when/in/{at}"), found);
        }
    }
    if let Some(parameters) = &task.parameters {
        for (key, value) in parameters.map() {
            let key = key.replace('~', "~0").replace('/', "~1");
            references(value, &format!("parameters/{key}"), found);
        }
    }
    match task.over.as_deref() {
        Some(Over::From(text)) => in_text(text, &mut |it| found("over", it)),
        Some(Over::List(items)) => {
            for (at, item) in items.iter().enumerate() {
                references(item, &format!("over/{at}"), found);
            }
        }
        Some(Over::Count(_)) | None => {}
    }
}
