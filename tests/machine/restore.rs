//! A cluster that begins anew from a backup: one outcome for every nominal time, none started
//! that the cluster before may have started.

use cronapi::machine::command::SigningKey;
use cronapi::machine::prepare::restore::{Origin, restored};
use cronapi::machine::reply::Reply;
use cronapi::model::RunStatus::{Lost, Queued, Succeeded, Waiting};
use cronapi::model::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::world::{World, actor, at};

/// What a restore does to the state of a world, at a time.
pub fn restore(world: &mut World, now: &str, as_of: Option<&str>) {
    world.now = at(now);
    let signing_key = SigningKey::new(Uuid::from_u128(77), [7; 32]);
    let origin = Origin { cluster: "before".into(), index: world.index, as_of: as_of.map(at) };
    let command = restored(&world.state, origin, world.now, signing_key, actor("op"));
    assert_eq!(world.entry(&[command]).remove(0), Ok(Reply::Done));
    assert!(world.state.nodes.is_empty(), "no node of the cluster before is known");
}

fn every_minute(overlap: &str) -> World {
    let mut world = World::new();
    world.work(json!({"name": "m", "expr": "* * * * *", "overlap": overlap}));
    world.run_until("2027-01-04T00:02:30Z");
    world
}

#[test]
fn times_that_the_old_cluster_may_have_decided_are_skipped_and_told_as_one_range() {
    let mut world = every_minute("skip");
    restore(&mut world, "2027-01-04T00:10:30Z", Some("2027-01-04T00:10:30Z"));
    world.node(5, 4);
    world.run_until("2027-01-04T00:12:30Z");
    assert_eq!(
        world.ledger("m"),
        [
            "00:01 fired",
            "00:02 fired",
            "00:03..00:10:34/8 skipped restored",
            "00:11 fired",
            "00:12 fired"
        ]
    );
}

#[test]
fn times_after_as_of_are_for_the_misfire_policy() {
    let mut world = every_minute("skip");
    restore(&mut world, "2027-01-04T00:10:30Z", Some("2027-01-04T00:05:30Z"));
    world.node(5, 4);
    world.run_until("2027-01-04T00:11:30Z");
    assert_eq!(
        world.ledger("m"),
        [
            "00:01 fired",
            "00:02 fired",
            "00:03..00:05:34/3 skipped restored",
            "00:06..00:10/4 skipped misfire",
            "00:10 fired",
            "00:11 fired"
        ]
    );
}

#[test]
fn after_a_cluster_that_had_stopped_nothing_is_skipped_but_by_the_misfire_policy() {
    let mut world = every_minute("skip");
    restore(&mut world, "2027-01-04T00:05:30Z", None);
    world.node(5, 4);
    world.run_until("2027-01-04T00:06:30Z");
    assert_eq!(
        world.ledger("m")[2..],
        ["00:03..00:05/2 skipped misfire", "00:05 fired", "00:06 fired"]
    );
}

#[test]
fn a_time_that_is_decided_a_little_ahead_is_skipped_as_well() {
    let mut world = every_minute("skip");
    // Two seconds before 00:03 the old cluster may have planned it.
    restore(&mut world, "2027-01-04T00:02:58Z", Some("2027-01-04T00:02:58Z"));
    world.node(5, 4);
    world.run_until("2027-01-04T00:04:30Z");
    assert_eq!(world.ledger("m")[2..], ["00:03 skipped restored", "00:04 fired"]);
}

#[test]
fn open_runs_are_lost_whatever_they_were_at_and_nothing_follows() {
    let mut world = World::new();
    world.executor = false;
    world.work(json!({"name": "a", "overlap": "queue_all", "on_failure": ["f"],
        "on_finish": ["f"], "retry": {"max_attempts": 3, "on": ["lost", "failed"]}}));
    world.put(json!({"name": "gate", "overlap": "queue_all", "dependencies": ["a"]}));
    world.work(json!({"name": "f"}));
    let runs: Vec<_> = (0..3).map(|_| world.trigger("a")).collect();
    let gated = world.trigger("gate");
    world.settle();
    assert_eq!(world.status(runs[1]), Waiting);
    let (fence, seq) = (world.state.counters.fence, world.state.counters.run);
    restore(&mut world, "2027-01-04T00:01:00Z", Some("2027-01-04T00:01:00Z"));
    for id in runs.into_iter().chain([gated]) {
        let run = world.run(id);
        assert_eq!(run.status, Lost, "{run:?}");
        assert!(run.error.unwrap().contains("backup"));
        assert!(run.attempts.iter().all(|attempt| attempt.finished_at.is_some()));
    }
    assert!(world.state.runs.is_empty(), "nothing followed, and nothing is tried again");
    world.executor = true;
    world.node(5, 4);
    let next = world.trigger("a");
    world.run_for(1);
    let run = world.run(next);
    assert_eq!(run.status, Succeeded);
    assert!(run.attempts[0].fence > fence + 1_000_000, "no fence is given out twice");
    assert!(world.state.counters.run > seq + 1_000_000, "nor the id of a run");
}

#[test]
fn after_a_cluster_that_had_stopped_what_waited_goes_on() {
    let mut world = World::new();
    world.executor = false;
    world.work(json!({"name": "a", "overlap": "queue_all"}));
    let (held, behind) = (world.trigger("a"), world.trigger("a"));
    world.settle();
    restore(&mut world, "2027-01-04T00:01:00Z", None);
    assert_eq!((world.status(held), world.status(behind)), (Lost, Queued));
    world.executor = true;
    world.node(5, 4);
    world.run_for(1);
    assert_eq!(world.status(behind), Succeeded);
}

#[test]
fn what_is_paused_stays_so_and_its_range_begins_where_it_did() {
    let mut world = every_minute("skip");
    world.enable("m", false);
    restore(&mut world, "2027-01-04T00:10:30Z", Some("2027-01-04T00:10:30Z"));
    world.node(5, 4);
    world.enable("m", true);
    world.run_until("2027-01-04T00:11:30Z");
    assert_eq!(world.ledger("m")[2..], ["00:03..00:10:31/8 skipped paused", "00:11 fired"]);
}

#[test]
fn tokens_of_before_are_refused_and_it_is_written_down() {
    let mut world = every_minute("skip");
    let before = world.state.counters.audit;
    restore(&mut world, "2027-01-04T00:10:30Z", Some("2027-01-04T00:10:30Z"));
    let keys: Vec<Uuid> = world.state.access.keys.iter().map(|key| key.id).collect();
    assert_eq!(keys, [Uuid::from_u128(77)]);
    assert_eq!(world.state.counters.audit, before + 1);
    assert_eq!(world.state.format(), cronapi::machine::state::FORMAT);
    assert!(world.state.last_at >= Timestamp::parse("2027-01-04T00:10:30Z").unwrap());
}
