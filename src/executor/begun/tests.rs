use super::*;
use crate::machine::prepare::{Intent, PutMode, prepare};
use crate::machine::state::Ahead;
use crate::machine::{Command, Op, Output, apply_entry};
use crate::model::{JobSpec, Name, Parameters, RunId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

const NODE: NodeId = 1;
const BOOT: BootId = Uuid::from_u128(7);

/// A state with this node in it, and the runs that it was given.
struct World {
    state: State,
    now: Timestamp,
}

impl World {
    fn new() -> World {
        let now = Timestamp::parse("2027-01-04T00:00:00Z").unwrap();
        let mut world = World { state: State::default(), now };
        world.up(BOOT);
        world
    }

    fn up(&mut self, boot: BootId) {
        let (address, api, labels) = ("a".to_string(), String::new(), Default::default());
        self.does(Op::NodeUp { node: NODE, boot, address, api, slots: 9, labels });
    }

    fn does(&mut self, op: Op) {
        let command = Command { at: self.now, actor: None, request: None, op };
        let done = apply_entry(&mut self.state, 1, &[command], &mut Output::default());
        assert!(done[0].is_ok(), "{done:?}");
    }

    fn intends(&mut self, intent: Intent) {
        let op = prepare(&self.state, intent, self.now, None, None).unwrap().op;
        self.does(op);
    }

    /// A run that this node was given.
    fn run(&mut self, job: &str, on_lease_lost: Value) -> RunId {
        let Value::Object(map) = json!({"name": job, "overlap": "allow", "code": "x = 1",
            "on_lease_lost": on_lease_lost, "retry": {"max_attempts": 2, "on": ["lost"]}})
        else {
            unreachable!()
        };
        let spec = Arc::new(JobSpec::from_map(map).unwrap());
        self.intends(Intent::PutJob { spec, mode: PutMode::Upsert, expected: None });
        let (name, parameters) = (Name::parse(job).unwrap(), Parameters::default());
        self.intends(Intent::Trigger { name, parameters, force: false, cause: None });
        let newest = self.state.runs.values().max_by_key(|open| open.seq).unwrap();
        assert!(newest.held().is_some());
        newest.run.id
    }
}

fn stop(order: &Order) -> StopFor {
    *order.2.borrow()
}

#[test]
fn an_attempt_is_begun_once_while_the_state_shows_it() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    world.run("m", json!(null));
    assert_eq!(begun.look(&world.state, New::Begins).len(), 1);
    assert!(begun.look(&world.state, New::Begins).is_empty());
    world.run("m", json!(null));
    assert_eq!(begun.look(&world.state, New::Begins).len(), 1);
}

#[test]
fn nothing_begins_while_the_lease_is_over() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    world.run("m", json!(null));
    assert!(begun.look(&world.state, New::Waits).is_empty());
    assert_eq!(begun.look(&world.state, New::Begins).len(), 1, "renewed: the state still shows it");
}

#[test]
fn what_was_given_up_meanwhile_is_never_begun() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    world.run("m", json!(null));
    assert!(begun.look(&world.state, New::Waits).is_empty());
    world.does(Op::NodeLost { node: NODE, boot: BOOT });
    assert!(begun.look(&world.state, New::Begins).is_empty());
}

#[test]
fn an_attempt_that_was_held_back_may_begin_later_and_one_that_ended_may_not() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    world.run("m", json!(null));
    let (fence, ..) = begun.look(&world.state, New::Begins).remove(0);
    begun.over(fence, Left::Untouched);
    assert_eq!(begun.look(&world.state, New::Begins).len(), 1);
    begun.over(fence, Left::Over);
    assert!(begun.look(&world.state, New::Begins).is_empty(), "its end is on its way to the log");
}

#[test]
fn a_lost_lease_stops_the_attempts_of_jobs_that_want_it_so() {
    let rows = [
        (json!(null), StopFor::Nothing),
        (json!("continue"), StopFor::Nothing),
        (json!("kill"), StopFor::LeaseLost),
    ];
    for (given, want) in rows {
        let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
        world.run("m", given.clone());
        let order = begun.look(&world.state, New::Begins).remove(0);
        begun.lease_lost();
        assert_eq!(stop(&order), want, "{given}");
        // A node that learns of it only from the log does the same.
        world.run("n", given.clone());
        let order = begun.look(&world.state, New::Begins).remove(0);
        world.does(Op::NodeLost { node: NODE, boot: BOOT });
        begun.look(&world.state, New::Begins);
        assert_eq!(stop(&order), want, "{given}");
    }
}

#[test]
fn an_attempt_that_the_log_gave_up_is_known_until_its_task_is_over() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    world.run("m", json!("continue"));
    let order = begun.look(&world.state, New::Begins).remove(0);
    world.does(Op::NodeLost { node: NODE, boot: BOOT });
    begun.look(&world.state, New::Begins);
    begun.stop_all();
    assert_eq!(stop(&order), StopFor::Shutdown, "a stop of the node still reaches it");
    begun.over(order.0, Left::Over);
    begun.look(&world.state, New::Begins);
    assert!(begun.by_fence.is_empty());
}

#[test]
fn a_cancelled_attempt_is_told_so_before_it_begins() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    let run = world.run("m", json!("kill"));
    world.does(Op::Cancel { run });
    let order = begun.look(&world.state, New::Begins).remove(0);
    assert_eq!(stop(&order), StopFor::Cancel);
    begun.lease_lost();
    assert_eq!(stop(&order), StopFor::Cancel, "the first reason stays");
}

#[test]
fn attempts_of_another_boot_are_not_this_ones() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    world.up(Uuid::from_u128(8));
    world.run("m", json!(null));
    assert!(begun.look(&world.state, New::Begins).is_empty());
}

#[test]
fn a_node_that_leaves_takes_nothing_new_and_hands_back_what_has_not_begun() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    world.run("m", json!(null));
    let first = begun.look(&world.state, New::Begins).remove(0);
    world.run("m", json!(null));
    let second = begun.look(&world.state, New::HandedBack).remove(0);
    assert_eq!([stop(&first), stop(&second)], [StopFor::NotBegin; 2]);
    assert!(!StopFor::NotBegin.ends(), "what has begun goes on");
    begun.stop_all();
    assert_eq!(stop(&first), StopFor::Shutdown);
}

#[test]
fn a_withdrawn_start_must_not_begin_and_a_cancel_still_reaches_it() {
    let (mut world, mut begun) = (World::new(), Begun::new(NODE, BOOT));
    let run = world.run("m", json!(null));
    let order = begun.look(&world.state, New::Begins).remove(0);
    let ahead = Ahead { start_at: world.now, before: world.now, withdrawn: true };
    if let Some(open) = world.state.runs.get_mut(&run) {
        Arc::make_mut(open).ahead = Some(ahead);
    }
    begun.look(&world.state, New::Begins);
    assert_eq!(stop(&order), StopFor::NotBegin);
    world.does(Op::Cancel { run });
    begun.look(&world.state, New::Begins);
    assert_eq!(stop(&order), StopFor::Cancel);
}
