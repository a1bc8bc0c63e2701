//! A history in which all is as it should be: chains, a join, a gate, a kill, an edit, a
//! pause, a deletion, a run by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::history::{
    Attempt, Audit, Boot, Edge, Flow, History, Items, Life, Present, Queue, Register, Replica, Row,
    Run, Task, TaskMark, TaskOf, Triggered, Version, Written,
};
use crate::moment::Moment;
use crate::nominal::Schedule;
use crate::register::{Asked, Op, State, Told};
use crate::witness::Mark;
use crate::workload::Definition;

/// The begin: a whole second.
pub const T0: Moment = Moment::secs(1_700_000_000);

/// `millis` after the begin.
pub fn at(millis: i64) -> Moment {
    T0.plus_ms(millis)
}

/// All were created then.
const CREATED_MS: i64 = 400;
/// The daemon was killed then, while a run of `beat` was under way.
const KILLED_MS: i64 = 10_050;
/// The API was read then.
const READ_MS: i64 = 40_500;

struct Builder {
    history: History,
    fence: u64,
}

fn written(verb: &'static str, ms: i64) -> Written {
    Written { verb, sent: at(ms - 4), acked: at(ms + 4) }
}

fn version(verb: &'static str, number: u64, ms: i64, definition: Definition) -> Version {
    Version {
        written: written(verb, ms),
        version: number,
        effective: at(ms),
        definition: Arc::new(definition),
    }
}

impl Builder {
    fn life(&mut self, definition: Definition) -> usize {
        self.history.lives.push(Life {
            name: definition.name.clone(),
            uid: format!("uid-{}", definition.name),
            created: at(CREATED_MS),
            versions: vec![version("create", 1, CREATED_MS, definition)],
            deleted: None,
            triggered: Vec::new(),
            ledger: Vec::new(),
            read_at: at(READ_MS),
        });
        self.history.lives.len() - 1
    }

    /// A run that is fired at `ms` and ends 110 ms later; gives its end and its id.
    fn run(
        &mut self,
        life: usize,
        trigger: &str,
        cause: Option<&str>,
        nominal: Option<i64>,
        ms: i64,
    ) -> (i64, String) {
        self.fence += 1;
        let life = &self.history.lives[life];
        let version =
            life.versions.iter().rev().find(|v| v.effective < at(ms)).unwrap_or(&life.versions[0]);
        let lost = nominal == Some(10_000);
        let status = if lost { "lost" } else { "succeeded" };
        let end = if lost { ms + 900 } else { ms + 110 };
        let id = format!("run-{:04}", self.fence);
        let mark = |end: bool, ms: i64| Mark {
            job: life.name.clone(),
            run: id.clone(),
            attempt: 1,
            fence: self.fence,
            nominal: nominal.map(at),
            trigger: Some(trigger.into()),
            node: Some("node-a".into()),
            generation: version.definition.generation,
            end,
            at: at(ms),
        };
        self.history.marks.push(mark(false, ms + 5));
        if !lost {
            self.history.marks.push(mark(true, ms + 100));
        }
        let attempt = Attempt {
            attempt: 1,
            node: "node-a".into(),
            fence: self.fence,
            assigned_at: at(ms),
            finished_at: Some(at(end)),
            status: status.into(),
            error: None,
        };
        let run = Run {
            id: id.clone(),
            job: life.name.clone(),
            job_uid: life.uid.clone(),
            version: version.version,
            trigger: trigger.into(),
            cause: cause.map(str::to_string),
            backfill: None,
            task: None,
            nominal_time: nominal.map(at),
            fired_at: at(ms),
            finished_at: Some(at(end)),
            status: status.into(),
            reason: None,
            skip: None,
            cancelled_by: None,
            attempts: vec![attempt],
        };
        self.history.runs.insert(id.clone(), run);
        (end, id)
    }

    /// A nominal time that fires 5 ms late.
    fn fire(&mut self, life: usize, nominal: i64) -> (i64, String) {
        let (end, id) = self.run(life, "schedule", None, Some(nominal), nominal + 5);
        let version = self.history.runs[&id].version;
        self.history.lives[life].ledger.push(Row {
            nominal_time: at(nominal),
            until: None,
            count: None,
            outcome: "fired".into(),
            reason: None,
            run_id: Some(id.clone()),
            decided_at: at(nominal + 5),
            version,
        });
        (end, id)
    }

