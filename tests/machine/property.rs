//! Anything in any order: random intents, reboots, ends, clock moves, two planners with stale
//! snapshots, repeated and reordered proposals. Three states are fed the same log: one plain,
//! one written and read back now and then, one whose commands went through the codec. They
//! must stay equal to the byte, keep every invariant, and never decide a time twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cronapi::machine::command::{BackfillEdit, Command, Op, RequestKey, StartBackfill};
use cronapi::machine::history::{self, unpack};
use cronapi::machine::plan::{Around, plan};
use cronapi::machine::prepare::timing::Compiled;
use cronapi::machine::prepare::{Intent, PutMode, prepare};
use cronapi::machine::reply::Answer;
use cronapi::machine::state::{FORMAT, OpenRun};
use cronapi::machine::{Output, State, apply_entry, invariants};
use cronapi::model::flow::StartRate;
use cronapi::model::{
    BackfillOrder, BackfillWhich, Backfilled, JobNo, Kind, LedgerRow, Run, RunId, RunStatus,
    Timestamp, limits,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::backfills::step_of;
use crate::chance::{Chance, each_seed};
use crate::world::{actor, at, end_of, name, object, parameters, spec, work};

struct Three {
    plain: State,
    restored: State,
    coded: State,
    index: u64,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Commands of late, for repeats.
    log: Vec<Command>,
}

fn pack<T: serde::Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

fn through_the_codec<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    rmp_serde::from_slice(&pack(value)).unwrap()
}

impl Three {
    fn entry(&mut self, commands: &[Command]) -> Vec<Answer> {
        self.index += 1;
        let coded: Vec<Command> = commands.iter().map(through_the_codec).collect();
        assert_eq!(coded, commands, "a command changes on its way through the codec");
        let mut outs = [Output::default(), Output::default(), Output::default()];
        let [a, b, c] = &mut outs;
        let answers = apply_entry(&mut self.plain, self.index, commands, a);
        let restored = apply_entry(&mut self.restored, self.index, commands, b);
        let decoded = apply_entry(&mut self.coded, self.index, &coded, c);
        assert!(answers == restored && answers == decoded, "the answers differ");
        assert!(outs[0].rows == outs[1].rows && outs[0].rows == outs[2].rows, "the rows differ");
        assert!(outs[0].events == outs[1].events && outs[0].events == outs[2].events);
        let [out, ..] = outs;
        for row in out.rows {
            let Some(value) = row.value else {
                // A definition that goes takes its versions along; one of that name begins anew.
                self.rows.remove(&row.key);
                continue;
            };
            let old = self.rows.insert(row.key, value.clone());
            assert!(old.is_none_or(|old| old == value), "a row of history was changed");
        }
        let broken = invariants::check(&self.plain);
        assert!(broken.is_empty(), "{broken:#?} after {commands:#?}");
        self.log.extend_from_slice(commands);
        let old = self.log.len().saturating_sub(200);
        self.log.drain(..old);
        answers
    }

    fn compare(&mut self) {
        let bytes = pack(&self.plain);
        assert!(bytes == pack(&self.coded), "the digest of the state fed by the codec differs");
        assert!(bytes == pack(&self.restored), "the digest of the restored state differs");
        self.restored = rmp_serde::from_slice(&bytes).unwrap();
        assert!(self.restored == self.plain);
    }

    /// No backfill runs a nominal time twice, and each counts what it made.
    fn audit_backfills(&self) {
        let closed = self.rows.iter().filter(|(key, _)| key[0] == b'b');
        let mut made: BTreeMap<u64, BTreeSet<Timestamp>> = BTreeMap::new();
        let mut count = |id: u64, at: Timestamp| {
            assert!(made.entry(id).or_default().insert(at), "backfill {id} ran {at} twice");
        };
        for (_, value) in closed {
            let row: Backfilled = unpack(value).unwrap();
            count(row.backfill, row.nominal_time);
        }
        for open in self.plain.runs.values() {
            if let Some(id) = open.run.backfill {
                count(id, open.run.nominal_time.unwrap());
            }
        }
        for (id, backfill) in &self.plain.backfills.all {
            let times = made.remove(id).unwrap_or_default();
            assert_eq!(times.len() as u64, backfill.counts.made, "{backfill:?}");
            assert!(times.iter().all(|at| backfill.from <= *at && *at < backfill.to));
        }
    }

