//! Definitions of every kind but jobs: put, remove, versions, and queues as they were before.

use cronapi::machine::history::{DefinitionRow, definition_key, definitions_prefix, unpack};
use cronapi::machine::prepare::{Intent, PutMode};
use cronapi::machine::reply::{Rejection, Reply};
use cronapi::machine::{Op, invariants};
use cronapi::model::limits::DEFINITION_VERSIONS_MAX;
use cronapi::model::{Kind, Spec};
use serde_json::{Value, json};

use crate::world::{World, actor, name, object};

fn read(kind: Kind, value: Value) -> Spec {
    kind.read(object(value)).unwrap()
}

fn put(spec: &Spec, mode: PutMode, expected: Option<u64>) -> Intent {
    Intent::Put { spec: spec.clone(), mode, expected }
}

/// The example of a kind, and what its patch makes of it.
fn two(kind: Kind) -> (Spec, Spec) {
    let (mut map, patch) = (object(kind.example()), object(kind.patch()));
    let one = read(kind, kind.example());
    map.extend(patch);
    (one, read(kind, Value::Object(map)))
}

fn stood(version: u64, created: bool, changed: bool) -> Reply {
    Reply::Definition { version, created, changed }
}

fn versions(world: &World, no: u64) -> Vec<u64> {
    let prefix = definitions_prefix(no);
    let rows = world.rows.iter().filter(|(key, _)| key.starts_with(&prefix));
    rows.map(|(_, row)| unpack::<DefinitionRow>(row).unwrap().version).collect()
}

#[test]
fn every_kind_is_created_changed_and_removed() {
    for kind in Kind::plain() {
        let mut world = World::newest();
        let (one, other) = two(kind);
        let submit = |world: &mut World, intent| world.submit_as(intent, Some(actor("ann")), None);
        let create = put(&one, PutMode::Create, None);
        assert_eq!(submit(&mut world, create.clone()), Ok(stood(1, true, true)));
        assert!(matches!(submit(&mut world, create), Err(Rejection::Exists { .. })));
        let same = put(&one, PutMode::Upsert, None);
        assert_eq!(submit(&mut world, same), Ok(stood(1, false, false)));
        let stale = put(&other, PutMode::Upsert, Some(7));
        let conflict = Err(Rejection::VersionConflict { expected: 7, actual: 1 });
        assert_eq!(submit(&mut world, stale), conflict);
        let change = put(&other, PutMode::Update, Some(1));
        assert_eq!(submit(&mut world, change), Ok(stood(2, false, true)));
        assert_eq!(versions(&world, 1), [1, 2]);
        let first = &world.rows[&definition_key(1, 1)];
        let first: DefinitionRow = unpack(first).unwrap();
        assert_eq!((first.verb.as_str(), first.by.as_str(), &first.spec), ("create", "ann", &one));
        let remove = Intent::Remove { kind, name: one.name().clone(), expected: Some(2) };
        assert_eq!(submit(&mut world, remove.clone()), Ok(Reply::Done));
        assert!(matches!(submit(&mut world, remove), Err(Rejection::NotFound { .. })));
        assert_eq!(versions(&world, 1), [0; 0], "its versions go with it");
        assert!(world.state.definitions.is_empty());
        let update = put(&one, PutMode::Update, None);
        assert!(matches!(submit(&mut world, update), Err(Rejection::NotFound { .. })));
        assert_eq!(invariants::check(&world.state), Vec::<String>::new());
        submit(&mut world, put(&one, PutMode::Create, None)).unwrap();
        let made = &world.state.definitions.get(kind, one.name().as_str()).unwrap();
        assert_eq!((made.version, made.no), (1, 2), "it is another, with rows of its own");
        assert_eq!(versions(&world, 2), [1]);
    }
}

#[test]
fn a_command_that_was_prepared_on_another_version_changes_nothing() {
    for kind in Kind::plain() {
        let mut world = World::newest();
        let (one, other) = two(kind);
        let late = world.prepare(put(&one, PutMode::Upsert, None));
        world.submit(put(&one, PutMode::Create, None)).unwrap();
        assert_eq!(world.op(late.op), Err(Rejection::Stale));
        let plain = world.prepare(put(&other, PutMode::Upsert, None));
        let pinned = world.prepare(put(&other, PutMode::Upsert, Some(1)));
        let name = one.name().clone();
        let remove = world.prepare(Intent::Remove { kind, name, expected: Some(1) });
        world.submit(put(&other, PutMode::Update, None)).unwrap();
        let conflict = || Err(Rejection::VersionConflict { expected: 1, actual: 2 });
        assert_eq!(world.op(plain.op), Err(Rejection::Stale));
        assert_eq!(world.op(pinned.op), conflict());
        assert_eq!(world.op(remove.op), conflict());
        assert_eq!(versions(&world, 1), [1, 2]);
    }
}

