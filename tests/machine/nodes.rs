//! Contract 2.8: nodes that are given up, come back, or leave the cluster for good.

use cronapi::machine::command::{Op, Place};
use cronapi::machine::reply::{Rejection, Reply};
use cronapi::model::RunStatus::{Assigned, Lost, Queued, Succeeded, Waiting};
use cronapi::model::{RunId, Timestamp};
use serde_json::json;

use crate::world::{World, end_of};

/// A node with an attempt that is under way, of a job that is retried for `on`.
fn busy(on: serde_json::Value) -> (World, Place, RunId) {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.executor = false;
    let place = world.node(1, 4);
    world.work(json!({"name": "m", "retry": {"max_attempts": 2, "on": on, "delay": "30s"}}));
    let run = world.trigger("m");
    world.settle();
    (world, place, run)
}

fn lost(place: Place) -> Op {
    Op::NodeLost { node: place.node, boot: place.boot }
}

#[test]
fn what_a_lost_node_had_is_lost_and_retried_only_if_the_job_says_so() {
    for (on, end) in [(json!(["failed", "timed_out"]), Lost), (json!(["lost"]), Waiting)] {
        let (mut world, place, id) = busy(on);
        assert_eq!(world.op(lost(place)), Ok(Reply::Done));
        let run = world.run(id);
        assert_eq!(run.status, end);
        assert_eq!(run.error.as_deref(), Some("its node was not heard of in time"));
        assert_eq!((run.attempts[0].status, run.attempts.len()), (Lost, 1));
        let node = &world.state.nodes[&1];
        assert_eq!((node.accepting, node.lost, node.busy), (false, true, 0));
        assert!(world.events.iter().any(|event| event.kind == "node.lost"));
    }
}

#[test]
fn a_lost_node_gets_no_attempts_and_another_takes_the_retry() {
    let (mut world, place, id) = busy(json!(["lost"]));
    world.op(lost(place)).unwrap();
    world.run_for(60);
    assert_eq!(world.status(id), Queued, "there is no other node yet");
    world.executor = true;
    let other = world.node(2, 1);
    world.run_for(1);
    let run = world.run(id);
    assert_eq!((run.status, run.node, run.attempt), (Succeeded, Some(2), 2));
    assert_eq!(run.attempts[1].boot, other.boot);
    assert!(run.attempts[0].fence < run.attempts[1].fence);
}

#[test]
fn a_node_is_given_up_once_and_only_the_boot_that_was_meant() {
    let (mut world, place, id) = busy(json!([]));
    let other = Place { boot: world.new_boot(), ..place };
    assert_eq!(world.op(lost(other)), Err(Rejection::Stale), "a boot that is not there");
    assert_eq!(world.op(lost(Place { node: 7, ..place })), Err(Rejection::Stale));
    assert_eq!(world.status(id), Assigned);
    world.op(lost(place)).unwrap();
    let before = world.state.clone();
    assert_eq!(world.op(lost(place)), Err(Rejection::Stale), "there is nothing more to lose");
    assert!(world.state == before);
    let new = world.node(1, 4);
    assert_eq!(world.op(lost(place)), Err(Rejection::Stale), "it was started again since");
    assert!(world.state.nodes[&1].accepting && world.state.nodes[&1].boot == new.boot);
}

#[test]
fn a_leaving_node_is_given_up_only_while_it_has_attempts() {
    let (mut world, place, id) = busy(json!([]));
    world.op(Op::NodeDraining { node: 1, boot: place.boot }).unwrap();
    world.op(lost(place)).unwrap();
    assert_eq!(world.status(id), Lost);
    let idle = world.node(2, 4);
    world.op(Op::NodeDraining { node: 2, boot: idle.boot }).unwrap();
    assert_eq!(world.op(lost(idle)), Err(Rejection::Stale), "it left in order");
}

#[test]
fn a_boot_that_was_given_up_may_come_back_and_finds_nothing_of_its_own() {
    let (mut world, place, id) = busy(json!([]));
    let up_since = world.state.nodes[&1].up_since;
    world.op(lost(place)).unwrap();
    world.now = world.now.plus(crate::world::secs(60));
    world.again(place, 4).unwrap();
    let node = world.state.nodes[&1].clone();
    assert_eq!((node.accepting, node.lost, node.up_since), (true, false, up_since));
    assert_eq!(world.status(id), Lost, "what was lost stays so");
    let next = world.trigger("m");
    world.settle();
    assert_eq!((world.status(next), world.open(next).run.node), (Assigned, Some(1)));
}