    /// No nominal time has two outcomes, whatever was proposed.
    fn audit_ledgers(&self) {
        let mut by_job: BTreeMap<JobNo, Vec<LedgerRow>> = BTreeMap::new();
        for (key, value) in &self.rows {
            let no = || JobNo::from_be_bytes(key[1..5].try_into().unwrap());
            match key[0] {
                b'l' => by_job.entry(no()).or_default().push(unpack(value).unwrap()),
                b'r' => {
                    let run: Run = unpack(value).unwrap();
                    by_job.entry(no()).or_default().extend(history::ledger_of(&run));
                }
                _ => {}
            }
        }
        for (id, open) in &self.plain.runs {
            by_job.entry(id.job_no()).or_default().extend(history::ledger_of(&open.run));
        }
        self.audit_backfills();
        for (no, mut rows) in by_job {
            rows.sort_by_key(|row| row.nominal_time);
            for pair in rows.windows(2) {
                let end = pair[0].until.map_or(pair[0].nominal_time.micros() + 1, |t| t.micros());
                assert!(end <= pair[1].nominal_time.micros(), "job {no}: {pair:#?}");
            }
            for row in rows {
                assert!(row.nominal_time <= row.decided_at, "decided early: {row:?}");
            }
        }
    }
}

const JOBS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

/// A job whose fires may be decided ahead.
fn simple_job(chance: &mut Chance) -> Value {
    let expr = chance.pick(&["* * * * *", "*/20 * * * * *", "@every 7s"]);
    let overlap = chance.pick(&["allow", "skip", "queue_one"]);
    let max_runs = chance.once_in(4).then(|| 1 + chance.below(6));
    json!({"name": chance.pick(&JOBS), "expr": expr, "overlap": overlap, "runner": work(),
        "max_runs": max_runs, "retry": {"max_attempts": 2, "on": ["lost"]}})
}

fn random_job(chance: &mut Chance) -> Value {
    let name = *chance.pick(&JOBS);
    let mut job = json!({"name": name, "priority": chance.below(5)});
    if !chance.once_in(5) {
        job["runner"] = work();
    }
    if !chance.once_in(4) {
        let exprs = ["* * * * *", "*/5 * * * *", "@every 90s", "*/20 * * * * *", "0 * * * *"];
        job["expr"] = json!(chance.pick(&exprs));
        if chance.once_in(3) {
            job["jitter"] = json!("20s");
        }
        if chance.once_in(4) {
            job["max_runs"] = json!(1 + chance.below(6));
        }
        if chance.once_in(3) {
            let policy = chance.pick(&["latest", "all", "skip"]);
            job["misfire"] = json!({"policy": policy, "window": "10m", "max": 3});
        }
    }
    let overlaps = ["allow", "skip", "queue_one", "queue_all", "cancel_running"];
    job["overlap"] = json!(chance.pick(&overlaps));
    if chance.once_in(3) {
        job["max_concurrent"] = json!(1 + chance.below(3));
    }
    for field in ["on_success", "on_failure", "on_finish", "dependencies"] {
        if chance.once_in(4) {
            let target = *chance.pick(&JOBS);
            if target != name {
                job[field] = json!([target]);
            }
        }
    }
    if job.get("dependencies").is_some() && chance.once_in(2) {
        job["dependency_timeout"] = json!("45s");
    }
    if chance.once_in(3) {
        job["retry"] = json!({"max_attempts": 3, "delay": "7s", "jitter": "2s",
            "on": ["failed", "lost"]});
    }
    if chance.once_in(4) {
        job["queue"] = json!("q");
    }
    if chance.once_in(6) {
        job["enabled"] = json!(false);
    }
    job
}

