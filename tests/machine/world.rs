//! `World`: a state, a manual clock, nodes with boots, the rows that history would hold, and
//! an executor that ends attempts as it is told. Every entry is followed by
//! `invariants::check`, so each test is a test of those as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use cronapi::machine::command::{Command, End, Place, RequestKey};
use cronapi::machine::history::{self, unpack};
use cronapi::machine::plan::{Around, plan};
use cronapi::machine::prepare::timing::Compiled;
use cronapi::machine::prepare::{Intent, PutMode, prepare};
use cronapi::machine::reply::{Answer, Rejection, Reply};
use cronapi::machine::state::{FORMAT, Job, OpenRun};
use cronapi::machine::{Op, Output, State, apply_entry, invariants};
use cronapi::model::{
    Actor, BootId, Event, Fact, Fence, JobNo, JobSpec, LedgerRow, Name, NodeId, Parameters, Run,
    RunId, RunStatus, Span, Timestamp,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// How an attempt ends, and when.
#[derive(Clone, Debug)]
pub struct Ending {
    pub status: RunStatus,
    pub after: Span,
    pub result: Option<Value>,
}

impl Ending {
    pub fn of(status: RunStatus, secs: u64) -> Ending {
        Ending { status, after: Span::from_secs(secs), result: None }
    }
}

/// An attempt that the executor has.
#[derive(Clone, Debug)]
struct Held {
    run: RunId,
    attempt: u32,
    node: NodeId,
    started_at: Timestamp,
    ends_at: Timestamp,
    ending: Ending,
}

pub struct World {
    pub state: State,
    pub now: Timestamp,
    pub compiled: Compiled,
    pub around: Around,
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub events: Vec<Event>,
    pub facts: Vec<Fact>,
    pub index: u64,
    /// Endings by job, used one after the other, the last one for good. A job without any
    /// succeeds at once.
    pub script: BTreeMap<String, Vec<Ending>>,
    /// Off: attempts are assigned and nothing reports on them.
    pub executor: bool,
    /// Every plan is proposed again later, as a leader does that has not heard the answer.
    pub repeats: bool,
    repeated: Vec<Command>,
    held: BTreeMap<Fence, Held>,
    boots: u128,
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn secs(n: u64) -> Span {
    Span::from_secs(n)
}

pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

pub fn spec(value: Value) -> JobSpec {
    JobSpec::from_map(object(value)).unwrap()
}

pub fn parameters(value: Value) -> Parameters {
    Parameters::new(object(value)).unwrap()
}

pub fn actor(name: &str) -> Actor {
    let (from, request_id) = (Some("192.0.2.1".into()), Some("r1".into()));
    Actor { name: name.into(), from, request_id, trace: None }
}

/// Work for a runner, as a part of a definition.
pub fn work() -> Value {
    json!({"type": "shell", "command": "true"})
}

/// The definition with a runner, unless it has one.
pub fn working(mut value: Value) -> Value {
    let map = value.as_object_mut().unwrap();
    map.entry("runner").or_insert_with(work);
    value
}

impl World {
    /// One node with many slots, at midnight before a quiet Monday.
    pub fn new() -> World {
        let mut world = World::bare("2027-01-04T00:00:00Z");
        world.node(1, 1_000);
        world
    }

    /// The same, of a cluster whose nodes all read the newest format.
    pub fn newest() -> World {
        let mut world = World::new();
        world.state.format = FORMAT;
        world
    }

    pub fn bare(now: &str) -> World {
        World {
            state: State::default(),
            now: at(now),
            compiled: Compiled::default(),
            around: Around::default(),
            rows: BTreeMap::new(),
            events: Vec::new(),
            facts: Vec::new(),
            index: 0,
            script: BTreeMap::new(),
            executor: true,
            repeats: false,
            repeated: Vec::new(),
            held: BTreeMap::new(),
            boots: 0,
        }
    }

    /// Applies one entry at the present time and checks every invariant.
    pub fn entry(&mut self, commands: &[Command]) -> Vec<Answer> {
        let mut out = Output::default();
        self.index += 1;
        let answers = apply_entry(&mut self.state, self.index, commands, &mut out);
        for row in out.rows {
            match row.value {
                Some(value) => {
                    let old = self.rows.insert(row.key.clone(), value.clone());
                    let kept = old.is_none_or(|old| old == value);
                    assert!(kept, "a row of history was changed: {:?}", row.key);
                }
                None => {
                    self.rows.remove(&row.key);
                }
            }
        }
        self.events.extend(out.events);
        self.facts.extend(out.facts);
        let broken = invariants::check(&self.state);
        assert!(broken.is_empty(), "{broken:#?} after {commands:#?}");
        answers
    }

    pub fn command(&self, op: Op) -> Command {
        Command { at: self.now, actor: None, request: None, op }
    }

    /// A step of the cluster itself.
    pub fn op(&mut self, op: Op) -> Answer {
        let command = self.command(op);
        self.entry(&[command]).remove(0)
    }

    /// A step that a person takes.
    pub fn submit(&mut self, intent: Intent) -> Answer {
        self.submit_as(intent, Some(actor("ann")), None)
    }

    pub fn submit_as(
        &mut self,
        intent: Intent,
        actor: Option<Actor>,
        request: Option<RequestKey>,
    ) -> Answer {
        for _ in 0..4 {
            let again = intent.clone();
            let command = prepare(&self.state, again, self.now, actor.clone(), request);
            match command.and_then(|command| self.entry(&[command]).remove(0)) {
                Err(Rejection::Stale) => {}
                Err(Rejection::Ahead { run, until }) => self.withdraw(run, until),
                answer => return answer,
            }
        }
        panic!("prepared on the present state and refused as stale: {intent:?}");
    }

    /// As the service does before an edit: the node confirms, or the time comes.
    fn withdraw(&mut self, run: RunId, until: Timestamp) {
        // Refused once the time has come; log time has moved there then.
        let _ = self.op(Op::Withdraw { run });
        if !self.execute() {
            self.now = until;
        }
    }

    pub fn prepare(&self, intent: Intent) -> Command {
        prepare(&self.state, intent, self.now, Some(actor("ann")), None).unwrap()
    }

    pub fn put_intent(value: Value) -> Intent {
        Intent::PutJob { spec: Arc::new(spec(value)), mode: PutMode::Upsert, expected: None }
    }

    pub fn try_put(&mut self, value: Value) -> Answer {
        self.submit(World::put_intent(value))
    }

    /// Creates or replaces a definition as it is given.
    pub fn put(&mut self, value: Value) -> JobNo {
        match self.try_put(value).unwrap() {
            Reply::Job { no, .. } => no,
            other => panic!("{other:?}"),
        }
    }

    /// Creates or replaces a definition that has work to do.
    pub fn work(&mut self, value: Value) -> JobNo {
        self.put(working(value))
    }

    pub fn delete(&mut self, job: &str) {
        self.submit(Intent::DeleteJob { name: name(job), expected: None }).unwrap();
    }

    pub fn enable(&mut self, job: &str, enabled: bool) {
        let intent = Intent::SetEnabled { name: name(job), enabled, expected: None };
        self.submit(intent).unwrap();
    }

    pub fn try_trigger(&mut self, job: &str, given: Value, force: bool) -> Answer {
        self.submit(Intent::Trigger {
            name: name(job),
            parameters: parameters(given),
            force,
            cause: None,
        })
    }

    pub fn trigger(&mut self, job: &str) -> RunId {
        match self.try_trigger(job, json!({}), false).unwrap() {
            Reply::Run { id } => id,
            other => panic!("{other:?}"),
        }
    }

    /// Many runs by hand in one entry.
    pub fn triggers(&mut self, job: &str, n: usize) {
        let name = name(job);
        let given = Parameters::default();
        let intent = Intent::Trigger { name, parameters: given, force: false, cause: None };
        let command = self.prepare(intent);
        assert!(self.entry(&vec![command; n]).iter().all(Result::is_ok));
    }

    pub fn cancel(&mut self, run: RunId) -> Answer {
        self.submit(Intent::Plain(Box::new(Op::Cancel { run })))
    }

    pub fn new_boot(&mut self) -> BootId {
        self.boots += 1;
        Uuid::from_u128(0xb007_0000 + self.boots)
    }

    /// Starts or restarts a node; what it ran is gone.
    pub fn node(&mut self, node: NodeId, slots: u32) -> Place {
        self.labelled(node, slots, &[])
    }

    pub fn labelled(&mut self, node: NodeId, slots: u32, labels: &[(&str, &str)]) -> Place {
        let boot = self.new_boot();
        self.held.retain(|_, held| held.node != node);
        let labels = labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let address = format!("10.0.0.{node}:8001");
        let api = String::new();
        self.op(Op::NodeUp { node, boot, address, api, slots, labels }).unwrap();
        Place { node, boot }
    }

    /// A node that was started before says again that it is up.
    pub fn again(&mut self, place: Place, slots: u32) -> Answer {
        let Place { node, boot } = place;
        let (address, api) = (format!("10.0.0.{node}:8001"), String::new());
        self.op(Op::NodeUp { node, boot, address, api, slots, labels: Default::default() })
    }

    /// One step of the leader; its answers.
    pub fn plan_once(&mut self) -> Vec<(Op, Answer)> {
        let planned = plan(&self.state, self.now, &self.compiled, &self.around);
        let commands: Vec<Command> = planned.ops.into_iter().map(|op| self.command(op)).collect();
        if commands.is_empty() {
            return Vec::new();
        }
        let answers = self.entry(&commands);
        if self.repeats {
            let earlier = std::mem::replace(&mut self.repeated, commands.clone());
            self.entry(&[commands.clone(), earlier].concat());
        }
        commands.into_iter().map(|command| command.op).zip(answers).collect()
    }

    /// Steps of leader and executor until nothing is left to do at this moment.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let planned = self.plan_once();
            if !planned.is_empty() && planned.iter().all(|(_, answer)| answer.is_err()) {
                panic!("the plan is refused as a whole and would be for ever: {planned:?}");
            }
            if !self.execute() && planned.is_empty() {
                return;
            }
        }
        panic!("no end of steps at {}", self.now);
    }

    /// Starts what was assigned and ends what is over; whether there was anything.
    pub fn execute(&mut self) -> bool {
        if !self.executor {
            return false;
        }
        let mut commands = Vec::new();
        let placed: Vec<OpenRun> = self
            .state
            .runs
            .values()
            .filter(|o| o.held().is_some())
            .map(|o| (**o).clone())
            .collect();
        for open in placed {
            let (fence, _) = open.held().unwrap();
            if !self.held.contains_key(&fence) {
                if open.ahead.is_some_and(|ahead| ahead.withdrawn || open.cancel) {
                    let (run, attempt) = (open.run.id, open.run.attempt);
                    commands.push(self.command(Op::Unbegun { run, attempt, fence }));
                    continue;
                }
                if open.ahead.is_some_and(|ahead| ahead.start_at > self.now) {
                    continue;
                }
                let held = self.start(&open);
                commands.push(self.command(Op::Started {
                    run: held.run,
                    attempt: held.attempt,
                    fence,
                    started_at: held.started_at,
                }));
                self.held.insert(fence, held);
            }
            if open.cancel {
                let held = self.held.get_mut(&fence).unwrap();
                held.ends_at = held.ends_at.min(self.now);
                held.ending.status = RunStatus::Cancelled;
            }
        }
        let over: Vec<Fence> =
            self.held.iter().filter(|(_, h)| h.ends_at <= self.now).map(|(f, _)| *f).collect();
        for fence in over {
            let held = self.held.remove(&fence).unwrap();
            commands.push(self.command(ended(fence, &held, self.now)));
        }
        let any = !commands.is_empty();
        if any {
            self.entry(&commands);
        }
        any
    }

    fn start(&mut self, open: &OpenRun) -> Held {
        // Of a task: `job/task`, or `job/task/number` of an item.
        let of = open.run.task.as_ref();
        let task = of.map(|of| format!("{}/{}", open.run.job, of.name)).unwrap_or_default();
        let item = of.and_then(|of| of.index).map(|at| format!("{task}/{at}")).unwrap_or_default();
        let keys = [item, task, open.run.job.to_string()];
        let key = keys.iter().find(|key| self.script.contains_key(*key));
        let endings = key.and_then(|key| self.script.get_mut(key));
        let ending = match endings {
            Some(list) if list.len() > 1 => list.remove(0),
            Some(list) => list[0].clone(),
            None => Ending::of(RunStatus::Succeeded, 0),
        };
        // By its own clock, whether there is a leader or not.
        let started_at = open.ahead.map_or(self.now, |ahead| ahead.start_at.min(self.now));
        Held {
            run: open.run.id,
            attempt: open.run.attempt,
            node: open.run.node.unwrap(),
            started_at,
            ends_at: started_at.plus(ending.after),
            ending,
        }
    }

    pub fn script(&mut self, job: &str, endings: &[(RunStatus, u64)]) {
        let list = endings.iter().map(|(status, after)| Ending::of(*status, *after)).collect();
        self.script.insert(job.to_string(), list);
    }

    /// Lets time pass with a leader: plan, apply, execute, advance to what comes next.
    pub fn run_until(&mut self, until: &str) {
        self.run_to(at(until));
    }

    pub fn run_for(&mut self, span: u64) {
        self.run_to(self.now.plus(secs(span)));
    }

    pub fn run_to(&mut self, until: Timestamp) {
        loop {
            self.settle();
            let wake = plan(&self.state, self.now, &self.compiled, &self.around).wake_at;
            let end = self.held.values().map(|held| held.ends_at).min();
            let starts = self.state.runs.values().filter_map(|open| open.ahead);
            let start = starts.map(|ahead| ahead.start_at).filter(|t| *t > self.now).min();
            let next = wake.into_iter().chain(end).chain(start).filter(|t| *t > self.now).min();
            match next.filter(|t| *t <= until) {
                Some(t) => self.now = t,
                None => break,
            }
        }
        self.now = until.max(self.now);
        self.settle();
    }

    pub fn job(&self, job: &str) -> &Job {
        self.state.job(job).unwrap_or_else(|| panic!("there is no job {job}"))
    }

    pub fn open(&self, id: RunId) -> &OpenRun {
        self.state.runs.get(&id).unwrap_or_else(|| panic!("run {id} is not open"))
    }

    /// A run, open or closed.
    pub fn run(&self, id: RunId) -> Run {
        match self.rows.get(&history::run_key(id)) {
            Some(row) => unpack(row).unwrap(),
            None => self.open(id).run.clone(),
        }
    }

    pub fn status(&self, id: RunId) -> RunStatus {
        self.run(id).status
    }

    /// Every run of a job number, open ones included, oldest first.
    pub fn runs_of(&self, no: JobNo) -> Vec<Run> {
        let prefix = history::runs_prefix(no);
        let closed = self.rows.iter().filter(|(key, _)| key.starts_with(&prefix));
        let mut runs: Vec<Run> = closed.map(|(_, row)| unpack(row).unwrap()).collect();
        runs.extend(self.state.open_of(no).map(|open| open.run.clone()));
        runs.sort_by_key(|run| run.id);
        runs
    }

    pub fn runs(&self, job: &str) -> Vec<Run> {
        self.runs_of(self.job(job).no)
    }

    /// The statuses of all runs of a job, oldest first.
    pub fn statuses(&self, job: &str) -> Vec<&'static str> {
        self.runs(job).iter().map(|run| run.status.as_str()).collect()
    }

    /// The ledger of a job number, by nominal time.
    pub fn ledger_of(&self, no: JobNo) -> Vec<LedgerRow> {
        let prefix = history::ledger_prefix(no);
        let rows = self.rows.iter().filter(|(key, _)| key.starts_with(&prefix));
        let mut ledger: Vec<LedgerRow> = rows.map(|(_, row)| unpack(row).unwrap()).collect();
        ledger.extend(self.runs_of(no).iter().filter_map(history::ledger_of));
        ledger.sort_by_key(|row| row.nominal_time);
        ledger
    }

    /// The ledger of a job in short: `00:05 fired`, `00:06..00:09/3 skipped misfire`.
    pub fn ledger(&self, job: &str) -> Vec<String> {
        self.ledger_of(self.job(job).no).iter().map(told).collect()
    }
}