#[test]
fn a_hundred_versions_are_kept() {
    let mut world = World::newest();
    for n in 1..=DEFINITION_VERSIONS_MAX + 5 {
        let queue = json!({"name": "q", "concurrency": n});
        let spec = read(Kind::Queue, queue);
        world.submit(put(&spec, PutMode::Upsert, None)).unwrap();
    }
    let kept: Vec<u64> = (6..=DEFINITION_VERSIONS_MAX + 5).collect();
    assert_eq!(versions(&world, 1), kept);
    let (kind, name) = (Kind::Queue, name("q"));
    world.submit(Intent::Remove { kind, name, expected: None }).unwrap();
    assert_eq!(versions(&world, 1), [0; 0]);
}

#[test]
fn there_are_not_more_of_a_kind_than_may_be() {
    let mut world = World::newest();
    let spec = |n: usize| read(Kind::Queue, json!({"name": format!("q{n}"), "concurrency": 1}));
    let create = |n| world.prepare(put(&spec(n), PutMode::Create, None));
    let commands: Vec<_> = (0..Kind::Queue.most()).map(create).collect();
    assert!(world.entry(&commands).iter().all(Result::is_ok));
    let one_more = world.submit(put(&spec(Kind::Queue.most()), PutMode::Create, None));
    assert!(matches!(one_more, Err(Rejection::Limit { .. })), "{one_more:?}");
    let there = put(&read(Kind::Queue, json!({"name": "q0"})), PutMode::Update, None);
    assert_eq!(world.submit(there), Ok(stood(2, false, true)));
}

#[test]
fn no_kind_is_written_before_every_member_knows_it() {
    for kind in Kind::plain() {
        let mut world = World::bare("2027-01-04T00:00:00Z");
        let spec = two(kind).0;
        let refused = world.submit(put(&spec, PutMode::Create, None));
        let Err(Rejection::UpgradeNeeded { what, needs, .. }) = refused else {
            panic!("{refused:?}")
        };
        // A field of the example may be newer than the kind.
        let need = spec.need();
        assert_eq!((what, needs), (need.what, need.format));
        assert!(needs >= kind.since());
    }
}

#[test]
fn queues_that_were_limited_before_become_definitions_and_old_commands_do_what_new_ones_do() {
    let mut world = World::bare("2027-01-04T00:00:00Z");
    let set = |name, concurrency| Op::SetQueue { name, concurrency };
    world.op(set(name("q"), Some(4))).unwrap();
    assert!(world.state.definitions.is_empty());
    world.op(Op::RaiseFormat { to: 5 }).unwrap();
    let known = |world: &World| {
        let defined = world.state.definitions.get(Kind::Queue, "q");
        defined.map(|defined| (defined.version, defined.spec.to_map()["concurrency"].clone()))
    };
    assert_eq!(known(&world), Some((1, json!(4))));
    world.op(set(name("q"), Some(5))).unwrap();
    assert_eq!(known(&world), Some((2, json!(5))));
    assert_eq!(world.state.queues[&name("q")].concurrency, Some(5));
    world.op(set(name("q"), None)).unwrap();
    assert_eq!(known(&world), None);
    assert!(world.state.queues.is_empty());
}

#[test]
fn what_a_queue_has_under_way_is_counted_whatever_becomes_of_its_definition() {
    let mut world = World::newest();
    world.executor = false;
    world.node(1, 4);
    world.work(json!({"name": "m", "queue": "q", "overlap": "allow"}));
    let queue = |most: Value| read(Kind::Queue, json!({"name": "q", "concurrency": most}));
    world.submit(put(&queue(json!(1)), PutMode::Create, None)).unwrap();
    world.triggers("m", 3);
    world.settle();
    let busy = |world: &World| world.state.queues[&name("q")].busy;
    assert_eq!(busy(&world), 1);
    world.submit(put(&queue(json!(2)), PutMode::Update, None)).unwrap();
    world.settle();
    assert_eq!(busy(&world), 2);
    let (kind, q) = (Kind::Queue, name("q"));
    world.submit(Intent::Remove { kind, name: q, expected: None }).unwrap();
    world.settle();
    assert_eq!(busy(&world), 3, "without a definition there is no bound");
    assert_eq!(invariants::check(&world.state), Vec::<String>::new());
}
