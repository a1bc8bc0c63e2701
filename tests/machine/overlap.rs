//! Contract 2.5: what a fire does while earlier runs of its job are open.

use cronapi::machine::reply::Rejection;
use cronapi::model::RunStatus::{Cancelled, Succeeded};
use serde_json::json;

use crate::world::World;

/// A job each minute whose runs take 150 s, for four minutes and until all have ended.
fn four_fires(overlap: &str, max: Option<u32>) -> (Vec<String>, Vec<&'static str>) {
    let mut world = World::new();
    let mut job = json!({"name": "m", "expr": "* * * * *", "overlap": overlap,
        "end_at": "2027-01-04T00:04:00Z"});
    if let Some(max) = max {
        job["max_concurrent"] = json!(max);
    }
    world.work(job);
    world.script("m", &[(Succeeded, 150)]);
    world.run_until("2027-01-04T00:30:00Z");
    (world.ledger("m"), world.statuses("m"))
}

#[test]
fn each_policy_with_one_two_and_no_bound() {
    let f = "fired";
    let s = "skipped overlap";
    let ok = "succeeded";
    let no = "cancelled";
    // policy, max_concurrent, outcomes of the four fires, ends of the runs
    let rows = [
        ("skip", None, [f, s, s, f], vec![ok, ok]),
        ("skip", Some(2), [f, f, s, f], vec![ok, ok, ok]),
        ("allow", None, [f, f, f, f], vec![ok, ok, ok, ok]),
        ("allow", Some(2), [f, f, s, f], vec![ok, ok, ok]),
        ("queue_one", None, [f, f, s, f], vec![ok, ok, ok]),
        ("queue_one", Some(2), [f, f, f, f], vec![ok, ok, ok, ok]),
        ("queue_all", None, [f, f, f, f], vec![ok, ok, ok, ok]),
        ("queue_all", Some(2), [f, f, f, f], vec![ok, ok, ok, ok]),
        ("cancel_running", None, [f, f, f, f], vec![no, no, no, ok]),
        ("cancel_running", Some(2), [f, f, f, f], vec![no, no, ok, ok]),
    ];
    for (policy, max, outcomes, ends) in rows {
        let want: Vec<String> =
            outcomes.iter().zip(1..).map(|(o, m)| format!("00:{m:02} {o}")).collect();
        assert_eq!(four_fires(policy, max), (want, ends), "{policy} {max:?}");
    }
}

#[test]
fn queued_runs_start_in_the_order_of_their_fires() {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": "* * * * *", "overlap": "queue_all",
        "end_at": "2027-01-04T00:05:00Z"}));
    world.script("m", &[(Succeeded, 600)]);
    world.run_until("2027-01-04T02:00:00Z");
    let starts: Vec<_> = world.runs("m").iter().map(|run| run.started_at.unwrap()).collect();
    assert_eq!(starts.len(), 5);
    assert!(starts.is_sorted_by(|a, b| a < b), "{starts:?}");
}

#[test]
fn at_most_max_concurrent_attempts_run_at_a_time() {
    for policy in ["skip", "allow", "queue_one", "queue_all", "cancel_running"] {
        let mut world = World::new();
        world.work(json!({"name": "m", "expr": "* * * * *", "overlap": policy,
            "max_concurrent": 3}));
        world.script("m", &[(Succeeded, 500)]);
        for _ in 0..60 {
            world.run_for(30);
            assert!(world.state.placed.len() <= 3, "{policy}");
        }
    }
}

#[test]
fn a_manual_run_meets_the_same_policy_and_force_passes_over_it() {
    let mut world = World::new();
    world.work(json!({"name": "m"}));
    world.executor = false;
    let first = world.trigger("m");
    world.settle();
    let refused = world.try_trigger("m", json!({}), false);
    assert!(
        matches!(&refused, Err(Rejection::Overlap { run, .. }) if *run == first.to_string()),
        "{refused:?}"
    );
    assert!(world.try_trigger("m", json!({}), true).is_ok());
    assert_eq!(world.state.runs.len(), 2);
}

