//! Locks of jobs: what becomes of a run whose lock is another's.

use cronapi::machine::state::{FORMAT, Wait};
use cronapi::machine::{Op, Rejection};
use cronapi::model::{JobSpec, RunId, RunStatus, SkipReason, Span, limits};
use serde_json::{Value, json};

use crate::world::{World, object, work};

fn world() -> World {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.state.format = FORMAT;
    world.node(1, 4);
    world
}

/// A job whose runs the node of the test holds back.
fn locked(world: &mut World, more: Value) {
    world.executor = false;
    let mut job = json!({"name": "j", "lock": {"key": "k"}, "runner": work(), "overlap": "allow"});
    job.as_object_mut().unwrap().extend(object(more));
    world.put(job);
}

fn begin(world: &mut World) -> RunId {
    let run = world.trigger("j");
    world.settle();
    run
}

fn busy(world: &World, run: RunId, held: bool) -> Op {
    let open = world.open(run);
    let (fence, _) = open.held().unwrap();
    Op::LockBusy { run, attempt: open.run.attempt, fence, held, why: "k is held by x".into() }
}

fn until(world: &World, run: RunId) -> u64 {
    let Some(Wait::Retry { until }) = world.open(run).wait else { panic!("{:?}", world.open(run)) };
    until.since(world.now).millis()
}

#[test]
fn it_waits_without_a_place_and_tries_again_ever_less_often() {
    let mut world = world();
    locked(&mut world, json!({"queue": "q"}));
    let run = begin(&mut world);
    let report = busy(&world, run, true);
    world.op(report.clone()).unwrap();
    let open = world.open(run);
    assert_eq!(open.run.reason.as_deref(), Some("for its lock: k is held by x"));
    assert_eq!((open.run.attempt, open.run.attempts.len(), open.run.node), (0, 0, None));
    assert!(world.state.queues.is_empty(), "its place is free");
    assert_eq!(until(&world, run), 1_000);
    assert!(matches!(world.op(report), Err(Rejection::Fenced)), "told twice");
    let (mut waits, mut tries) = (Vec::new(), 0);
    for _ in 0..120 {
        world.run_for(1);
        if world.open(run).held().is_some() {
            let report = busy(&world, run, tries % 2 == 0);
            world.op(report).unwrap();
            waits.push(until(&world, run));
            tries += 1;
        }
    }
    assert!(waits.is_sorted() && waits.last() == Some(&15_000), "{waits:?}");
    world.executor = true;
    world.run_for(16);
    let ended = world.run(run);
    assert_eq!((ended.status, ended.attempt), (RunStatus::Succeeded, 1), "{ended:?}");
}

#[test]
fn it_is_skipped_if_its_job_wants_that_and_it_is_known_to_be_held() {
    let mut world = world();
    locked(&mut world, json!({"lock": {"key": "k", "on_busy": "skip"}, "on_finish": ["after"]}));
    world.work(json!({"name": "after"}));
    let run = begin(&mut world);
    let unknown = busy(&world, run, false);
    world.op(unknown).unwrap();
    assert_eq!(world.status(run), RunStatus::Waiting, "nobody could be asked");
    world.run_for(1);
    let known = busy(&world, run, true);
    world.op(known).unwrap();
    let ended = world.run(run);
    assert_eq!((ended.status, ended.skip), (RunStatus::Skipped, Some(SkipReason::LockBusy)));
    assert_eq!(ended.error.as_deref(), Some("k is held by x"));
    assert_eq!(world.runs("after").len(), 0, "nothing follows from a run that was none");
}

#[test]
fn one_that_nobody_wants_any_more_ends() {
    let mut world = world();
    locked(&mut world, json!({}));
    let run = begin(&mut world);
    world.cancel(run).unwrap();
    let report = busy(&world, run, true);
    world.op(report).unwrap();
    assert_eq!(world.run(run).status, RunStatus::Cancelled);
    let run = begin(&mut world);
    let report = busy(&world, run, true);
    world.op(report).unwrap();
    world.cancel(run).unwrap();
    assert_eq!(world.run(run).status, RunStatus::Cancelled, "while it waits");
}

#[test]
fn a_start_that_is_planned_is_given_back_or_waits() {
    let mut world = world();
    world.around.early = true;
    locked(&mut world, json!({"expr": "* * * * *"}));
    let lead = |world: &mut World| loop {
        if let Some(open) = world.state.runs.values().find(|open| open.ahead.is_some()) {
            return open.run.id;
        }
        world.now = world.now.plus(Span::from_millis(100));
        world.plan_once();
    };
    let early = lead(&mut world);
    let report = busy(&world, early, true);
    world.op(report).unwrap();
    assert!(!world.state.runs.contains_key(&early), "by the log it was not due yet");
    // That time fires when it is due; the next one is planned again.
    let run = lead(&mut world);
    world.now = world.open(run).ahead.unwrap().start_at;
    let report = busy(&world, run, true);
    world.op(report).unwrap();
    assert_eq!(world.status(run), RunStatus::Waiting);
    assert!(world.state.ahead(1).is_none());
    world.executor = true;
    world.run_for(2);
    assert_eq!(world.statuses("j"), ["succeeded", "succeeded"]);
    assert_eq!(world.ledger("j"), ["00:01 fired", "00:02 fired"]);
}

fn faults(job: Value) -> Vec<String> {
    let faults = JobSpec::from_map(object(job)).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_no_lock_is_refused() {
    let with = |lock: Value| json!({"name": "j", "runner": work(), "lock": lock});
    let bad = with(json!({"key": "a b", "redis": "redis://:pw@h:6379", "ttl": "1s"}));
    assert_eq!(
        faults(bad),
        [
            "/lock/key: has a space or a control character in it",
            "/lock/redis: must not have a password in it: give the whole address as \
             {\"secret\": \"name\"}",
            "/lock/ttl: must be from 3s to 1h"
        ]
    );
    let long = "k".repeat(limits::LOCK_KEY_BYTES_MAX + 1);
    assert_eq!(faults(with(json!({"key": long})))[0], "/lock/key: must have from 1 to 200 bytes");
    let none = json!({"name": "j", "lock": {"key": "k"}});
    assert_eq!(faults(none), ["/lock: has no meaning without runner or code"]);
    let flow =
        json!({"name": "j", "lock": {"key": "k"}, "tasks": [{"name": "t", "runner": work()}]});
    assert!(faults(flow)[0].starts_with("/lock: is not of a workflow"));
}

#[test]
fn until_all_members_know_it_it_is_refused() {
    let mut world = world();
    world.state.format = 6;
    let put = world.try_put(json!({"name": "j", "lock": {"key": "k"}, "runner": work()}));
    let Err(Rejection::UpgradeNeeded { .. }) = put else { panic!("{put:?}") };
}
