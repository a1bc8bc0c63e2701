//! Contract section 4, dependencies: gates of scheduled and manual runs, and joins.

use cronapi::model::RunStatus::{self, Failed, Queued, Succeeded, Waiting};
use serde_json::{Value, json};

use crate::world::{World, at};

/// `up` and `up2` run by hand; `down` fires each minute when both have succeeded.
fn gated(more: Value) -> World {
    let mut world = World::new();
    world.work(json!({"name": "up", "overlap": "allow"}));
    world.work(json!({"name": "up2", "overlap": "allow"}));
    let mut job = json!({"name": "down", "expr": "*/10 * * * *", "dependencies": ["up"]});
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.work(job);
    world
}

fn succeed(world: &mut World, job: &str) {
    world.script(job, &[(Succeeded, 0)]);
    world.trigger(job);
    world.settle();
}

#[test]
fn the_first_fire_is_content_with_any_success_before_it() {
    let mut world = gated(json!({}));
    succeed(&mut world, "up");
    world.run_until("2027-01-04T00:10:00Z");
    assert_eq!(world.statuses("down"), ["succeeded"]);
}

#[test]
fn a_success_from_before_the_job_existed_counts_for_its_first_fire() {
    let mut world = World::new();
    world.work(json!({"name": "up"}));
    succeed(&mut world, "up");
    world.work(json!({"name": "down", "expr": "*/10 * * * *", "dependencies": ["up"]}));
    world.run_until("2027-01-04T00:10:00Z");
    assert_eq!(world.statuses("down"), ["succeeded"]);
}

#[test]
fn a_later_fire_wants_a_success_newer_than_the_fire_before() {
    let mut world = gated(json!({}));
    succeed(&mut world, "up");
    world.run_until("2027-01-04T00:20:00Z");
    assert_eq!(world.statuses("down"), ["succeeded", "waiting"]);
    world.run_until("2027-01-04T00:25:00Z");
    succeed(&mut world, "up");
    assert_eq!(world.statuses("down"), ["succeeded", "succeeded"]);
    assert_eq!(world.runs("down")[1].started_at, Some(at("2027-01-04T00:25:00Z")));
}

#[test]
fn a_fire_waits_until_the_next_nominal_time_unless_told() {
    let mut world = gated(json!({}));
    world.run_until("2027-01-04T00:19:59Z");
    assert_eq!(world.statuses("down"), ["waiting"]);
    world.run_until("2027-01-04T00:20:00Z");
    assert_eq!(world.ledger("down"), ["00:10 skipped dependencies_unmet", "00:20 fired"]);
    assert_eq!(world.statuses("down"), ["skipped", "waiting"]);
    let row = &world.ledger_of(world.job("down").no)[0];
    assert_eq!(row.decided_at, at("2027-01-04T00:20:00Z"));
}

#[test]
fn dependency_timeout_bounds_the_wait() {
    let mut world = gated(json!({"dependency_timeout": "90s"}));
    world.run_until("2027-01-04T00:11:29Z");
    assert_eq!(world.statuses("down"), ["waiting"]);
    world.run_until("2027-01-04T00:11:30Z");
    assert_eq!(world.statuses("down"), ["skipped"]);
    assert_eq!(world.ledger("down"), ["00:10 skipped dependencies_unmet"]);
}

#[test]
fn a_dependency_timeout_past_the_next_time_keeps_waiting_and_overlap_judges() {
    let mut world = gated(json!({"dependency_timeout": "25m", "overlap": "queue_all"}));
    world.run_until("2027-01-04T00:34:59Z");
    assert_eq!(world.statuses("down"), ["waiting", "waiting", "waiting"]);
    world.run_until("2027-01-04T00:35:00Z");
    assert_eq!(world.statuses("down"), ["skipped", "waiting", "waiting"]);
}

#[test]
fn a_failed_dependency_keeps_the_fire_waiting_for_a_later_run_of_it() {
    let mut world = gated(json!({}));
    world.run_until("2027-01-04T00:11:00Z");
    world.script("up", &[(Failed, 0)]);
    world.trigger("up");
    world.settle();
    assert_eq!(world.statuses("down"), ["waiting"]);
    succeed(&mut world, "up");
    assert_eq!(world.statuses("down"), ["succeeded"]);
}

#[test]
fn every_dependency_must_have_its_success() {
    let mut world = gated(json!({"dependencies": ["up", "up2"]}));
    succeed(&mut world, "up");
    world.run_until("2027-01-04T00:11:00Z");
    assert_eq!(world.statuses("down"), ["waiting"]);
    succeed(&mut world, "up2");
    assert_eq!(world.statuses("down"), ["succeeded"]);
}

#[test]
fn a_fire_that_was_skipped_uses_up_no_success() {
    // Unmet: `up` succeeded before 00:10, `up2` only after the wait was over.
    let mut world = gated(json!({"dependencies": ["up", "up2"], "dependency_timeout": "1m"}));
    succeed(&mut world, "up");
    world.run_until("2027-01-04T00:15:00Z");
    succeed(&mut world, "up2");
    world.run_until("2027-01-04T00:20:00Z");
    assert_eq!(world.ledger("down"), ["00:10 skipped dependencies_unmet", "00:20 fired"]);
    assert_eq!(world.statuses("down"), ["skipped", "succeeded"]);
    // Overlap: `up` succeeded while a long run was open.
    let mut world = gated(json!({}));
    world.script("down", &[(Succeeded, 900), (Succeeded, 0)]);
    succeed(&mut world, "up");
    world.run_until("2027-01-04T00:15:00Z");
    succeed(&mut world, "up");
    world.run_until("2027-01-04T00:30:00Z");
    assert_eq!(world.ledger("down"), ["00:10 fired", "00:20 skipped overlap", "00:30 fired"]);
    assert_eq!(world.statuses("down"), ["succeeded", "succeeded"]);
}