#[test]
fn reports_of_an_attempt_that_was_given_up_are_refused_in_every_state_of_its_run() {
    type Then = fn(&mut World);
    let rows: [(&str, Then, bool); 4] = [
        ("waiting for its retry", |_| {}, true),
        ("queued again", |world| world.run_for(60), true),
        (
            "assigned again",
            |world| {
                world.node(2, 4);
                world.run_for(60);
            },
            true,
        ),
        ("closed", |_| {}, false),
    ];
    for (what, then, retried) in rows {
        let on = if retried { json!(["lost"]) } else { json!([]) };
        let (mut world, place, run) = busy(on);
        let (fence, _) = world.open(run).held().unwrap();
        let end = end_of(world.open(run), Succeeded, world.now);
        world.op(lost(place)).unwrap();
        then(&mut world);
        // Moves log time to now.
        world.op(Op::Note { entries: Vec::new() }).unwrap();
        let before = world.state.clone();
        let started_at: Timestamp = world.now;
        let late = [
            Op::Started { run, attempt: 1, fence, started_at },
            Op::Output { run, attempt: 1, fence, chunks: Vec::new() },
            end,
        ];
        for op in late {
            assert_eq!(world.op(op), Err(Rejection::Fenced), "{what}");
        }
        assert!(world.state == before, "{what}");
    }
}

#[test]
fn a_removed_node_is_forgotten_and_what_it_had_is_lost() {
    let (mut world, place, id) = busy(json!([]));
    let remove = cronapi::machine::prepare::Intent::Plain(Box::new(Op::NodeRemoved { node: 1 }));
    let audited = world.state.counters.audit;
    world.submit(remove.clone()).unwrap();
    assert_eq!(world.run(id).error.as_deref(), Some("its node was removed from the cluster"));
    assert_eq!((world.status(id), world.state.nodes.len()), (Lost, 0));
    assert!(world.events.iter().any(|event| event.kind == "node.removed"));
    assert_eq!(world.state.counters.audit, audited + 1, "somebody did it, so it is audited");
    let gone = Rejection::NotFound { what: "node".into(), name: "1".into() };
    assert_eq!(world.submit(remove), Err(gone.clone()));
    assert_eq!(world.op(Op::NodeRemoved { node: 1 }), Err(gone));
    let next = world.trigger("m");
    world.settle();
    assert_eq!(world.status(next), Queued);
    let draining = Op::NodeDraining { node: 1, boot: place.boot };
    assert_eq!(world.op(draining), Err(Rejection::Stale));
    assert_eq!(world.op(lost(place)), Err(Rejection::Stale));
    // The cluster itself removes without an audit.
    let audited = world.state.counters.audit;
    world.node(3, 1);
    world.op(Op::NodeRemoved { node: 3 }).unwrap();
    assert_eq!(world.state.counters.audit, audited);
}

#[test]
fn a_cancelled_attempt_of_a_lost_node_is_not_retried() {
    let (mut world, place, id) = busy(json!(["lost"]));
    world.cancel(id).unwrap();
    world.op(lost(place)).unwrap();
    assert_eq!(world.status(id), Lost);
}

#[test]
fn what_follows_from_a_lost_run_and_its_place_among_others_are_as_for_any_end() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.executor = false;
    let place = world.node(1, 1);
    world.work(json!({"name": "tell"}));
    world.work(json!({"name": "m", "overlap": "queue_all", "on_failure": ["tell"]}));
    world.trigger("m");
    let behind = world.trigger("m");
    world.settle();
    assert_eq!(world.status(behind), Waiting);
    world.op(lost(place)).unwrap();
    assert_eq!((world.status(behind), world.runs("tell").len()), (Queued, 1));
    assert_eq!(world.try_trigger("m", json!({}), true).map(|_| ()), Ok(()));
}

#[test]
fn a_node_tells_where_its_rest_interface_is() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let boot = world.new_boot();
    let up = |api: &str| Op::NodeUp {
        node: 1,
        boot,
        address: "10.0.0.1:8001".into(),
        api: api.into(),
        slots: 2,
        labels: Default::default(),
    };
    world.op(up("10.0.0.1:8000")).unwrap();
    assert_eq!(world.state.nodes[&1].api, "10.0.0.1:8000");
    world.op(up("10.0.0.1:9000")).unwrap();
    assert_eq!(world.state.nodes[&1].api, "10.0.0.1:9000", "the last word counts");
}
