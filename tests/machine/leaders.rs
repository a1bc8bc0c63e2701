//! Leaders that are gone at every entry: of what one proposed a part is applied, the next one has
//! its state from bytes and plans anew, and the rest of the first one's steps comes after that.

use cronapi::machine::plan::plan;
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::{Command, Op};
use cronapi::model::RunStatus::{self, Failed, Succeeded};
use cronapi::model::flow::StartRate;
use cronapi::model::{Kind, Run, Span, Timestamp};
use serde_json::{Value, json};

use crate::backfills::{backfilled, begin, shown, start, step};
use crate::chance::{Chance, each_seed};
use crate::world::{World, object, secs, work};

/// A cluster whose leader is gone at each step.
struct Relay {
    world: World,
    chance: Chance,
    /// Leaders that are gone.
    gone: usize,
    /// What the one before had proposed: it is applied once more, later.
    late: Vec<Command>,
}

impl Relay {
    fn new(seed: u64) -> Relay {
        let world = World::newest();
        Relay { world, chance: Chance::new(seed), gone: 0, late: Vec::new() }
    }

    fn planned(&self) -> Vec<Command> {
        let World { state, now, compiled, around, .. } = &self.world;
        let ops = plan(state, *now, compiled, around).ops;
        ops.into_iter().map(|op| self.world.command(op)).collect()
    }

    /// Whether the leader had anything to do.
    fn step(&mut self) -> bool {
        let mut ops = self.planned();
        let backfills: Vec<u64> =
            self.world.state.backfills.open.iter().map(|(_, id)| *id).collect();
        let steps = backfills.iter().filter_map(|id| step(&self.world, *id));
        ops.extend(steps.map(|op| self.world.command(op)).collect::<Vec<_>>());
        if ops.is_empty() {
            return false;
        }
        // Each command may be the last entry that it got through.
        let through = self.chance.below(ops.len() as u64 + 1) as usize;
        for command in &ops[..through] {
            self.world.entry(std::slice::from_ref(command));
        }
        self.gone += 1;
        let bytes = rmp_serde::to_vec_named(&self.world.state).unwrap();
        self.world.state = rmp_serde::from_slice(&bytes).unwrap();
        let next = self.planned();
        self.world.entry(&next);
        let late = std::mem::replace(&mut self.late, ops);
        self.world.entry(&[&late[..], &self.late[..]].concat());
        true
    }

    /// Second by second.
    fn run_for(&mut self, span: u64) {
        for _ in 0..span {
            let mut steps = 0;
            while self.step() | self.world.execute() {
                steps += 1;
                assert!(steps < 10_000, "no end of steps at {}", self.world.now);
            }
            self.world.now = self.world.now.plus(secs(1));
        }
    }

    fn queue(&mut self, queue: Value) {
        let spec = Kind::Queue.read(object(queue)).unwrap();
        let intent = Intent::Put { spec, mode: PutMode::Upsert, expected: None };
        self.world.submit(intent).unwrap();
    }
}

/// 200 runs of a workflow, and at each entry of them another leader; what comes after starts once.
#[test]
fn a_task_starts_once_though_each_entry_has_another_leader() {
    each_seed("leaders", 1..2, |seed| {
        let mut relay = Relay::new(seed);
        let tasks = json!([
            {"name": "a", "runner": work()},
            {"name": "b", "after": ["a"], "runner": work(),
                "retry": {"max_attempts": 2, "delay": "1s"}},
            {"name": "c", "after": ["b"], "over": {"count": 3}, "max_parallel": 2,
                "runner": work()},
            {"name": "mourn", "after": [{"task": "c", "on": "failure"}], "runner": work()},
        ]);
        relay.world.put(json!({"name": "w", "expr": "@every 1s", "overlap": "allow",
            "tasks": tasks}));
        relay.world.script("w/a", &[(Succeeded, 1)]);
        relay.world.script("w/b", &[(Failed, 1), (Succeeded, 2), (Succeeded, 0)]);
        relay.world.script("w/c/1", &[(Failed, 1)]);
        relay.run_for(200);
        relay.world.enable("w", false);
        relay.run_for(20);
        let flows: Vec<Run> = relay.world.runs("w");
        assert!(flows.len() >= 199 && relay.gone >= 600, "{} {}", flows.len(), relay.gone);
        let no = relay.world.state.task_numbers.of_job[&relay.world.job("w").no];
        let runs = relay.world.runs_of(no);
        for flow in flows {
            let of = runs.iter().filter_map(|run| Some((run, run.task.as_ref()?)));
            let mut began: Vec<_> = of
                .filter(|(_, of)| of.flow == flow.id)
                .map(|(_, of)| (of.name.to_string(), of.index))
                .collect();
            began.sort();
            let wanted = [("a", None), ("b", None), ("c", Some(0)), ("c", Some(1)), ("c", Some(2))];
            let wanted = wanted.into_iter().chain([("mourn", None)]);
            let wanted: Vec<_> = wanted.map(|(name, at)| (name.to_owned(), at)).collect();
            assert_eq!((flow.status, began), (Succeeded, wanted), "{}", flow.id);
        }
    });
}

