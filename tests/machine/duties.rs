//! Duties: one holder at a time, each with a higher fence, and nobody listens to the one before.

use std::sync::Arc;

use cronapi::machine::command::Place;
use cronapi::machine::reply::Rejection;
use cronapi::machine::state::{Duty, Offers};
use cronapi::machine::{Op, State};
use cronapi::model::{DutyKey, Position, Timestamp};

use super::chance::{Chance, each_seed};
use super::world::{World, name};

pub fn key(text: &str) -> DutyKey {
    DutyKey::sink(name(text))
}

/// A duty that nobody does, as the definition of a sink makes it.
pub fn duty(state: &mut State, text: &str) {
    let duty = Duty::new(Position::default(), Timestamp::ZERO);
    state.duties.all.insert(key(text), Arc::new(duty));
    state.duties.free.insert(key(text));
}

fn able(world: &mut World, node: u64) -> Place {
    let place = world.node(node, 4);
    let offers = Offers { keep_events: true, sink_files: true, redis: false };
    // Refused when the boot before said the same.
    let _ = world.op(Op::NodeOffers { node, boot: place.boot, offers });
    place
}

fn holder(world: &World, text: &str) -> Option<u64> {
    world.state.duties.all[&key(text)].holder.map(|(node, _)| node)
}

fn moved(world: &World, text: &str, fence: u64, index: u64) -> Op {
    let position = Position { index, sub: 0, number: index };
    let _ = world;
    Op::DutyMoved { key: key(text), fence, position, fault: None }
}

fn fence(world: &World, text: &str) -> u64 {
    world.state.duties.all[&key(text)].fence
}

#[test]
fn a_duty_goes_to_a_node_that_can_and_to_the_leader_last() {
    let mut world = World::newest();
    world.around.own = Some(1);
    duty(&mut world.state, "a");
    world.settle();
    assert_eq!(holder(&world, "a"), None, "no node can");
    let leader = world.state.nodes[&1].boot;
    let offers = Offers { sink_files: true, ..Offers::default() };
    world.op(Op::NodeOffers { node: 1, boot: leader, offers }).unwrap();
    world.settle();
    assert_eq!(holder(&world, "a"), Some(1), "there is no other");
    able(&mut world, 2);
    able(&mut world, 3);
    for text in ["b", "c", "d"] {
        duty(&mut world.state, text);
    }
    world.settle();
    let held: Vec<_> = ["b", "c", "d"].iter().map(|text| holder(&world, text)).collect();
    assert_eq!(held, [Some(2), Some(3), Some(2)]);
}

#[test]
fn a_duty_moves_on_when_its_node_is_lost_leaves_or_begins_anew() {
    let mut world = World::newest();
    world.around.own = Some(1);
    let (two, three) = (able(&mut world, 2), able(&mut world, 3));
    duty(&mut world.state, "a");
    world.settle();
    let mut fences = vec![fence(&world, "a")];
    assert_eq!(holder(&world, "a"), Some(2));
    world.op(Op::NodeLost { node: 2, boot: two.boot }).unwrap();
    assert_eq!(holder(&world, "a"), None);
    world.settle();
    assert_eq!(holder(&world, "a"), Some(3));
    fences.push(fence(&world, "a"));
    let two = able(&mut world, 2);
    world.op(Op::NodeDraining { node: 3, boot: three.boot }).unwrap();
    world.settle();
    assert_eq!(holder(&world, "a"), Some(2));
    fences.push(fence(&world, "a"));
    able(&mut world, 2);
    world.settle();
    fences.push(fence(&world, "a"));
    world.op(Op::NodeRemoved { node: 2 }).unwrap();
    assert_eq!(holder(&world, "a"), None);
    let _ = two;
    assert!(fences.is_sorted_by(|a, b| a < b), "{fences:?}");
    let former = world.state.duties.all[&key("a")].former;
    assert_eq!(former, fences[2]);
}

#[test]
fn a_duty_moves_on_when_its_node_can_no_longer_do_it() {
    let mut world = World::newest();
    world.around.own = Some(1);
    let two = able(&mut world, 2);
    duty(&mut world.state, "a");
    world.settle();
    able(&mut world, 3);
    let (boot, offers) = (two.boot, Offers { keep_events: true, ..Offers::default() });
    world.op(Op::NodeOffers { node: 2, boot, offers }).unwrap();
    assert_eq!(holder(&world, "a"), None);
    world.settle();
    assert_eq!(holder(&world, "a"), Some(3));
}

#[test]
fn only_the_holder_is_listened_to_and_a_position_never_goes_back() {
    let mut world = World::newest();
    let two = able(&mut world, 2);
    duty(&mut world.state, "a");
    assert_eq!(world.op(moved(&world, "a", 0, 4)), Err(Rejection::Fenced), "nobody has it");
    world.settle();
    let first = fence(&world, "a");
    world.op(moved(&world, "a", first, 7)).unwrap();
    world.op(moved(&world, "a", first, 7)).unwrap();
    assert_eq!(world.op(moved(&world, "a", first, 6)), Err(Rejection::Stale));
    able(&mut world, 3);
    world.op(Op::NodeLost { node: 2, boot: two.boot }).unwrap();
    assert_eq!(world.op(moved(&world, "a", first, 9)), Err(Rejection::Fenced), "it is free");
    world.settle();
    assert_eq!(world.op(moved(&world, "a", first, 9)), Err(Rejection::Fenced), "another has it");
    assert_eq!(world.state.duties.all[&key("a")].position.index, 7);
    assert_eq!(world.op(moved(&world, "b", first, 9)), Err(Rejection::Fenced));
    world.op(moved(&world, "a", fence(&world, "a"), 9)).unwrap();
}