/// A workflow whose tasks come after each other at random.
fn random_workflow(chance: &mut Chance) -> Value {
    let count = 1 + chance.below(5);
    let mut tasks = Vec::new();
    for at in 0..count {
        let mut task = json!({"name": format!("t{at}")});
        if chance.once_in(4) {
            // Below all workflows by name, so that none leads to itself too often.
            task["job"] = json!(chance.pick(&["a", "b", "c"]));
        } else {
            task["runner"] = work();
            if chance.once_in(4) {
                task["retry"] = json!({"max_attempts": 2, "delay": "3s", "on": ["failed", "lost"]});
            }
        }
        let mut after = Vec::new();
        for from in 0..at {
            if chance.once_in(2) {
                let on = chance.pick(&["success", "failure", "always"]);
                after.push(json!({"task": format!("t{from}"), "on": on}));
            }
        }
        if after.len() > 1 && chance.once_in(2) {
            task["join"] = json!("any");
        }
        task["after"] = json!(after);
        if chance.once_in(3) {
            task["over"] = json!({"count": chance.below(7)});
            task["max_parallel"] = json!(1 + chance.below(3));
        }
        if chance.once_in(6) {
            task["when"] = json!({"value": "${run_id}", "exists": chance.once_in(2)});
        }
        tasks.push(task);
    }
    let name = chance.pick(&["e", "f", "g"]);
    let overlap = chance.pick(&["allow", "skip", "queue_all", "cancel_running"]);
    let expr = chance.once_in(2).then_some("* * * * *");
    json!({"name": name, "tasks": tasks, "expr": expr, "overlap": overlap,
        "fail_fast": chance.once_in(3), "queue": chance.once_in(4).then_some("q")})
}

fn random_intent(chance: &mut Chance, state: &State, early: bool) -> Intent {
    let planned = state.jobs.values().find(|job| job.live.ahead.is_some() && chance.once_in(2));
    let target =
        planned.map_or_else(|| name(chance.pick::<&str>(&JOBS)), |job| job.spec.name.clone());
    match chance.below(12) {
        0..4 => {
            let mode = *chance.pick(&[PutMode::Upsert, PutMode::Create, PutMode::Update]);
            let expected = chance.once_in(5).then(|| chance.below(5));
            let simple = early && !chance.once_in(8);
            let flow = state.format() >= FORMAT && chance.once_in(3);
            let job = match (simple, flow) {
                (true, _) => simple_job(chance),
                (false, true) => random_workflow(chance),
                (false, false) => random_job(chance),
            };
            Intent::PutJob { spec: Arc::new(spec(job)), mode, expected }
        }
        4..6 => Intent::SetEnabled { name: target, enabled: chance.once_in(2), expected: None },
        6 => Intent::DeleteJob { name: target, expected: None },
        7..10 => {
            let force = chance.once_in(3);
            Intent::Trigger { name: target, parameters: parameters(json!({})), force, cause: None }
        }
        10 => {
            let runs: Vec<_> = state.runs.keys().copied().collect();
            let none = cronapi::model::RunId(Uuid::nil());
            let run = if runs.is_empty() { none } else { *chance.pick(&runs) };
            if state.flows.contains_key(&run) && chance.once_in(2) {
                return Intent::Plain(Box::new(Op::PauseFlow { run, paused: chance.once_in(2) }));
            }
            Intent::Plain(Box::new(Op::Cancel { run }))
        }
        _ if chance.once_in(3) => random_backfill(chance, state),
        _ if chance.once_in(2) => random_queue(chance),
        _ => {
            let concurrency = chance.once_in(2).then(|| chance.below(3) as u32);
            Intent::Plain(Box::new(Op::SetQueue { name: name("q"), concurrency }))
        }
    }
}

/// A backfill is begun, or something is done to one.
fn random_backfill(chance: &mut Chance, state: &State) -> Intent {
    let last = state.backfills.last;
    let op = match state.jobs.values().nth(chance.below(4) as usize) {
        Some(job) if last == 0 || chance.once_in(2) => {
            let hours = 1 + chance.below(4);
            let to = Timestamp::from_secs(state.last_at.secs() - chance.below(3_600) as i64);
            Op::StartBackfill(Box::new(StartBackfill {
                no: job.no,
                version: job.version,
                spec: None,
                from: to.minus(crate::world::secs(hours * 600)),
                to,
                which: *chance.pick(&[
                    BackfillWhich::Missing,
                    BackfillWhich::Failed,
                    BackfillWhich::All,
                ]),
                order: *chance.pick(&[BackfillOrder::Oldest, BackfillOrder::Newest]),
                max_concurrent: 1 + chance.below(4) as u32,
                rate: chance
                    .once_in(3)
                    .then(|| StartRate { limit: 2, per: crate::world::secs(30) }),
                parameters: parameters(json!({})),
                total: chance.below(1_000),
                reason: None,
            }))
        }
        _ => {
            let edits = [
                BackfillEdit::Pause { reason: None },
                BackfillEdit::Resume,
                BackfillEdit::Resume,
                BackfillEdit::Cancel { reason: None },
                BackfillEdit::Bounds { max_concurrent: 2, rate: None },
            ];
            let id = 1 + chance.below(last.max(1));
            Op::EditBackfill { id, edit: chance.pick(&edits).clone() }
        }
    };
    Intent::Plain(Box::new(op))
}

