//! Events that are kept in the history: all of an entry or none, in order, with their numbers.

use cronapi::machine::command::{Place, TrimKey};
use cronapi::machine::event_rows::{EventRow, event_place};
use cronapi::machine::history::{check_row, unpack};
use cronapi::machine::state::{FORMAT, Offers};
use cronapi::machine::{Op, Rejection};
use cronapi::model::{Event, RunStatus};
use serde_json::json;

use super::world::{World, name};

/// The events that the history has, each with its number.
pub fn kept(world: &World) -> Vec<(u64, Event)> {
    let rows = world.rows.iter().filter(|(key, _)| key[0] == b'e');
    let mut events = Vec::new();
    for (key, value) in rows {
        check_row(key, value).unwrap();
        let row: EventRow = unpack(value).unwrap();
        let number = row.number;
        events.extend((number..).zip(row.unpack(event_place(key).unwrap())));
    }
    events
}

/// Those from the entry `from` on are what was told from then on, numbered without a gap.
pub fn same_as_told(world: &World) {
    let rows = world.state.events;
    let kept: Vec<_> = kept(world).into_iter().filter(|(_, e)| e.index >= rows.from).collect();
    let told: Vec<_> = world.events.iter().filter(|event| event.index >= rows.from).collect();
    assert!(kept.iter().map(|(_, event)| event).eq(told), "{kept:#?}");
    let numbers = kept.iter().map(|(number, _)| *number);
    assert!(numbers.eq(rows.first..=rows.last), "{rows:?}");
}

fn offer(world: &mut World, place: Place, keep_events: bool) {
    let offers = Offers { keep_events, ..Offers::default() };
    world.op(Op::NodeOffers { node: place.node, boot: place.boot, offers }).unwrap();
}

fn busy(world: &mut World) {
    world.work(json!({"name": "a", "on_success": ["b"], "overlap": "allow"}));
    world.work(json!({"name": "b", "overlap": "allow"}));
    world.script("b", &[(RunStatus::Failed, 3)]);
    world.triggers("a", 400);
    world.run_for(60);
}

#[test]
fn without_a_wish_no_event_is_kept_and_the_state_is_as_it_was() {
    let mut world = World::newest();
    busy(&mut world);
    assert!(kept(&world).is_empty() && !world.events.is_empty());
    assert!(world.state.events.is_none());
}

#[test]
fn events_are_kept_whole_in_log_order_while_a_node_wishes_it() {
    let mut world = World::newest();
    busy(&mut world);
    let place = world.node(2, 9);
    let before = world.events.len();
    offer(&mut world, place, true);
    assert_eq!((world.state.events.on, world.state.events.from), (true, world.index));
    world.triggers("a", 300);
    world.run_for(60);
    same_as_told(&world);
    assert_eq!(kept(&world).len(), world.events.len() - before);
    let large = world.rows.iter().filter(|(key, value)| key[0] == b'e' && value.len() > 7_000);
    assert_eq!(large.count(), 0);
    // A node that goes takes its wish along only when it is forgotten, or started without.
    world.op(Op::NodeDraining { node: 2, boot: place.boot }).unwrap();
    assert!(world.state.events.on);
    let place = world.node(2, 9);
    assert!(world.state.events.on, "until the new boot says otherwise");
    offer(&mut world, place, false);
    assert!(!world.state.events.on);
    let had = kept(&world).len();
    world.triggers("a", 3);
    world.run_for(60);
    assert_eq!(kept(&world).len(), had);
    // Another while has nothing to do with the one before.
    let place = world.node(3, 9);
    offer(&mut world, place, true);
    world.triggers("a", 3);
    world.run_for(60);
    same_as_told(&world);
    assert!(!world.state.events.covers((world.state.events.from - 1, 0)));
    assert!(world.state.events.covers((world.state.events.from - 1, u32::MAX)));
}

#[test]
fn what_is_removed_is_no_longer_said_to_be_there() {
    let mut world = World::newest();
    let place = world.node(2, 9);
    offer(&mut world, place, true);
    busy(&mut world);
    let all = kept(&world);
    let (number, event) = &all[all.len() / 2];
    let gone = world.rows.keys().filter_map(|key| event_place(key).filter(|_| key[0] == b'e'));
    let rows: Vec<_> = gone.filter(|place| place.0 < event.index).collect();
    let left = all.iter().find(|(_, other)| other.index >= event.index).unwrap().0;
    assert!(left <= *number && !rows.is_empty());
    let trim = TrimKey::Events { rows, from: event.index, first: left };
    world.op(Op::Trim { keys: vec![trim] }).unwrap();
    same_as_told(&world);
    assert!(!world.state.events.covers((event.index - 1, 0)));
    assert!(world.state.events.covers((event.index, 0)));
}

#[test]
fn a_cluster_with_older_members_keeps_none() {
    let mut world = World::new();
    let (node, boot) = (1, world.state.nodes[&1].boot);
    let offers = Offers { keep_events: true, ..Offers::default() };
    let op = Op::NodeOffers { node, boot, offers };
    let refused = world.submit(cronapi::machine::prepare::Intent::Plain(Box::new(op.clone())));
    assert!(matches!(refused, Err(Rejection::UpgradeNeeded { needs: 5, .. })), "{refused:?}");
    world.op(op).unwrap();
    assert!(!world.state.events.on);
    world.op(Op::RaiseFormat { to: FORMAT }).unwrap();
    assert!(world.state.events.on, "from this entry on");
    world.work(json!({"name": "a"}));
    same_as_told(&world);
    assert_eq!(kept(&world).last().unwrap().1.job, Some(name("a")));
}
