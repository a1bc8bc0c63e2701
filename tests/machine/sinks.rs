//! Sinks: their duties, the events that are kept for them, and what is asked of them.

use cronapi::machine::Op;
use cronapi::machine::command::PutDefinition;
use cronapi::machine::reply::Rejection;
use cronapi::machine::state::Offers;
use cronapi::model::{DutyKey, Kind, Position, Spec};
use serde_json::{Value, json};

use super::world::{World, name};

fn put(world: &mut World, body: Value) {
    let Value::Object(map) = body else { unreachable!() };
    let spec = Kind::Sink.read(map).unwrap();
    let before = world.state.definitions.get(Kind::Sink, spec.name().as_str());
    let based_on = before.map(|before| before.version);
    world.op(Op::Put(Box::new(PutDefinition { spec, based_on, pinned: false }))).unwrap();
}

fn duty(world: &World, sink: &str) -> cronapi::machine::state::Duty {
    (*world.state.duties.all[&DutyKey::sink(name(sink))]).clone()
}

/// A world with two nodes that can write files.
fn world() -> World {
    let mut world = World::newest();
    world.around.own = Some(1);
    for node in [2, 3] {
        let boot = world.node(node, 4).boot;
        let offers = Offers { sink_files: true, ..Offers::default() };
        world.op(Op::NodeOffers { node, boot, offers }).unwrap();
    }
    world
}

fn moved(world: &World, sink: &str, position: Position) -> Op {
    let (key, fence) = (DutyKey::sink(name(sink)), duty(world, sink).fence);
    Op::DutyMoved { key, fence, position, fault: None }
}

#[test]
fn events_are_kept_from_a_sink_on_and_no_longer_than_it_is_there() {
    let mut world = world();
    assert!(!world.state.wants_events());
    put(&mut world, json!({ "name": "audit", "type": "file" }));
    let begin = duty(&world, "audit").position;
    world.work(json!({ "name": "a" }));
    let events = world.state.events;
    assert!(events.on && events.has_all_after(begin) && events.covers(begin.place()));
    assert_eq!((events.first, events.last), (1, events.kept()));
    assert_eq!((begin.number, world.state.sunk()), (0, Some(0)));
    world.settle();
    assert!([2, 3].contains(&duty(&world, "audit").holder.unwrap().0));
    let based_on = 1;
    let (kind, pinned) = (Kind::Sink, false);
    world.op(Op::Remove { kind, name: name("audit"), based_on, pinned }).unwrap();
    world.work(json!({ "name": "b" }));
    assert!(!world.state.events.on && world.state.duties.is_empty());
    assert_eq!(world.state.sunk(), None);
}

#[test]
fn a_sink_that_is_changed_or_set_back_is_given_anew_and_the_old_fence_is_refused() {
    let mut world = world();
    put(&mut world, json!({ "name": "audit", "type": "file" }));
    let begin = duty(&world, "audit").position;
    world.work(json!({ "name": "a" }));
    world.settle();
    let last = world.state.events.last;
    let at = Position { index: begin.index + 2, sub: 0, number: last };
    let old = moved(&world, "audit", at);
    world.op(old.clone()).unwrap();
    put(&mut world, json!({ "name": "audit", "type": "file", "select": { "types": ["run"] } }));
    assert_eq!(world.op(old.clone()), Err(Rejection::Fenced));
    world.settle();
    assert_eq!(world.op(old), Err(Rejection::Fenced), "another fence has it");
    assert_eq!(duty(&world, "audit").position, at, "it goes on from where it was");
    let back = |to| Op::RewindSink { name: name("audit"), to };
    let ahead = Position { index: at.index + 9, sub: 0, number: last + 9 };
    assert!(matches!(world.op(back(ahead)), Err(Rejection::Invalid(_))));
    let gone = Position { index: 0, sub: 0, number: 0 };
    assert_eq!(world.op(back(gone)), Err(Rejection::Stale));
    let old = moved(&world, "audit", at);
    world.op(back(begin)).unwrap();
    assert_eq!((duty(&world, "audit").position, duty(&world, "audit").holder), (begin, None));
    assert_eq!(world.op(old), Err(Rejection::Fenced), "who was ahead is not listened to");
    world.op(Op::PauseSink { name: name("audit"), paused: true }).unwrap();
    assert!(duty(&world, "audit").paused);
    world.op(Op::PauseSink { name: name("audit"), paused: false }).unwrap();
    assert!(!duty(&world, "audit").paused);
    let none = world.op(Op::PauseSink { name: name("none"), paused: true });
    assert!(matches!(none, Err(Rejection::NotFound { .. })));
}

