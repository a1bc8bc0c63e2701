//! Shares of slots by lane: what goes behind leaves slots to what is live.

use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::state::{FORMAT, lane_held};
use cronapi::model::Kind;
use cronapi::model::RunStatus::{Failed, Running, Succeeded};
use serde_json::{Value, json};

use crate::backfills::{begin, lead, start};
use crate::world::{World, at, object, work};

/// One node with so many slots.
fn world(slots: u32) -> World {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.state.format = FORMAT;
    world.node(1, slots);
    world
}

fn set(world: &mut World, lanes: Value) {
    let spec = Kind::Settings.read(object(json!({"name": "scheduling", "lanes": lanes})));
    let spec = spec.unwrap();
    world.submit(Intent::Put { spec, mode: PutMode::Upsert, expected: None }).unwrap();
}

/// Attempts under way, by lane.
fn under_way(world: &World) -> [usize; 3] {
    let mut lanes = [0; 3];
    for open in world.state.runs.values().filter(|open| open.held().is_some()) {
        lanes[usize::from(lane_held(open))] += 1;
    }
    lanes
}

/// Runs of which the second attempts take long.
fn retries(world: &mut World, runs: usize) {
    let retry = json!({"max_attempts": 2, "delay": "1s"});
    world.work(json!({"name": "retried", "overlap": "allow", "retry": retry}));
    let mut script = vec![(Failed, 0); runs];
    script.push((Succeeded, 600));
    world.script("retried", &script);
    world.triggers("retried", runs);
    world.run_for(5);
}

fn past(world: &mut World) {
    world.work(json!({"name": "past", "expr": "* * * * *"}));
    world.script("past", &[(Succeeded, 600)]);
    let mut from = start(world, "past", "2027-01-03T00:00:00Z", "2027-01-03T05:00:00Z");
    from.max_concurrent = 50;
    begin(world, from);
    lead(world, 5);
}

fn live(world: &mut World, runs: usize) -> usize {
    world.work(json!({"name": "live", "overlap": "allow"}));
    world.script("live", &[(Succeeded, 600)]);
    world.triggers("live", runs);
    world.settle();
    world.runs("live").iter().filter(|run| run.status == Running).count()
}

#[test]
fn what_goes_behind_leaves_slots_to_what_is_live() {
    let mut world = world(8);
    retries(&mut world, 20);
    assert_eq!(under_way(&world), [0, 6, 0], "three quarters");
    past(&mut world);
    assert_eq!(under_way(&world), [0, 6, 0], "together they leave a quarter");
    assert_eq!(live(&mut world, 4), 2, "which is there at once");
    let mut world = self::world(8);
    past(&mut world);
    assert_eq!(under_way(&world), [0, 0, 4], "half");
    retries(&mut world, 20);
    assert_eq!(under_way(&world), [0, 2, 4]);
    assert_eq!(live(&mut world, 4), 2);
}

#[test]
fn first_attempts_are_live_and_one_slot_takes_all_lanes() {
    let mut world = world(1);
    assert_eq!(live(&mut world, 1), 1);
    assert_eq!(under_way(&world), [1, 0, 0]);
    let mut world = self::world(1);
    past(&mut world);
    assert_eq!(under_way(&world), [0, 0, 1]);
}

#[test]
fn other_shares_can_be_set_and_taken_back() {
    let mut world = world(10);
    set(&mut world, json!({"retry": 30, "backfill": 10}));
    retries(&mut world, 20);
    assert_eq!(under_way(&world), [0, 3, 0]);
    set(&mut world, json!({"live": 90, "retry": 50, "backfill": 10}));
    world.run_for(2);
    assert_eq!(under_way(&world), [0, 5, 0]);
    assert_eq!(live(&mut world, 9), 4, "of ten, nine may be taken");
    let name = crate::world::name("scheduling");
    let remove = Intent::Remove { kind: Kind::Settings, name, expected: None };
    world.submit(remove).unwrap();
    world.settle();
    assert_eq!(under_way(&world), [5, 5, 0]);
}

#[test]
fn the_tasks_that_a_backfill_leads_to_are_of_the_past() {
    let mut world = world(8);
    let tasks = json!([{"name": "many", "over": {"count": 30}, "runner": work()}]);
    world.put(json!({"name": "w", "expr": "* * * * *", "tasks": tasks}));
    world.script("w/many", &[(Succeeded, 600)]);
    let mut from = start(&world, "w", "2027-01-03T00:00:00Z", "2027-01-03T05:00:00Z");
    from.max_concurrent = 3;
    begin(&mut world, from);
    lead(&mut world, 5);
    assert_eq!(under_way(&world), [0, 0, 4]);
    assert_eq!(live(&mut world, 5), 4);
}

#[test]
fn what_is_missed_is_caught_up_behind_what_is_live() {
    let mut world = world(8);
    world.executor = false;
    world.work(json!({"name": "missed", "expr": "@every 10s", "overlap": "allow",
        "misfire": {"policy": "all", "max": 100, "window": "1h"}}));
    world.now = at("2027-01-04T00:10:00Z");
    world.settle();
    assert_eq!(under_way(&world), [1, 6, 0], "the newest is in time");
}

#[test]
fn shares_that_are_none_are_refused() {
    let faults = |lanes: Value| {
        let spec = Kind::Settings.read(object(json!({"name": "scheduling", "lanes": lanes})));
        spec.unwrap_err().into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
    };
    assert_eq!(faults(json!({"live": 0})), ["/lanes/live", "/lanes/retry"]);
    assert_eq!(faults(json!({"retry": 40})), ["/lanes/backfill"]);
    assert_eq!(faults(json!({"retry": 101})), ["/lanes/retry", "/lanes/retry"]);
    let other = Kind::Settings.read(object(json!({"name": "other"}))).unwrap_err();
    assert_eq!(other[0].pointer, "/name");
}
