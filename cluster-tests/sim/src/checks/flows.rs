//! Workflows: no task is started before its edges allow, none that they forbid and none twice; each
//! item once, and no more at a time than it may; the run ends as its tasks did.
//!
//! The edges are read from the definition and judged by a table of their own, by times of the log
//! and by what attempts were seen to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cronapi::machine::state::NamedTask;
use cronapi::model::workflow::{Join, On, Task};
use cronapi::model::{JobSpec, Run, RunId, RunStatus, TaskEnd};

use crate::history::History;

pub fn check(history: &History<'_>) -> Vec<String> {
    let Some(end) = &history.end else { return Vec::new() };
    let mut of: BTreeMap<RunId, BTreeMap<&str, Vec<&Run>>> = BTreeMap::new();
    for run in history.runs.values() {
        let Some(task) = &run.task else { continue };
        of.entry(task.flow).or_default().entry(task.name.as_str()).or_default().push(run);
    }
    let seen = Seen::of(history);
    let mut broken = Vec::new();
    for (id, tasks) in &end.flows {
        let Some(run) = history.runs.get(id) else { continue };
        let Some(spec) = history.spec_of(run) else { continue };
        let runs = of.remove(id).unwrap_or_default();
        let flow = Flow { run, spec: &spec, tasks, runs: &runs, seen: &seen };
        broken.extend(flow.broken(history).into_iter().map(|what| format!("{id}: {what}")));
    }
    broken
}

/// What was seen of attempts that the cluster did not give up.
struct Seen(BTreeMap<RunId, Vec<(Duration, Duration)>>);

impl Seen {
    fn of(history: &History<'_>) -> Self {
        let mut seen: BTreeMap<RunId, Vec<(Duration, Duration)>> = BTreeMap::new();
        for witnessed in &history.inner.witnessed {
            let Some(run) = history.runs.get(&witnessed.run) else { continue };
            let known = run.attempts.iter().find(|it| it.attempt == witnessed.attempt);
            if known.is_none_or(|known| known.status == RunStatus::Lost) {
                continue;
            }
            let ended = witnessed.ended.map_or(Duration::MAX, |(at, _)| at);
            seen.entry(witnessed.run).or_default().push((witnessed.began, ended));
        }
        Self(seen)
    }

    fn spans(&self, run: RunId) -> &[(Duration, Duration)] {
        self.0.get(&run).map_or(&[], Vec::as_slice)
    }
}

/// A run of a workflow that is over.
struct Flow<'a> {
    run: &'a Run,
    spec: &'a JobSpec,
    tasks: &'a [NamedTask],
    runs: &'a BTreeMap<&'a str, Vec<&'a Run>>,
    seen: &'a Seen,
}

impl<'a> Flow<'a> {
    fn broken(&self, history: &History<'_>) -> Vec<String> {
        let mut broken = Vec::new();
        if self.tasks.len() != self.spec.tasks.len() {
            return vec![format!("has {} tasks of {}", self.tasks.len(), self.spec.tasks.len())];
        }
        for (task, named) in self.spec.tasks.iter().zip(self.tasks) {
            let runs = self.runs_of(task);
            let mut tell = |what: String| broken.push(format!("{} {what}", task.name));
            self.edges(task, named).into_iter().for_each(&mut tell);
            self.order(task, runs).into_iter().for_each(&mut tell);
            self.items(history, task, named).into_iter().for_each(&mut tell);
            self.at_a_time(task, runs).into_iter().for_each(&mut tell);
        }
        broken.extend(self.end());
        broken
    }