    fn rest(&mut self, life: usize, from: i64, count: u64) {
        let version = self.history.lives[life].last().version;
        self.history.lives[life].ledger.push(Row {
            nominal_time: at(from),
            until: Some(at(41_000)),
            count: Some(count),
            outcome: "skipped".into(),
            reason: Some("paused".into()),
            run_id: None,
            decided_at: at(READ_MS),
            version,
        });
    }

    fn edit(&mut self, life: usize, verb: &'static str, ms: i64, definition: Definition) {
        let number = self.history.lives[life].versions.len() as u64 + 1;
        self.history.lives[life].versions.push(version(verb, number, ms, definition));
    }

    /// `beat`, `first` after each success, `join` after each of both.
    fn beat(&mut self, beat: usize, first: usize, join: usize, second: i64) {
        let (end, id) = self.fire(beat, second * 1_000);
        if second != 10 {
            let (end, id) = self.run(first, "on_success", Some(&id), None, end);
            self.run(join, "dependency", Some(&id), None, end);
        }
    }

    fn finish(mut self) -> History {
        let boot = |spawned, ended, how| Boot {
            node: 0,
            spawned: at(spawned),
            ready: Some(at(spawned + 300)),
            ended,
            gone: ended,
            how,
        };
        self.history.boots =
            vec![boot(-2_000, Some(at(KILLED_MS)), "kill -9"), boot(KILLED_MS + 500, None, "")];
        for life in &self.history.lives {
            for written in life.writes() {
                self.history.audit.push(Audit {
                    at: written.sent.plus_ms(2),
                    action: format!("job.{}", written.verb),
                    target: life.name.clone(),
                });
            }
            if life.deleted.is_none() {
                let last = life.last();
                let text = format!("generation={}", last.definition.generation);
                let present = Present { uid: life.uid.clone(), version: last.version, text };
                self.history.present.insert(life.name.clone(), present);
            }
        }
        self.history.marks.sort_by_key(|mark| mark.at);
        self.history.members = BTreeMap::from([("node-a".into(), 0)]);
        let parts = BTreeMap::from([("jobs".to_string(), "beat v3, gated v2".to_string())]);
        let replica = |node| Replica { node, applied: 900, parts: parts.clone() };
        self.history.replicas = (0..3).map(replica).collect();
        self.history.register = Some(register());
        self.history
    }
}

/// A write, and a read of it.
fn register() -> Register {
    let op = |asked, told, sent| {
        let node = "http://127.0.0.1:8000".to_string();
        Op { client: 0, node, asked, sent, answered: sent + 5, told }
    };
    let held = State { version: 2, value: 7 };
    let ops =
        vec![op(Asked::Write(7), Told::Written(2), 10), op(Asked::Read, Told::Holds(held), 20)];
    Register { initial: State { version: 1, value: 0 }, ops }
}

