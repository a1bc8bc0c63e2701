//! Shares of a queue, in the machine alone, by its own time: how even ten are that all have much
//! waiting, and how long quiet ones wait beside one with very much.

use std::collections::BTreeMap;
use std::path::Path;

use cronapi::machine::command::{End, Place, PutDefinition, PutJob, TriggerRun};
use cronapi::machine::plan::{Around, plan};
use cronapi::machine::prepare::timing::Compiled;
use cronapi::machine::state::FORMAT;
use cronapi::machine::{Command, Op, Output, State, apply_entry};
use cronapi::model::{Kind, RunId, RunStatus, Timestamp};
use serde_json::{Value, json};

use crate::Failure;
use crate::node::spec;

const BEGIN: i64 = 1_800_000_000;
/// One step.
const TICK: i64 = 10_000;
/// How long an attempt takes, in steps.
const TAKES: u64 = 10;
const PLACES: u32 = 16;
/// Runs of one job that may be open.
const PER_JOB: u32 = 1_000;
const QUIET: u32 = 9;

/// Prints both.
pub fn run(_: &Path) -> Result<(), Failure> {
    for fair in [true, false] {
        let mut bed = Bed::new(fair)?;
        for tenant in 0..10 {
            let no = bed.job(&format!("t{tenant}"), &format!("t{tenant}"))?;
            (0..PER_JOB).for_each(|_| bed.trigger(no));
        }
        let started = bed.steps(3_000, |_, _| {});
        let counts: Vec<f64> = (0..10).map(|n| started.count(&format!("t{n}"))).collect();
        let (sum, squares) =
            (counts.iter().sum::<f64>(), counts.iter().map(|n| n * n).sum::<f64>());
        println!(
            "fair {fair}: {sum} starts of ten shares in 30 s, Jain {:.4}",
            sum * sum / (10.0 * squares)
        );
    }
    for fair in [true, false] {
        let mut bed = Bed::new(fair)?;
        for n in 0..100 {
            let no = bed.job(&format!("loud-{n}"), "loud")?;
            (0..PER_JOB).for_each(|_| bed.trigger(no));
        }
        let quiet: Result<Vec<u32>, Failure> =
            (0..QUIET).map(|n| bed.job(&format!("quiet-{n}"), &format!("quiet-{n}"))).collect();
        let quiet = quiet?;
        let started = bed.steps(6_000, |bed, tick| {
            for no in quiet.iter().skip(tick as usize % 20).step_by(20) {
                bed.trigger(*no);
            }
        });
        let mut waits = started.waits("quiet");
        waits.sort_unstable();
        let at = |share: f64| waits.get((waits.len() as f64 * share) as usize).copied();
        let ms = |micros: Option<i64>| micros.map_or(f64::NAN, |micros| micros as f64 / 1_000.0);
        println!(
            "fair {fair}: 100,000 of one wait; {} of {} quiet ones started: p50 {} ms, p99 {} ms",
            waits.len(),
            bed.asked,
            ms(at(0.5)),
            ms(at(0.99))
        );
    }
    Ok(())
}

/// What started: its job, and how long it had waited.
#[derive(Default)]
struct Started(Vec<(String, i64)>);

impl Started {
    fn count(&self, job: &str) -> f64 {
        self.0.iter().filter(|(name, _)| name == job).count() as f64
    }

    fn waits(&self, prefix: &str) -> Vec<i64> {
        let of = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        of.map(|(_, waited)| *waited).collect()
    }
}

struct Bed {
    state: State,
    now: Timestamp,
    index: u64,
    /// Runs of quiet tenants.
    asked: u64,
    versions: BTreeMap<u32, u64>,
    compiled: Compiled,
}

