//! Heartbeats of jobs: the newest success waits to be told, and one that is old is told no more.

use std::sync::Arc;

use cronapi::machine::Op;
use cronapi::machine::command::Beaten;
use cronapi::machine::reply::{Answer, Rejection};
use cronapi::machine::state::{Beat, Beats, FORMAT};
use cronapi::model::{Delivery, DutyKey, JobNo, RunId, RunStatus, Span, Timestamp, limits};
use serde_json::json;

use super::world::World;

use RunStatus::{Failed, Succeeded};

/// A job that runs each minute and calls a monitor when it is well.
fn beating() -> (World, JobNo) {
    let mut world = World::newest();
    world.node(1, 4);
    let url = "https://hc.example.org/ping/a";
    let no = world.work(json!({ "name": "j", "expr": "* * * * *", "heartbeat_url": url }));
    (world, no)
}

fn beat(world: &World, no: JobNo) -> Beat {
    (*world.state.beats.all[&no]).clone()
}

fn done(world: &mut World, no: JobNo, run: RunId, outcome: Delivery) -> Answer {
    let fence = world.state.duties.all[&DutyKey::heartbeats().unwrap()].fence;
    world.op(Op::Beaten { fence, beaten: vec![Beaten { no, run, outcome }] })
}

#[test]
fn a_success_is_told_and_a_failure_is_not() {
    let (mut world, no) = beating();
    world.script("j", &[(Failed, 1), (Succeeded, 1), (Succeeded, 1), (Failed, 1)]);
    world.run_for(65);
    assert_eq!(beat(&world, no), Beat::default());
    world.run_for(60);
    let first = beat(&world, no).run.expect("it waits");
    // Not told yet: the newer one takes its place.
    world.run_for(60);
    let second = beat(&world, no).run.expect("it waits");
    assert_ne!(first, second);
    assert_eq!(done(&mut world, no, first, Delivery::Sent), Err(Rejection::Stale));
    done(&mut world, no, second, Delivery::Sent).unwrap();
    let told = beat(&world, no);
    assert_eq!((told.run, told.sent_at), (None, Some(world.now)));
    world.run_for(60);
    assert_eq!(beat(&world, no).run, None);
}

#[test]
fn what_failed_is_tried_for_an_hour_and_then_given_up() {
    let (mut world, no) = beating();
    world.script("j", &[(Succeeded, 1)]);
    world.run_for(65);
    let run = beat(&world, no).run.unwrap();
    let retry = || Delivery::Retry { error: "503".into(), after: None };
    done(&mut world, no, run, retry()).unwrap();
    let waits = beat(&world, no);
    assert_eq!((waits.tries, waits.fault.as_deref()), (1, Some("503")));
    assert_eq!(waits.not_before, world.now.plus(Span::from_secs(5)));
    world.now = world.now.plus(limits::HEARTBEAT_AGE_MAX);
    done(&mut world, no, run, retry()).unwrap();
    assert_eq!(beat(&world, no).run, None);
    assert!(world.state.beats.waiting.is_empty());
}

#[test]
fn who_holds_an_old_fence_is_not_listened_to_and_a_job_without_one_has_none() {
    let (mut world, no) = beating();
    world.script("j", &[(Succeeded, 1)]);
    world.run_for(65);
    let run = beat(&world, no).run.unwrap();
    let beaten = vec![Beaten { no, run, outcome: Delivery::Sent }];
    assert_eq!(world.op(Op::Beaten { fence: 0, beaten }), Err(Rejection::Fenced));
    world.work(json!({ "name": "j", "expr": "* * * * *" }));
    assert!(world.state.beats.is_none());
    assert!(!world.state.duties.all.contains_key(&DutyKey::heartbeats().unwrap()));
}

#[test]
fn what_a_backfill_runs_tells_nothing_of_now() {
    let (mut world, no) = beating();
    world.run_for(65);
    let told = beat(&world, no).run;
    assert!(told.is_some());
    done(&mut world, no, told.unwrap(), Delivery::Sent).unwrap();
    world.delete("j");
    assert!(world.state.beats.is_none());
}

#[test]
fn an_older_member_is_not_sent_the_field() {
    let mut world = World::new();
    world.op(Op::RaiseFormat { to: FORMAT - 1 }).unwrap();
    let job = json!({ "name": "j", "heartbeat_url": "https://hc.example.org/a" });
    let what = "the field heartbeat_url".to_owned();
    let refused = world.try_put(job);
    assert_eq!(refused, Err(Rejection::UpgradeNeeded { what, needs: 8, has: 7 }));
}

fn run() -> RunId {
    RunId::new(Timestamp::from_secs(60), 7, 9)
}

/// What becomes of heartbeats, for the files of earlier builds.
pub fn beat_ops() -> Vec<(&'static str, Op)> {
    let outcomes = [
        Delivery::Sent,
        Delivery::Retry { error: "503".into(), after: Some(Span::from_secs(90)) },
        Delivery::Dead { error: "404".into() },
    ];
    let beaten = outcomes.map(|outcome| Beaten { no: 7, run: run(), outcome });
    vec![("beaten", Op::Beaten { fence: 9, beaten: beaten.into() })]
}

/// A state of heartbeats, for the files of earlier builds.
pub fn beats() -> Beats {
    let (at, not_before) = (Timestamp::from_secs(60), Timestamp::from_secs(65));
    let (sent_at, fault) = (Some(Timestamp::from_secs(1)), Some("503".to_owned()));
    let beat = Beat { run: Some(run()), at, not_before, tries: 1, sent_at, fault };
    Beats {
        all: [(7_u32, Arc::new(beat))].into_iter().collect(),
        waiting: [(not_before, 7)].into_iter().collect(),
    }
}