    fn runs_of(&self, task: &Task) -> &'a [&'a Run] {
        self.runs.get(task.name.as_str()).map_or(&[], Vec::as_slice)
    }

    fn end_of(&self, name: &str) -> Option<TaskEnd> {
        self.tasks.iter().find(|named| named.name.as_str() == name)?.state.end
    }

    /// The tasks whose end lets this one start, of those that it comes after.
    fn open_edges(&self, task: &'a Task) -> Vec<&'a str> {
        let edges = task.after.iter().map(|after| after.edge());
        let open = edges.filter(|(name, on)| holds(*on, self.end_of(name.as_str())));
        open.map(|(name, _)| name.as_str()).collect()
    }

    /// What began was allowed to, what was left out was not.
    fn edges(&self, task: &'a Task, named: &NamedTask) -> Option<String> {
        let state = &named.state;
        let Some(end) = state.end else { return Some("has no end".into()) };
        let open = self.open_edges(task).len();
        let allowed = match task.join() {
            Join::All => open == task.after.len(),
            Join::Any => open > 0 || task.after.is_empty(),
        };
        let began = !self.runs_of(task).is_empty() || state.begun;
        if began && !allowed && state.made_by.is_none() {
            return Some(format!("began and its edges forbid it: {:?}", self.tasks));
        }
        let skipped = end == TaskEnd::Upstream;
        if skipped && (began || (allowed && !self.spec.fail_fast)) {
            return Some(format!("is left out and its edges allow it: {:?}", self.tasks));
        }
        if end == TaskEnd::Cancelled && !began && self.run.status != RunStatus::Cancelled {
            return Some("was not begun, and nobody stopped the workflow".into());
        }
        None
    }

    /// None of its runs was made, or seen to begin, before what it comes after had ended.
    fn order(&self, task: &'a Task, runs: &[&Run]) -> Option<String> {
        let open = self.open_edges(task);
        // Of several, the first that ended, where any will do.
        let pick = |all: Vec<(i64, Duration)>| match task.join() {
            Join::All => all.into_iter().max(),
            Join::Any => all.into_iter().min(),
        };
        let ends = open.iter().filter_map(|name| {
            let before = self.runs.get(name)?;
            let logged = before.iter().filter_map(|run| run.finished_at).max()?;
            let spans = before.iter().flat_map(|run| self.seen.spans(run.id));
            let seen = spans.map(|(_, ended)| *ended).max().unwrap_or_default();
            Some((logged.micros(), seen))
        });
        let ends: Vec<_> = ends.collect();
        if task.join() == Join::Any && ends.len() < open.len() {
            return None;
        }
        let (logged, seen) = pick(ends)?;
        runs.iter().find_map(|run| {
            let began = self.seen.spans(run.id).iter().map(|(began, _)| *began).min();
            let early = run.fired_at.micros() < logged || began.is_some_and(|began| began < seen);
            early.then(|| format!("was made at {} and began at {began:?}, early", run.fired_at))
        })
    }

    /// Each item once; of a task that succeeded, all of them, here or in the runs before that this
    /// one goes on from.
    fn items(&self, history: &History<'_>, task: &Task, named: &NamedTask) -> Option<String> {
        let runs = self.runs_of(task);
        if named.state.made_by.is_some() && !runs.is_empty() {
            return Some("was made by a run before, and was run".into());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = runs.iter().find(|run| !seen.insert(index(run))) {
            return Some(format!("ran {:?} twice", index(twice)));
        }
        if task.over.is_none() != seen.contains(&None) && !seen.is_empty() {
            return Some(format!("has runs for {seen:?}"));
        }
        let (state, items) = (&named.state, named.state.items.as_ref()?);
        if state.end != Some(TaskEnd::Succeeded) || state.made_by.is_some() {
            return None;
        }
        let mut done: BTreeSet<u32> = BTreeSet::new();
        let mut flow = Some(self.run.id);
        while let Some(id) = flow {
            let of = |run: &&Run| {
                let of = run.task.as_ref().filter(|of| of.flow == id && of.name == task.name);
                of.is_some() && run.status == RunStatus::Succeeded
            };
            done.extend(history.runs.values().filter(of).filter_map(|run| index(&run)));
            flow = history.runs.get(&id).and_then(|run| run.cause);
        }
        let missing: Vec<u32> = (0..items.total).filter(|at| !done.contains(at)).collect();
        (!missing.is_empty()).then(|| format!("succeeded without its items {missing:?}"))
    }

    fn at_a_time(&self, task: &Task, runs: &[&Run]) -> Option<String> {
        let mut steps: Vec<(Duration, i32)> = Vec::new();
        for (began, ended) in runs.iter().flat_map(|run| self.seen.spans(run.id)) {
            steps.extend([(*began, 1), (*ended, -1)]);
        }
        steps.sort_unstable();
        let (mut open, most) = (0, task.max_parallel() as i32);
        for (at, change) in steps {
            open += change;
            if open > most {
                return Some(format!("has {open} items at a time at {at:?}, {most} at most"));
            }
        }
        None
    }

    /// A failure that no edge leaves fails the run, and nothing else does.
    fn end(&self) -> Option<String> {
        let left = |name: &str, end: TaskEnd| {
            let edges = self.spec.tasks.iter().flat_map(|task| &task.after);
            let of = edges.map(|after| after.edge()).filter(|(from, _)| from.as_str() == name);
            let stops = end == TaskEnd::Cancelled;
            of.into_iter().any(|(_, on)| on == On::Always || (on == On::Failure && !stops))
        };
        let bad = |end: TaskEnd| {
            use TaskEnd::{Cancelled, Failed, Lost, TimedOut};
            matches!(end, Failed | TimedOut | Lost | Cancelled)
        };
        let failed = self.tasks.iter().find(|named| {
            let end = named.state.end;
            end.is_some_and(|end| bad(end) && !left(named.name.as_str(), end))
        });
        match (self.run.status, failed) {
            (RunStatus::Succeeded, Some(task)) => Some(format!("succeeded and failed in {task:?}")),
            (RunStatus::Failed, None) => Some(format!("failed by none of {:?}", self.tasks)),
            (RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled, _) => None,
            (other, _) => Some(format!("ended {}", other.as_str())),
        }
    }
}

fn index(run: &&Run) -> Option<u32> {
    run.task.as_ref().and_then(|of| of.index)
}

/// Whether an end lets a task start that comes after it in that way.
fn holds(on: On, end: Option<TaskEnd>) -> bool {
    use TaskEnd::{Failed, Lost, Succeeded, TimedOut};
    match (on, end) {
        (_, None) => false,
        (On::Always, Some(_)) => true,
        (On::Success, Some(end)) => end == Succeeded,
        (On::Failure, Some(end)) => matches!(end, Failed | TimedOut | Lost),
    }
}