impl Bed {
    fn new(fair: bool) -> Result<Self, Failure> {
        let mut bed = Bed {
            state: State { format: FORMAT, ..State::default() },
            now: Timestamp::from_secs(BEGIN),
            index: 0,
            asked: 0,
            versions: BTreeMap::new(),
            compiled: Compiled::default(),
        };
        let place = place();
        bed.apply(vec![Op::NodeUp {
            node: place.node,
            boot: place.boot,
            address: "10.0.0.1:8001".into(),
            api: String::new(),
            slots: 1_000,
            labels: Default::default(),
        }]);
        let mut queue = json!({"name": "q", "concurrency": PLACES});
        if fair {
            queue["fair_by"] = json!("tag:tenant");
        }
        let fields = queue.as_object().cloned().unwrap_or_default();
        let spec = Kind::Queue.read(fields).map_err(|faults| format!("{faults:?}"))?;
        bed.apply(vec![Op::Put(Box::new(PutDefinition { spec, based_on: None, pinned: false }))]);
        Ok(bed)
    }

    fn apply(&mut self, ops: Vec<Op>) {
        let at = self.now;
        let command = |op| Command { at, actor: None, request: None, op };
        let commands: Vec<Command> = ops.into_iter().map(command).collect();
        self.index += 1;
        apply_entry(&mut self.state, self.index, &commands, &mut Output::default());
    }

    fn job(&mut self, name: &str, tenant: &str) -> Result<u32, Failure> {
        let definition: Value = json!({"name": name, "queue": "q", "overlap": "allow",
            "tags": [format!("tenant-{tenant}")],
            "runner": {"type": "shell", "command": "true"}});
        let put = PutJob {
            spec: spec(definition)?.into(),
            based_on: None,
            pinned: false,
            next: None,
            settled: None,
            verb: "create".into(),
        };
        self.apply(vec![Op::PutJob(Box::new(put))]);
        let job = self.state.job(name).ok_or("the job is not there")?;
        let (no, version) = (job.no, job.version);
        self.versions.insert(no, version);
        Ok(no)
    }

    fn trigger(&mut self, no: u32) {
        self.asked += 1;
        let run = TriggerRun {
            no,
            version: self.versions.get(&no).copied().unwrap_or_default(),
            parameters: Default::default(),
            force: false,
            cause: None,
            place: None,
            kept: None,
        };
        self.apply(vec![Op::Trigger(Box::new(run))]);
    }

    fn steps(&mut self, count: u64, mut each: impl FnMut(&mut Bed, u64)) -> Started {
        self.asked = 0;
        let mut started = Started::default();
        let mut ends: BTreeMap<u64, Vec<RunId>> = BTreeMap::new();
        for tick in 0..count {
            self.now = Timestamp::from_micros(self.now.micros() + TICK);
            each(self, tick);
            let over = ends.remove(&tick).unwrap_or_default();
            let ended: Vec<Op> = over.iter().filter_map(|run| self.ended(*run)).collect();
            self.apply(ended);
            let ops = plan(&self.state, self.now, &self.compiled, &Around::default()).ops;
            let placed: Vec<RunId> = ops
                .iter()
                .filter_map(|op| match op {
                    Op::Assign { run, .. } => Some(*run),
                    _ => None,
                })
                .collect();
            self.apply(ops);
            for run in placed {
                let Some(open) = self.state.runs.get(&run) else { continue };
                let waited = self.now.micros() - open.run.fired_at.micros();
                started.0.push((open.run.job.to_string(), waited));
                ends.entry(tick + TAKES).or_default().push(run);
            }
        }
        started
    }

    fn ended(&self, run: RunId) -> Option<Op> {
        let open = self.state.runs.get(&run)?;
        let (fence, _) = open.held()?;
        let end = End {
            status: RunStatus::Succeeded,
            started_at: Some(self.now),
            finished_at: self.now,
            exit_code: Some(0),
            signal: None,
            http_status: None,
            error: None,
            result: None,
            usage: None,
            retry_after: None,
            output: Vec::new(),
        };
        Some(Op::Ended { run, attempt: open.run.attempt, fence, end: Box::new(end) })
    }
}

fn place() -> Place {
    Place { node: 1, boot: uuid::Uuid::from_u128(1) }
}