#[test]
fn a_dependency_that_does_not_exist_keeps_the_gate_shut_until_it_does() {
    let mut world = gated(json!({"dependencies": ["later"]}));
    world.run_until("2027-01-04T00:11:00Z");
    assert_eq!(world.statuses("down"), ["waiting"]);
    world.work(json!({"name": "later"}));
    succeed(&mut world, "later");
    assert_eq!(world.statuses("down"), ["succeeded"]);
}

#[test]
fn a_manual_run_is_gated_too_and_force_passes() {
    let mut world = gated(json!({"overlap": "allow"}));
    let waits = world.trigger("down");
    world.settle();
    assert_eq!(world.status(waits), Waiting);
    let forced = world.try_trigger("down", json!({}), true).unwrap();
    world.settle();
    assert_eq!(world.statuses("down"), ["waiting", "succeeded"], "{forced:?}");
    succeed(&mut world, "up");
    assert_eq!(world.status(waits), Succeeded);
}

#[test]
fn a_run_behind_another_meets_its_gate_when_it_moves_up() {
    let mut world = gated(json!({"overlap": "queue_all", "dependency_timeout": "1h"}));
    succeed(&mut world, "up");
    world.script("down", &[(Succeeded, 700), (Succeeded, 0)]);
    world.run_until("2027-01-04T00:20:30Z");
    let reasons: Vec<_> = world.runs("down").iter().map(|run| run.reason.clone()).collect();
    assert_eq!(reasons, [None, Some("for an earlier run of the job".into())]);
    world.run_until("2027-01-04T00:22:00Z");
    assert_eq!(world.statuses("down"), ["succeeded", "waiting"]);
    succeed(&mut world, "up");
    assert_eq!(world.statuses("down"), ["succeeded", "succeeded"]);
}

#[test]
fn an_edit_of_the_dependencies_leaves_a_waiting_run_its_own() {
    let mut world = gated(json!({}));
    world.run_until("2027-01-04T00:11:00Z");
    world.work(json!({"name": "down", "expr": "*/10 * * * *", "dependencies": ["up2"]}));
    succeed(&mut world, "up2");
    assert_eq!(world.statuses("down"), ["waiting"], "it was fired to wait for up");
    succeed(&mut world, "up");
    assert_eq!(world.statuses("down"), ["succeeded"]);
}

#[test]
fn a_join_runs_once_each_time_all_have_newly_succeeded() {
    let mut world = World::new();
    for up in ["a", "b"] {
        world.work(json!({"name": up}));
        succeed(&mut world, up);
    }
    world.work(json!({"name": "join", "dependencies": ["a", "b"]}));
    let steps = [("a", 0), ("a", 0), ("b", 1), ("b", 1), ("a", 2), ("a", 2), ("b", 3)];
    for (at, (up, runs)) in steps.into_iter().enumerate() {
        succeed(&mut world, up);
        assert_eq!(world.runs("join").len(), runs, "after step {at}");
    }
    let run = &world.runs("join")[0];
    assert_eq!(run.trigger, cronapi::model::Trigger::Dependency);
    assert_eq!((run.cause, run.depth), (Some(world.runs("b")[1].id), 1));
}

#[test]
fn a_paused_join_records_what_it_passes_over() {
    let mut world = World::new();
    world.work(json!({"name": "a"}));
    world.work(json!({"name": "join", "dependencies": ["a"], "enabled": false}));
    succeed(&mut world, "a");
    assert_eq!(world.statuses("join"), ["skipped"]);
    assert_eq!(world.runs("join")[0].skip, Some(cronapi::model::SkipReason::Paused));
    world.enable("join", true);
    succeed(&mut world, "a");
    assert_eq!(world.statuses("join"), ["skipped", "succeeded"]);
}

#[test]
fn a_join_is_not_held_up_by_a_success_that_a_chain_made_on_the_way() {
    // a → b by chain, both into the join: one success of a leads to one run of the join.
    let mut world = World::new();
    world.work(json!({"name": "b"}));
    world.work(json!({"name": "a", "on_success": ["b"]}));
    world.work(json!({"name": "join", "dependencies": ["a", "b"]}));
    succeed(&mut world, "a");
    assert_eq!((world.runs("b").len(), world.runs("join").len()), (1, 1));
}

#[test]
fn a_waiting_run_can_be_cancelled_and_its_timer_goes_with_it() {
    let mut world = gated(json!({"dependency_timeout": "5m"}));
    let id = world.trigger("down");
    assert_eq!((world.status(id), world.state.timers.len()), (Waiting, 1));
    world.cancel(id).unwrap();
    assert_eq!((world.status(id), world.state.timers.len()), (RunStatus::Cancelled, 0));
}

#[test]
fn an_open_gate_queues_the_run_and_no_slot_is_held_while_it_waits() {
    let mut world = gated(json!({"dependency_timeout": "5m"}));
    world.executor = false;
    let id = world.trigger("down");
    world.settle();
    assert!(world.state.placed.is_empty() && world.state.ready.is_empty());
    world.executor = true;
    world.node(1, 0);
    world.trigger("up");
    world.settle();
    assert_eq!(world.status(id), Waiting);
    world.node(2, 1);
    world.settle();
    assert_eq!(world.status(id), Succeeded);
    assert_ne!(world.status(id), Queued);
}