/// The sound history.
pub fn sound() -> History {
    let mut b = Builder { history: History::default(), fence: 0 };
    let every = |n| Some(Schedule::Every(n));
    let follows = vec!["first".to_string()];
    let new = |name: &str, n: i64| Definition { schedule: every(n), ..Definition::new(name) };
    let queue = Some("narrow".to_string());
    let beat_1 = Definition { on_success: follows, queue, ..new("beat", 2) };
    let narrow = Queue { since: at(0), rates: vec![(1, 1_500), (3, 5_000)] };
    b.history.queues.insert("narrow".to_string(), narrow);
    let beat = b.life(beat_1.clone());
    let first = b.life(Definition::new("first"));
    let names = vec!["beat".to_string(), "first".to_string()];
    let join = b.life(Definition { dependencies: names, ..Definition::new("join") });
    let gate = Definition { dependencies: vec!["join".into()], window_s: 20, ..new("gated", 4) };
    let gated = b.life(gate.clone());
    let resting = b.life(new("resting", 2));
    let gone = b.life(new("gone", 3));

    (1..=10).for_each(|k| b.beat(beat, first, join, 2 * k));
    let beat_2 = Definition { schedule: every(3), generation: 2, ..beat_1 };
    b.edit(beat, "update", 21_300, beat_2.clone());
    [24, 27, 30].into_iter().for_each(|second| b.beat(beat, first, join, second));
    b.edit(beat, "pause", 32_500, Definition { enabled: false, ..beat_2 });
    b.rest(beat, 33_000, 3);

    (1..=5).for_each(|k| drop(b.fire(gated, 4_000 * k)));
    b.edit(gated, "pause", 21_500, Definition { enabled: false, ..gate });
    b.rest(gated, 24_000, 5);

    [2_000, 4_000].into_iter().for_each(|ms| drop(b.fire(resting, ms)));
    b.edit(resting, "pause", 5_200, Definition { enabled: false, ..new("resting", 2) });
    b.rest(resting, 6_000, 18);

    [3_000, 6_000, 9_000].into_iter().for_each(|ms| drop(b.fire(gone, ms)));
    b.history.lives[gone].read_at = at(9_700);
    b.history.lives[gone].deleted = Some(written("delete", 9_800));

    let (_, id) = b.run(first, "manual", None, None, 35_000);
    let triggered = Triggered { written: written("run", 35_000), run_id: id };
    b.history.lives[first].triggered.push(triggered);
    flow(&mut b.history);
    b.finish()
}

/// A run of a workflow: `list`, two items of `copy` after it, `load` after those, and `mourn`,
/// which had no reason to.
fn flow(history: &mut History) {
    let named = |id: &str, name: &str, index: Option<u32>, (from, to): (i64, i64)| {
        let attempt = Attempt {
            attempt: 1,
            node: "node-a".into(),
            fence: 9_000,
            assigned_at: at(from),
            finished_at: Some(at(to)),
            status: "succeeded".into(),
            error: None,
        };
        Run {
            id: id.into(),
            job: "flow".into(),
            job_uid: "uid-flow".into(),
            version: 1,
            trigger: "workflow".into(),
            cause: None,
            task: Some(TaskOf { name: name.into(), index }),
            backfill: None,
            nominal_time: None,
            fired_at: at(from),
            finished_at: Some(at(to)),
            status: "succeeded".into(),
            reason: None,
            skip: None,
            cancelled_by: None,
            attempts: vec![attempt],
        }
    };
    let task = |name: &str, status: &str, after: Option<(&str, &str)>, items: Option<u32>| Task {
        name: name.into(),
        status: status.into(),
        after: after
            .map(|(task, on)| Edge { task: task.into(), on: on.into() })
            .into_iter()
            .collect(),
        join: "all".into(),
        items: items.map(|total| Items { total }),
    };
    let runs = vec![
        named("task-1", "list", None, (1_000, 1_200)),
        named("task-2", "copy", Some(0), (1_200, 1_400)),
        named("task-3", "copy", Some(1), (1_200, 1_600)),
        named("task-4", "load", None, (1_600, 1_800)),
    ];
    for run in &runs {
        let (Some(of), Some(end)) = (&run.task, run.finished_at) else { continue };
        let mark = |end: bool, at: Moment| TaskMark {
            flow: "flow-1".into(),
            task: of.name.clone(),
            index: of.index,
            run: run.id.clone(),
            attempt: 1,
            end,
            at,
        };
        history.task_marks.push(mark(false, run.fired_at.plus_ms(5)));
        history.task_marks.push(mark(true, end.plus_ms(-5)));
    }
    history.task_marks.sort_by_key(|mark| mark.at);
    let run = Run { task: None, ..named("flow-1", "", None, (1_000, 1_800)) };
    let tasks = vec![
        task("list", "succeeded", None, None),
        task("copy", "succeeded", Some(("list", "success")), Some(2)),
        task("load", "succeeded", Some(("copy", "success")), None),
        task("mourn", "skipped", Some(("copy", "failure")), None),
    ];
    history.flows.push(Flow { run, tasks, runs });
}