/// A queue as a definition; refused where the format does not know it.
fn random_queue(chance: &mut Chance) -> Intent {
    let expected = chance.once_in(3).then(|| chance.below(4));
    if chance.once_in(3) {
        return Intent::Remove { kind: Kind::Queue, name: name("q"), expected };
    }
    let concurrency = chance.once_in(2).then(|| 1 + chance.below(3));
    let spec = Kind::Queue.read(object(json!({"name": "q", "concurrency": concurrency}))).unwrap();
    let mode = *chance.pick(&[PutMode::Upsert, PutMode::Create, PutMode::Update]);
    Intent::Put { spec, mode, expected }
}

fn random_report(chance: &mut Chance, state: &State, now: Timestamp) -> Option<Op> {
    let held: Vec<&OpenRun> =
        state.runs.values().filter(|o| o.held().is_some()).map(|o| &**o).collect();
    if held.is_empty() {
        return None;
    }
    let picked = *chance.pick(&held);
    let planned = held.iter().find(|open| open.ahead.is_some() && chance.once_in(2));
    let open = planned.map_or(picked, |open| *open);
    let (fence, _) = open.held()?;
    if open.ahead.is_some() && chance.once_in(3) {
        return Some(Op::Withdraw { run: open.run.id });
    }
    if chance.once_in(if open.ahead.is_some() { 2 } else { 6 }) {
        return Some(Op::Unbegun { run: open.run.id, attempt: open.run.attempt, fence });
    }
    if chance.once_in(3) {
        let (run, attempt) = (open.run.id, open.run.attempt);
        return Some(Op::Started { run, attempt, fence, started_at: now });
    }
    use RunStatus::{Cancelled, Failed, Lost, Succeeded, TimedOut};
    let ends = [Succeeded, Succeeded, Succeeded, Failed, TimedOut, Cancelled, Lost];
    let status = if open.cancel { Cancelled } else { *chance.pick(&ends) };
    Some(end_of(open, status, now))
}

fn node_step(chance: &mut Chance, state: &State, boots: &mut u128) -> Op {
    let node = 1 + chance.below(3);
    let present = state.nodes.get(&node).map(|present| present.boot);
    if let Some(boot) = present.filter(|_| chance.once_in(2)) {
        return match chance.below(4) {
            0 => Op::NodeDraining { node, boot },
            1 => Op::NodeRemoved { node },
            2 => Op::NodeLost { node, boot },
            // Of a boot that is not there, or not any more.
            _ => Op::NodeLost { node, boot: Uuid::from_u128(1 + u128::from(chance.below(9))) },
        };
    }
    *boots += 1;
    let boot = present.filter(|_| chance.once_in(4)).unwrap_or(Uuid::from_u128(*boots));
    let slots = chance.below(9) as u32;
    let (address, api) = ("127.0.0.1:1".to_string(), "127.0.0.1:2".to_string());
    Op::NodeUp { node, boot, address, api, slots, labels: Default::default() }
}

/// Within the last seconds before the next fire.
fn shortly_before_a_fire(chance: &mut Chance, state: &State, now: Timestamp) -> Timestamp {
    let next = state.due.range((now, 0)..).next().map_or(now, |(due, _)| *due);
    next.minus(cronapi::model::Span::from_millis(chance.below(3_500))).max(now)
}

fn shuffle<T>(chance: &mut Chance, items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, chance.below(at as u64 + 1) as usize);
    }
}