/// Two windows, and far more than ten leaders.
#[test]
fn no_window_is_exceeded_though_each_entry_has_another_leader() {
    each_seed("windows", 1..2, |seed| {
        let mut relay = Relay::new(seed);
        relay.queue(json!({"name": "q", "rates": [
            {"limit": 4, "per": "5s"}, {"limit": 20, "per": "1m"}]}));
        for job in ["j", "k"] {
            let spec = json!({"name": job, "queue": "q", "overlap": "allow",
                "expr": "@every 1s", "retry": {"max_attempts": 2}});
            relay.world.work(spec);
            relay.world.script(job, &[(Failed, 0), (Succeeded, 1)]);
        }
        relay.run_for(240);
        let starts = starts(&relay.world);
        let most = |per: i64| {
            let within = |at: &Timestamp| {
                let until = at.plus(Span::from_secs(per as u64));
                starts.iter().filter(|other| *at <= **other && **other < until).count()
            };
            starts.iter().map(within).max().unwrap_or_default()
        };
        assert_eq!((most(5), most(60)), (4, 20));
        assert!(relay.gone >= 100 && starts.len() >= 78, "{} {}", relay.gone, starts.len());
    });
}

/// A leader whose clock is ahead lets no more start in any window of log time, and none while log
/// time stands still.
#[test]
fn a_leader_whose_clock_is_an_hour_ahead_makes_no_burst() {
    let mut world = World::newest();
    let spec = Kind::Queue.read(object(json!({"name": "q", "rates": [
        {"limit": 5, "per": "1m"}, {"limit": 20, "per": "1h"}]})));
    let intent = Intent::Put { spec: spec.unwrap(), mode: PutMode::Upsert, expected: None };
    world.submit(intent).unwrap();
    world.work(json!({"name": "j", "queue": "q", "overlap": "allow"}));
    world.triggers("j", 100);
    world.run_for(30);
    let right = world.now;
    world.now = right.plus(Span::from_secs(3_600));
    world.settle();
    assert_eq!(starts(&world).len(), 10, "a window's worth, not all that is waiting");
    world.now = right.plus(secs(60));
    world.settle();
    assert_eq!(starts(&world).len(), 10, "log time has not moved");
    world.now = right.plus(Span::from_secs(3_660));
    world.settle();
    assert_eq!(starts(&world).len(), 15);
}

/// Each time once, whoever leads.
#[test]
fn a_backfill_runs_each_time_once_though_each_entry_has_another_leader() {
    each_seed("backfills", 1..2, |seed| {
        let mut relay = Relay::new(seed);
        relay.world.work(json!({"name": "past", "expr": "* * * * *"}));
        relay.world.script("past", &[(Succeeded, 1), (Failed, 0)]);
        let mut from = start(&relay.world, "past", "2027-01-03T00:00:00Z", "2027-01-03T05:00:00Z");
        from.max_concurrent = 4;
        from.rate = Some(StartRate { limit: 20, per: Span::from_secs(10) });
        let id = begin(&mut relay.world, from);
        relay.run_for(240);
        let times = backfilled(&relay.world, "past");
        let mut once = times.clone();
        once.dedup();
        assert_eq!((times.len(), once.len()), (300, 300));
        let it = shown(&relay.world, id);
        assert_eq!((it.counts.made, it.status.is_open()), (300, false));
        assert!(relay.gone >= 100, "{}", relay.gone);
    });
}

fn starts(world: &World) -> Vec<Timestamp> {
    let jobs = world.state.names.keys();
    let runs = jobs.flat_map(|job| world.runs(job.as_str()));
    let attempts = runs.flat_map(|run| run.attempts);
    let mut starts: Vec<Timestamp> = attempts.map(|attempt| attempt.assigned_at).collect();
    starts.sort_unstable();
    starts
}

/// What an operator asks for is done once as well: a run that is asked for at the end of a leader.
#[test]
fn a_pause_and_a_stop_hold_whoever_leads() {
    each_seed("pauses", 1..6, |seed| {
        let mut relay = Relay::new(seed);
        let tasks = json!([
            {"name": "a", "over": {"count": 40}, "max_parallel": 4, "runner": work()},
            {"name": "b", "after": [{"task": "a", "on": "always"}], "runner": work()},
        ]);
        relay.world.put(json!({"name": "w", "tasks": tasks}));
        relay.world.script("w/a", &[(Succeeded, 2)]);
        let id = relay.world.trigger("w");
        relay.run_for(5);
        relay.world.op(Op::PauseFlow { run: id, paused: true }).unwrap();
        relay.run_for(10);
        let no = relay.world.state.task_numbers.of_job[&relay.world.job("w").no];
        let begun = relay.world.runs_of(no).len();
        assert!(begun < 40, "{begun}");
        relay.run_for(10);
        assert_eq!(relay.world.runs_of(no).len(), begun, "a pause starts nothing");
        relay.world.op(Op::PauseFlow { run: id, paused: false }).unwrap();
        relay.run_for(4);
        relay.world.cancel(id).unwrap();
        let begun = relay.world.runs_of(no).len();
        relay.run_for(20);
        assert_eq!(relay.world.runs_of(no).len(), begun, "a stop starts nothing");
        assert_eq!(relay.world.status(id), RunStatus::Cancelled);
    });
}
