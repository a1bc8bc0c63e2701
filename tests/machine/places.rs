//! Contract section 5: slots, queues, priority and labels decide where and when a run starts.

use cronapi::machine::command::Op;
use cronapi::model::RunStatus::{Queued, Running, Skipped, Succeeded};
use serde_json::json;

use crate::world::{World, name};

#[test]
fn a_node_never_has_more_attempts_than_slots() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.node(1, 2);
    world.node(2, 3);
    world.work(json!({"name": "m", "overlap": "allow"}));
    world.script("m", &[(Succeeded, 10)]);
    for _ in 0..12 {
        world.trigger("m");
    }
    for (at, busy) in [(0, [2, 3]), (10, [2, 3]), (20, [1, 1]), (30, [0, 0])] {
        let have = [world.state.nodes[&1].busy, world.state.nodes[&2].busy];
        if at > 0 {
            assert_eq!(have, busy, "at {at} s");
        }
        world.run_for(10);
    }
    assert_eq!(world.statuses("m"), vec!["succeeded"; 12]);
}

#[test]
fn the_least_loaded_node_with_the_most_liked_labels_is_taken() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.executor = false;
    world.labelled(1, 4, &[("region", "eu")]);
    world.labelled(2, 8, &[("region", "eu"), ("disk", "ssd")]);
    world.labelled(3, 8, &[("region", "us"), ("disk", "ssd")]);
    let placement = json!({"require": {"region": "eu"}, "prefer": {"disk": "ssd"}});
    world.work(json!({"name": "picky", "overlap": "allow", "placement": placement}));
    world.work(json!({"name": "any", "overlap": "allow"}));
    let nodes = |world: &mut World, job: &str, n: usize| -> Vec<u64> {
        for _ in 0..n {
            world.trigger(job);
            world.settle();
        }
        let runs = world.runs(job);
        runs.iter().filter_map(|run| run.node).collect()
    };
    assert_eq!(nodes(&mut world, "picky", 9), [2, 2, 2, 2, 2, 2, 2, 2, 1]);
    assert_eq!(nodes(&mut world, "any", 2), [3, 3]);
}

#[test]
fn nodes_that_are_alike_are_taken_in_turn() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    for node in 1..=3 {
        world.node(node, 4);
    }
    world.work(json!({"name": "m"}));
    world.script("m", &[(Succeeded, 1)]);
    let mut count = [0; 3];
    for _ in 0..9 {
        let id = world.trigger("m");
        world.run_for(5);
        let node = world.run(id).node.expect("it ran somewhere");
        count[node as usize - 1] += 1;
    }
    assert_eq!(count, [3, 3, 3]);
}

#[test]
fn the_higher_priority_starts_first_then_the_older() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    for (job, priority) in [("low", -5), ("a", 0), ("b", 0), ("high", 9)] {
        world.work(json!({"name": job, "priority": priority}));
        world.script(job, &[(Succeeded, 10)]);
        world.trigger(job);
    }
    world.node(1, 1);
    let mut order = Vec::new();
    for _ in 0..4 {
        world.settle();
        order.extend(
            world
                .state
                .runs
                .values()
                .filter(|o| o.run.status == Running)
                .map(|open| open.run.job.to_string()),
        );
        world.run_for(10);
        order.dedup();
    }
    order.dedup();
    assert_eq!(order, ["high", "a", "b", "low"]);
}

#[test]
fn a_queue_bounds_the_attempts_of_all_its_jobs() {
    let mut world = World::new();
    let set = |world: &mut World, concurrency| {
        world.op(Op::SetQueue { name: name("q"), concurrency }).unwrap();
    };
    set(&mut world, Some(2));
    for job in ["a", "b", "c"] {
        world.work(json!({"name": job, "queue": "q", "expr": "* * * * *"}));
        world.script(job, &[(Succeeded, 20)]);
    }
    world.work(json!({"name": "free", "expr": "* * * * *"}));
    world.run_until("2027-01-04T00:01:00Z");
    assert_eq!((world.state.queues[&name("q")].busy, world.statuses("free").len()), (2, 1));
    assert_eq!(world.statuses("c"), ["queued"]);
    world.run_for(20);
    assert_eq!(world.statuses("c"), ["running"]);
    set(&mut world, Some(0));
    world.run_for(60);
    assert_eq!(world.state.queues[&name("q")].busy, 0, "a queue of none is a queue that rests");
    set(&mut world, None);
    world.run_for(60);
    assert!(world.statuses("a").contains(&"succeeded"));
}