fn random_steps(seed: u64, steps: usize, early: bool) {
    let mut chance = Chance::new(seed);
    // Half of them in a cluster that still has older nodes.
    let format = if seed.is_multiple_of(2) { 0 } else { FORMAT };
    let begin = State { format, ..State::default() };
    let mut three = Three {
        plain: begin.clone(),
        restored: begin.clone(),
        coded: begin.clone(),
        index: 0,
        rows: BTreeMap::new(),
        log: Vec::new(),
    };
    let compiled = [Compiled::default(), Compiled::default()];
    let mut now = at("2027-01-04T00:00:00Z");
    let mut snapshots = vec![begin];
    let mut boots = 0;
    let mut once = Once::default();
    let around = Around { early, ..Around::default() };
    for step in 0..steps {
        let planned = three.plain.jobs.values().any(|job| job.live.ahead.is_some());
        now = match chance.below(60) {
            // What may happen before the time has come.
            2.. if planned && !chance.once_in(4) => {
                now.plus(cronapi::model::Span::from_millis(chance.below(600)))
            }
            0 => now.minus(crate::world::secs(3_600)),
            1 => now.plus(crate::world::secs(chance.below(7_200))),
            2..12 if early => shortly_before_a_fire(&mut chance, &three.plain, now),
            2..30 => now.plus(cronapi::model::Span::from_millis(chance.below(40_000))),
            _ => now,
        };
        let mut commands: Vec<Command> = Vec::new();
        let plainly = |op| Command { at: now, actor: None, request: None, op };
        match chance.below(17) {
            0..4 => {
                let intent = random_intent(&mut chance, &three.plain, early);
                let request = chance.once_in(3).then(|| RequestKey {
                    key: Uuid::from_u128(u128::from(chance.below(6))),
                    fingerprint: Uuid::from_u128(u128::from(chance.below(2))),
                });
                // Now and then on an old snapshot, as a leader that was deposed would.
                let old = chance.pick(&snapshots).clone();
                let base = if chance.once_in(4) { &old } else { &three.plain };
                commands.extend(prepare(base, intent, now, Some(actor("ann")), request));
            }
            4..9 => {
                let stale = chance.pick(&snapshots).clone();
                for (at, base) in [&three.plain, &stale].into_iter().enumerate() {
                    if at == 0 || chance.once_in(3) {
                        commands.extend(
                            plan(base, now, &compiled[at], &around).ops.into_iter().map(plainly),
                        );
                    }
                }
                if chance.once_in(4) {
                    shuffle(&mut chance, &mut commands);
                }
                if chance.once_in(4) {
                    commands.extend(commands.clone());
                }
            }
            9..14 => {
                for _ in 0..=chance.below(6) {
                    let report = random_report(&mut chance, &three.plain, now);
                    commands.extend(report.map(plainly));
                }
            }
            14 if chance.once_in(2) => {
                // Worked out now, or by a leader that is deposed; told twice now and then.
                let stale = chance.pick(&snapshots).clone();
                let base = if chance.once_in(3) { &stale } else { &three.plain };
                let ids: Vec<u64> = base.backfills.open.iter().map(|(_, id)| *id).collect();
                let steps = ids.into_iter().filter_map(|id| step_of(base, &three.rows, now, id));
                commands.extend(steps.map(plainly));
                commands.extend(chance.once_in(3).then(|| commands.clone()).into_iter().flatten());
            }
            // A quiet cluster, or nothing would have a slot ahead of its time.
            14..16 if early && chance.once_in(2) => {
                let boot = Uuid::from_u128(900_000 + step as u128);
                let (address, api, labels) = (String::new(), String::new(), Default::default());
                let node = 1 + chance.below(3);
                commands.push(plainly(Op::NodeUp { node, boot, address, api, slots: 40, labels }));
            }
            14..16 => commands.push(plainly(node_step(&mut chance, &three.plain, &mut boots))),
            _ if !three.log.is_empty() => {
                commands.extend((0..5).map(|_| chance.pick(&three.log).clone()));
            }
            _ => {}
        }
        let before = three.plain.clone();
        let answers = three.entry(&commands);
        once.taken_back(&before, &three);
        for (command, answer) in commands.iter().zip(&answers) {
            once.told(&before, &command.op, answer);
        }
        if chance.once_in(10) {
            let slot = chance.below(4) as usize;
            match snapshots.get_mut(slot) {
                Some(old) => *old = three.plain.clone(),
                None => snapshots.push(three.plain.clone()),
            }
        }
        if step % 25 == 24 {
            three.compare();
            three.audit_ledgers();
        }
    }
    heal(&mut three, now);
    three.compare();
    three.audit_ledgers();
}