#[test]
fn cancel_running_stops_no_more_runs_than_it_must() {
    let mut world = World::new();
    world.work(json!({"name": "m", "overlap": "cancel_running", "max_concurrent": 3}));
    world.executor = false;
    let runs: Vec<_> = (0..3).map(|_| world.trigger("m")).collect();
    world.settle();
    let newest = world.trigger("m");
    let flagged: Vec<bool> = runs.iter().map(|id| world.open(*id).cancel).collect();
    assert_eq!(flagged, [true, false, false]);
    let newer = world.trigger("m");
    assert_eq!(world.status(newest), Cancelled, "it waited, and a newer one took its place");
    assert!(world.open(newer).wait.is_some());
    assert!(!world.open(runs[1]).cancel, "the first is on its way out already");
}

#[test]
fn a_run_that_a_newer_one_replaces_before_it_started_leads_to_nothing() {
    let mut world = World::new();
    world.work(json!({"name": "next", "overlap": "allow"}));
    world.work(json!({"name": "m", "overlap": "cancel_running", "on_finish": ["next"]}));
    world.executor = false;
    let held = world.trigger("m");
    world.settle();
    let replaced = world.trigger("m");
    let last = world.trigger("m");
    assert_eq!(world.status(replaced), Cancelled);
    assert!(world.runs("next").is_empty());
    world.executor = true;
    world.settle();
    assert_eq!([world.status(held), world.status(last)], [Cancelled, Succeeded]);
    assert_eq!(world.runs("next").len(), 2);
}

/// Levels of jobs, each chained to every job of the next, all with a run that waits for a
/// slot: what one end sets off must stay in proportion.
#[test]
fn cancel_running_along_a_lattice_of_chains_is_bounded() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let (levels, width) = (10, 8);
    for level in (0..levels).rev() {
        for at in 0..width {
            let below: Vec<String> = match level + 1 {
                next if next < levels => (0..width).map(|n| format!("l{next}-{n}")).collect(),
                _ => Vec::new(),
            };
            world.work(json!({"name": format!("l{level}-{at}"), "on_finish": below,
                "overlap": "cancel_running"}));
        }
    }
    for level in 0..levels {
        for at in 0..width {
            world.trigger(&format!("l{level}-{at}"));
        }
    }
    let before = world.state.counters.run;
    let first = world.runs("l0-0")[0].id;
    world.cancel(first).unwrap();
    let made = world.state.counters.run - before;
    assert!(made <= width, "one end made {made} runs");
}

#[test]
fn an_edit_that_makes_room_lets_waiting_runs_move_up() {
    let mut world = World::new();
    world.work(json!({"name": "m", "overlap": "queue_all"}));
    world.executor = false;
    for _ in 0..6 {
        world.trigger("m");
    }
    world.settle();
    assert_eq!((world.state.placed.len(), world.job("m").live.behind), (1, 5));
    world.work(json!({"name": "m", "overlap": "queue_all", "max_concurrent": 4}));
    world.settle();
    assert_eq!((world.state.placed.len(), world.job("m").live.behind), (4, 2));
    world.work(json!({"name": "m", "overlap": "allow"}));
    world.settle();
    assert_eq!((world.state.placed.len(), world.job("m").live.behind), (6, 0));
}

#[test]
fn a_fire_past_a_thousand_open_runs_is_skipped_queue_full() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.work(json!({"name": "m", "expr": "* * * * *", "overlap": "queue_all"}));
    world.triggers("m", 1_000);
    assert!(matches!(world.try_trigger("m", json!({}), true), Err(Rejection::Limit { .. })));
    world.run_until("2027-01-04T00:01:00Z");
    assert_eq!(world.ledger("m"), ["00:01 skipped queue_full"]);
    world.delete("m");
    assert!(world.state.runs.is_empty());
}