fn clock(t: Timestamp) -> String {
    let text = t.to_string();
    let time = &text[11..text.len() - 1];
    time.strip_suffix(":00").unwrap_or(time).to_string()
}

/// A ledger row in short.
pub fn told(row: &LedgerRow) -> String {
    let mut text = clock(row.nominal_time);
    if let Some(until) = row.until {
        text += &format!("..{}", clock(until));
        text += &row.count.map_or("/?".into(), |count| format!("/{count}"));
    }
    text += match row.outcome {
        cronapi::model::Outcome::Fired => " fired",
        cronapi::model::Outcome::Skipped => " skipped",
        cronapi::model::Outcome::Superseded => " superseded",
    };
    if let Some(reason) = row.reason {
        text += &format!(" {}", reason.as_str());
    }
    text
}

fn ended(fence: Fence, held: &Held, now: Timestamp) -> Op {
    let failed = held.ending.status != RunStatus::Succeeded;
    let end = End {
        status: held.ending.status,
        started_at: Some(held.started_at),
        finished_at: now,
        exit_code: Some(i32::from(failed)),
        signal: None,
        http_status: None,
        error: failed.then(|| "it did not work".to_string()),
        result: held.ending.result.clone(),
        usage: None,
        retry_after: None,
        output: Vec::new(),
    };
    Op::Ended { run: held.run, attempt: held.attempt, fence, end: Box::new(end) }
}

/// The end of the open attempt of a run, as its node would report it.
pub fn end_of(open: &OpenRun, status: RunStatus, now: Timestamp) -> Op {
    let (fence, _) = open.held().unwrap();
    let held = Held {
        run: open.run.id,
        attempt: open.run.attempt,
        node: open.run.node.unwrap(),
        started_at: now,
        ends_at: now,
        ending: Ending::of(status, 0),
    };
    ended(fence, &held, now)
}