#[test]
fn a_duty_is_given_once_however_often_the_leader_asks() {
    let mut world = World::newest();
    world.repeats = true;
    let place = able(&mut world, 2);
    duty(&mut world.state, "a");
    world.settle();
    let first = fence(&world, "a");
    let give = |former| Op::GiveDuty { key: key("a"), former, place };
    assert_eq!(world.op(give(0)), Err(Rejection::Stale));
    assert_eq!(world.op(give(first)), Err(Rejection::Stale), "it is held");
    world.op(Op::NodeDraining { node: 2, boot: place.boot }).unwrap();
    assert_eq!(world.op(give(first)), Err(Rejection::Stale), "its node is leaving");
    assert_eq!(fence(&world, "a"), first);
}

#[test]
fn a_fault_is_told_when_it_begins_and_when_it_is_over_and_steps_are_not() {
    let mut world = World::newest();
    able(&mut world, 2);
    duty(&mut world.state, "a");
    world.settle();
    let fence = fence(&world, "a");
    let told = |world: &World| {
        let kinds = world.events.iter().map(|event| event.kind.as_str());
        kinds.filter(|kind| kind.starts_with("duty.")).map(str::to_owned).collect::<Vec<_>>()
    };
    let say = |world: &mut World, fault: Option<&str>| {
        let (position, fault) = (Position::default(), fault.map(str::to_owned));
        world.op(Op::DutyMoved { key: key("a"), fence, position, fault }).unwrap();
    };
    assert_eq!(told(&world), ["duty.given"]);
    for fault in [None, Some("the disk is full"), Some("the disk is full"), None, None] {
        say(&mut world, fault);
    }
    assert_eq!(told(&world), ["duty.given", "duty.fault", "duty.recovered"]);
    let last = world.events.last().unwrap();
    assert_eq!(last.reason.as_deref(), Some("sink a"));
}

/// What is known of a duty: its fences in the order they were given, and its last position.
#[derive(Default)]
struct Known {
    fences: Vec<u64>,
    position: Position,
}

impl Known {
    /// Takes in what a step did.
    fn see(&mut self, state: &State, key: &DutyKey, step: usize) {
        let duty = &state.duties.all[key];
        if self.fences.last().is_none_or(|last| *last != duty.fence) && duty.fence > 0 {
            assert!(self.fences.iter().all(|fence| *fence < duty.fence), "{key} at step {step}");
            assert_eq!(duty.former, self.fences.last().copied().unwrap_or(0));
            self.fences.push(duty.fence);
        }
        assert!(duty.position >= self.position, "{key} goes back at step {step}");
        self.position = duty.position;
    }
}

/// Nodes come, go and are lost, the leader asks twice, old holders go on reporting: fences rise,
/// no report of an old fence is taken, and every event is kept once, in order.
#[test]
fn whatever_happens_to_its_holders_a_duty_has_one() {
    each_seed("duties", 0..40, |seed| {
        let mut chance = Chance::new(seed);
        let mut world = World::newest();
        (world.around.own, world.repeats) = (Some(1), chance.once_in(2));
        let keys = ["a", "b", "c"];
        let offers = Offers { keep_events: true, sink_files: true, redis: false };
        let boot = world.state.nodes[&1].boot;
        world.op(Op::NodeOffers { node: 1, boot, offers }).unwrap();
        keys.iter().for_each(|text| duty(&mut world.state, text));
        let mut known: Vec<Known> = keys.iter().map(|_| Known::default()).collect();
        for step in 0..200 {
            let node = 1 + chance.below(4);
            let boot = world.state.nodes.get(&node).map(|node| node.boot);
            match (chance.below(9), boot) {
                (0, _) | (_, None) => drop(able(&mut world, node)),
                (1, Some(boot)) => drop(world.op(Op::NodeLost { node, boot })),
                (2, Some(boot)) => drop(world.op(Op::NodeDraining { node, boot })),
                (3, Some(_)) if node != 1 => drop(world.op(Op::NodeRemoved { node })),
                (4 | 5, _) => drop(world.plan_once()),
                _ => {
                    let at = chance.below(3) as usize;
                    let (duty, fences) =
                        (&world.state.duties.all[&key(keys[at])], &known[at].fences);
                    let held = duty.holder.is_some();
                    let all = fences.iter().copied().chain([0]).collect::<Vec<_>>();
                    let told = if chance.once_in(2) { duty.fence } else { *chance.pick(&all) };
                    let position = Position { index: chance.below(400), sub: 0, number: 0 };
                    let right = held && told == duty.fence && told > 0;
                    let goes_back = position < duty.position;
                    let op =
                        Op::DutyMoved { key: key(keys[at]), fence: told, position, fault: None };
                    assert_eq!(world.op(op).is_ok(), right && !goes_back, "seed {seed}, {step}");
                }
            }
            for (text, known) in keys.iter().zip(&mut known) {
                known.see(&world.state, &key(text), step);
            }
        }
        if world.state.events.on {
            super::event_rows::same_as_told(&world);
        }
        assert!(known.iter().any(|known| known.fences.len() > 2), "seed {seed}: nothing happened");
    });
}