#[test]
fn runs_that_fit_nowhere_do_not_hold_up_those_behind_them() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.node(1, 1);
    world.op(Op::SetQueue { name: name("shut"), concurrency: Some(0) }).unwrap();
    for job in ["x", "y", "z"] {
        world.work(json!({"name": job, "overlap": "allow",
            "placement": {"require": {"planet": "mars"}}}));
        world.triggers(job, 999);
    }
    world.work(json!({"name": "q", "overlap": "allow", "queue": "shut"}));
    world.trigger("q");
    world.work(json!({"name": "m"}));
    world.put(json!({"name": "nothing-to-do", "dependencies": ["m"]}));
    let id = world.trigger("m");
    world.settle();
    assert_eq!(world.status(id), Succeeded);
    assert_eq!(world.statuses("nothing-to-do"), ["succeeded"]);
    // An edit that mends the labels helps the runs fired since, whatever waits before them.
    world.work(json!({"name": "x", "overlap": "allow"}));
    let id = world.trigger("x");
    world.settle();
    assert_eq!(world.status(id), Succeeded);
}

#[test]
fn passed_parameters_are_checked_when_a_run_could_start_and_cost_it_no_slot() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.work(json!({"name": "next", "overlap": "allow",
        "parameters_schema": {"properties": {"n": {"type": "integer"}}}}));
    world.put(json!({"name": "m", "on_success": [{"job": "next", "parameters": {"n": "x"}}]}));
    world.trigger("m");
    world.settle();
    assert_eq!(world.statuses("next"), ["queued"]);
    world.executor = false;
    world.node(1, 1);
    let good = match world.try_trigger("next", json!({"n": 1}), false).unwrap() {
        cronapi::machine::Reply::Run { id } => id,
        other => panic!("{other:?}"),
    };
    let planned = world.plan_once();
    assert!(planned.iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!(world.runs("next").iter().filter(|run| run.status == Skipped).count(), 1);
    assert_ne!(world.status(good), Queued, "the refused run gave its slot back");
}

#[test]
fn three_thousand_retries_due_at_once_are_all_seen_to() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.node(1, 10_000);
    for job in ["a", "b", "c"] {
        world.work(json!({"name": job, "overlap": "allow",
            "retry": {"max_attempts": 2, "delay": "1m"}}));
        world.script(job, &[(cronapi::model::RunStatus::Failed, 0)]);
        world.triggers(job, 900);
    }
    world.settle();
    assert_eq!(world.state.timers.len(), 2_700);
    world.run_for(60);
    assert_eq!((world.state.timers.len(), world.state.runs.len()), (0, 0));
}

#[test]
fn a_silent_node_gets_nothing_and_keeps_what_it_has() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.executor = false;
    world.node(1, 2);
    world.node(2, 9);
    world.work(json!({"name": "m", "expr": "* * * * *", "overlap": "allow"}));
    let on = |world: &World| [1, 2].map(|node| world.state.placed_on(node).count());
    for _ in 0..2 {
        world.trigger("m");
        world.settle();
    }
    assert_eq!(on(&world), [1, 1]);
    world.around.silent.insert(2);
    for _ in 0..2 {
        world.trigger("m");
    }
    world.run_for(60);
    assert_eq!((on(&world), world.state.ready.len()), ([2, 1], 2), "a run by hand, and the fire");
    world.around.silent.clear();
    world.settle();
    assert_eq!(on(&world), [2, 3]);
}

#[test]
fn many_runs_without_a_place_do_not_hide_one_that_has_one_after_a_restart() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.node(1, 1);
    for job in ["a", "b", "c"] {
        let placement = json!({"require": {"region": "none"}});
        world.work(json!({"name": job, "overlap": "allow", "placement": placement}));
        world.triggers(job, 900);
    }
    world.work(json!({"name": "behind"}));
    world.script("behind", &[(Succeeded, 10)]);
    let behind = world.trigger("behind");
    // What a checkpoint holds has lost that these runs are of the same definition.
    let bytes = rmp_serde::to_vec_named(&world.state).unwrap();
    world.state = rmp_serde::from_slice(&bytes).unwrap();
    world.settle();
    assert_eq!(world.status(behind), Running);
}