/// The nominal time that a run was fired for. What a backfill makes is judged by itself.
fn nominal_of(run: &Run) -> Option<Timestamp> {
    run.nominal_time.filter(|_| run.backfill.is_none())
}

/// What may happen once for a nominal time: it fires, unless the fire was taken back before
/// anything started, and one run of it starts.
#[derive(Default)]
struct Once {
    fired: BTreeSet<(JobNo, Timestamp)>,
    started: BTreeMap<(JobNo, Timestamp), RunId>,
}

impl Once {
    /// The runs of nominal times that are open in `before` and gone or closed in `after`
    /// without a row were taken back.
    fn taken_back(&mut self, before: &State, three: &Three) {
        for (id, open) in &before.runs {
            let closed = || three.rows.contains_key(&history::run_key(*id));
            if let (Some(nominal), false) = (nominal_of(&open.run), closed())
                && !three.plain.runs.contains_key(id)
            {
                let key = (id.job_no(), nominal);
                assert!(!self.started.contains_key(&key), "{id} had started");
                assert!(self.fired.remove(&key), "{id} had not fired");
            }
        }
    }

    fn told(&mut self, before: &State, op: &Op, answer: &Answer) {
        if answer.is_err() {
            return;
        }
        let run = match op {
            Op::Fire { no, scheduled_for, .. } => {
                assert!(self.fired.insert((*no, *scheduled_for)), "{scheduled_for} fired twice");
                return;
            }
            Op::Started { run, .. } => *run,
            Op::Ended { run, end, .. } if end.started_at.is_some() => *run,
            _ => return,
        };
        let nominal = before.runs.get(&run).and_then(|open| nominal_of(&open.run));
        if let Some(nominal) = nominal {
            let first = *self.started.entry((run.job_no(), nominal)).or_insert(run);
            assert_eq!(first, run, "{nominal} was started twice");
        }
    }
}

/// With nodes up and no more mischief, everything ends: no run is stuck, no step repeats.
fn heal(three: &mut Three, from: Timestamp) {
    let compiled = Compiled::default();
    // Past what is planned ahead, which would hold up the edits.
    let mut now = from.max(three.plain.last_at).plus(limits::EARLY_HORIZON);
    let mut commands = Vec::new();
    let plain = |now, op| Command { at: now, actor: None, request: None, op };
    three.entry(&[plain(now, Op::Note { entries: Vec::new() })]);
    for job in three.plain.jobs.values().filter(|job| job.spec.enabled.0) {
        let intent =
            Intent::SetEnabled { name: job.spec.name.clone(), enabled: false, expected: None };
        commands.push(prepare(&three.plain, intent, now, None, None).unwrap());
    }
    commands.push(plain(now, Op::SetQueue { name: name("q"), concurrency: None }));
    let (boot, labels) = (Uuid::from_u128(u128::MAX), Default::default());
    let (address, api) = ("127.0.0.1:1".to_string(), String::new());
    commands.push(plain(now, Op::NodeUp { node: 9, boot, address, api, slots: 10_000, labels }));
    for round in 0.. {
        let answers = three.entry(&commands);
        assert!(commands.is_empty() || answers.iter().any(Result::is_ok), "no step succeeds");
        let mut ops = plan(&three.plain, now, &compiled, &Around::default()).ops;
        let held = three.plain.runs.values().filter(|open| open.held().is_some());
        ops.extend(held.map(|open| end_of(open, RunStatus::Succeeded, now)));
        commands = ops.into_iter().map(|op| plain(now, op)).collect();
        if commands.is_empty() {
            let Some((next, _)) = three.plain.timers.get_min().copied() else { break };
            now = next.max(now);
        }
        assert!(round < 2_000, "no end of it");
    }
    let waits_for_a_dependency = |open: &OpenRun| {
        open.wait.is_some_and(|wait| !matches!(wait, cronapi::machine::state::Wait::Retry { .. }))
    };
    for open in three.plain.runs.values() {
        assert!(waits_for_a_dependency(open), "stuck: {open:#?}");
    }
}

#[test]
fn any_order_of_anything_keeps_states_equal_and_every_rule() {
    each_seed("property", 1..41, |seed| random_steps(seed, 150, false));
    each_seed("property, ahead", 1..41, |seed| random_steps(seed, 150, true));
}
