//! What is counted is what happened: each thing once, with its times.

use cronapi::machine::command::Command;
use cronapi::machine::prepare::Intent;
use cronapi::model::Fact::{self, Closed, Fired, Missed, Skipped, Started};
use cronapi::model::{Actor, RunStatus, SkipReason, TraceParent, Trigger};
use serde_json::json;

use crate::world::{World, actor, at, name};

const SECOND: u64 = 1_000_000;

#[test]
fn a_scheduled_run_is_counted_when_it_fires_starts_and_ends() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": "* * * * *"}));
    world.script("m", &[(RunStatus::Failed, 7)]);
    world.run_until("2027-01-04T00:01:30Z");
    let closed =
        Closed { status: RunStatus::Failed, trigger: Trigger::Schedule, took: Some(7 * SECOND) };
    let started = Started { waited: Some(0), late: Some(0) };
    assert_eq!(world.facts, [Fired { late: 0 }, started, closed]);
}

#[test]
fn a_fire_within_the_grace_is_late_and_older_ones_are_missed() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": "* * * * *"}));
    world.settle();
    world.now = at("2027-01-04T00:01:04Z");
    world.settle();
    assert!(world.facts.contains(&Fired { late: 4 * SECOND }), "{:?}", world.facts);
    assert!(world.facts.contains(&Started { waited: Some(0), late: Some(4 * SECOND) }));
    world.facts.clear();
    // Nobody led for ten minutes: the newest time is made up for, nine are not.
    world.now = at("2027-01-04T00:11:30Z");
    world.settle();
    let missed = Missed { reason: SkipReason::Misfire, times: 9 };
    assert_eq!(world.facts[..2], [missed, Fired { late: 30 * SECOND }]);
}

#[test]
fn policies_that_decide_against_a_run_are_counted_by_reason() {
    let mut world = World::new();
    world.executor = false;
    world.work(json!({"name": "m", "expr": "* * * * *"}));
    world.run_until("2027-01-04T00:03:00Z");
    let overlap = Skipped { reason: SkipReason::Overlap, times: 1 };
    assert_eq!(world.facts, [Fired { late: 0 }, overlap.clone(), overlap]);
    world.facts.clear();
    world.enable("m", false);
    world.now = at("2027-01-04T00:10:30Z");
    world.enable("m", true);
    let paused = Skipped { reason: SkipReason::Paused, times: 7 };
    assert_eq!(world.facts, [paused]);
}

#[test]
fn a_run_that_its_gate_skips_is_a_skipped_fire() {
    let mut world = World::new();
    world.work(json!({"name": "d"}));
    world.work(json!({
        "name": "m", "expr": "* * * * *", "dependencies": ["d"], "dependency_timeout": "10s"
    }));
    world.run_until("2027-01-04T00:01:20Z");
    let unmet = Skipped { reason: SkipReason::DependenciesUnmet, times: 1 };
    let closed = Closed { status: RunStatus::Skipped, trigger: Trigger::Schedule, took: None };
    assert_eq!(world.facts, [Fired { late: 0 }, closed, unmet]);
}

#[test]
fn the_wait_for_a_slot_is_counted_for_each_attempt() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.node(1, 1);
    world.work(json!({"name": "a"}));
    world.work(json!({"name": "b"}));
    world.script("a", &[(RunStatus::Succeeded, 30)]);
    world.trigger("a");
    world.trigger("b");
    world.run_for(60);
    let waits = world.facts.iter().filter_map(|fact| match fact {
        Started { waited, late } => Some((*waited, *late)),
        _ => None,
    });
    assert_eq!(waits.collect::<Vec<_>>(), [(Some(0), None), (Some(30 * SECOND), None)]);
}

#[test]
fn a_start_that_is_planned_ahead_is_counted_once_and_when_it_begins() {
    let mut world = World::new();
    world.around.early = true;
    world.work(json!({"name": "m", "expr": "* * * * *"}));
    world.run_until("2027-01-04T00:00:58Z");
    assert!(world.state.ahead(1).is_some());
    assert_eq!(world.facts, [], "it can still be taken back");
    world.run_until("2027-01-04T00:01:10Z");
    let fired = |fact: &&Fact| matches!(fact, Fired { .. });
    assert_eq!(world.facts.iter().filter(fired).collect::<Vec<_>>(), [&Fired { late: 0 }]);
    assert!(world.facts.contains(&Started { waited: Some(0), late: Some(0) }));
}

#[test]
fn a_run_and_what_follows_from_it_belong_to_the_trace_of_their_request() {
    let trace = TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let mut world = World::new();
    world.work(json!({"name": "next"}));
    world.work(json!({"name": "join", "dependencies": ["m"]}));
    world.work(json!({"name": "m", "on_success": ["next"]}));
    let (name, parameters) = (name("m"), Default::default());
    let intent = Intent::Trigger { name, parameters, force: false, cause: None };
    let actor = Actor { trace: trace.clone(), ..actor("ann") };
    let command = Command { actor: Some(actor), ..world.prepare(intent) };
    world.entry(&[command])[0].as_ref().unwrap();
    world.run_for(10);
    for job in ["m", "next", "join"] {
        assert_eq!(world.runs(job)[0].traceparent, trace, "{job}");
    }
    world.trigger("next");
    world.run_for(10);
    assert_eq!(world.runs("next").iter().filter(|run| run.traceparent.is_none()).count(), 1);
}