#[test]
fn a_stream_goes_to_a_node_that_knows_where_it_is() {
    let mut world = world();
    put(
        &mut world,
        json!({ "name": "own", "type": "redis",
        "config": { "url": "redis://redis.example.org" } }),
    );
    world.settle();
    assert!(duty(&world, "own").holder.is_some(), "any node can");
    let boot = world.state.nodes[&2].boot;
    let offers = Offers { redis: true, ..Offers::default() };
    world.op(Op::NodeOffers { node: 2, boot, offers }).unwrap();
    let made = world.state.sink("redis").expect("the first that has one makes the sink of it");
    assert!(made.needs_redis_url());
    world.settle();
    assert_eq!(duty(&world, "redis").holder.unwrap().0, 2);
    // Removed, it stays away until a node has an address that had none.
    let (kind, based_on, pinned) = (Kind::Sink, 1, false);
    world.op(Op::Remove { kind, name: name("redis"), based_on, pinned }).unwrap();
    let boot = world.node(2, 4).boot;
    assert!(world.op(Op::NodeOffers { node: 2, boot, offers }).is_err(), "it said so before");
    assert!(world.state.sink("redis").is_none());
    let boot = world.state.nodes[&3].boot;
    world.op(Op::NodeOffers { node: 3, boot, offers }).unwrap();
    assert!(matches!(
        world.state.definitions.get(Kind::Sink, "redis").map(|sink| &sink.spec),
        Some(Spec::Sink(_))
    ));
}

#[test]
fn tables_are_written_by_any_node_and_what_nobody_can_do_is_told() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    world.node(1, 4);
    world.state.format = 6;
    let tables = json!({ "name": "rows", "type": "postgres",
        "config": { "url": "postgres://cron@db.example.org/reports?sslmode=disable" } });
    put(&mut world, tables);
    put(&mut world, json!({ "name": "lines", "type": "file" }));
    put(&mut world, json!({ "name": "events", "type": "redis" }));
    world.settle();
    let told = |world: &World, sink: &str| {
        world.state.in_the_way(&DutyKey::sink(name(sink))).unwrap_or_default()
    };
    for (sink, why) in [
        ("rows", "a folder for files, until the cluster has format 7"),
        ("lines", "a folder for files: --sink-dir or CRONAPI_SINK_DIR"),
        ("events", "REDIS_URL, and the definition names no config.url"),
    ] {
        assert!(duty(&world, sink).holder.is_none(), "{sink}");
        assert_eq!(told(&world, sink), format!("no node can: none was started with {why}"));
    }
    world.op(Op::RaiseFormat { to: 7 }).unwrap();
    world.settle();
    assert!(duty(&world, "rows").holder.is_some(), "builds of format 7 decide so");
    assert_eq!(told(&world, "rows"), "");
    let boot = world.state.nodes[&1].boot;
    let offers = Offers { sink_files: true, redis: true, ..Offers::default() };
    world.op(Op::NodeOffers { node: 1, boot, offers }).unwrap();
    world.settle();
    for sink in ["lines", "events"] {
        assert!(duty(&world, sink).holder.is_some() && told(&world, sink).is_empty(), "{sink}");
    }
}

#[test]
fn collections_are_written_by_any_node_once_all_know_the_type() {
    let mut world = World::newest();
    world.around.own = Some(1);
    let documents = json!({ "name": "rows", "type": "mongodb",
        "config": { "url": "mongodb://cron@db.example.org/reports" } });
    put(&mut world, documents);
    let key = DutyKey::sink(name("rows"));
    assert_eq!(world.state.in_the_way(&key), None);
    world.node(2, 4);
    world.settle();
    assert!(duty(&world, "rows").holder.is_some(), "it offers nothing, and needs nothing");
    assert_eq!(world.state.in_the_way(&key), None);
}
