//! Triggers: each entry of a stream starts one run, whoever reads it, and however often.

use cronapi::machine::Op;
use cronapi::machine::command::{PutDefinition, Restored, SigningKey, TriggerEdit};
use cronapi::machine::prepare::{Given, Intent, PutMode};
use cronapi::machine::reply::{Answer, Rejection, Reply};
use cronapi::machine::state::{Duty, FORMAT, Offers};
use cronapi::model::{DutyKey, EntryId, Fence, Kind};
use serde_json::{Value, json};

use super::world::{World, name, parameters};

fn put(world: &mut World, body: Value) {
    let Value::Object(map) = body else { unreachable!() };
    let spec = Kind::Trigger.read(map).unwrap();
    let before = world.state.definitions.get(Kind::Trigger, spec.name().as_str());
    let based_on = before.map(|before| before.version);
    world.op(Op::Put(Box::new(PutDefinition { spec, based_on, pinned: false }))).unwrap();
}

fn orders() -> Value {
    json!({ "name": "orders", "type": "redis_stream", "config": { "stream": "s" }, "job": "pack" })
}

fn duty(world: &World) -> Duty {
    (*world.state.duties.all[&DutyKey::trigger(name("orders"))]).clone()
}

fn at(world: &World) -> EntryId {
    duty(world).position.into()
}

/// A world with a node that knows a Redis, a job and a trigger that the node reads.
fn world(job: Value) -> World {
    let mut world = World::newest();
    world.around.own = Some(1);
    let boot = world.node(2, 4).boot;
    let offers = Offers { redis: true, ..Offers::default() };
    world.op(Op::NodeOffers { node: 2, boot, offers }).unwrap();
    world.put(job);
    put(&mut world, orders());
    world.settle();
    assert_eq!(duty(&world).holder.unwrap().0, 2);
    world
}

fn given(value: Value) -> Given {
    Given::Parameters(parameters(value))
}

fn take(world: &mut World, fence: Fence, entries: &[(u64, Given)]) -> Answer {
    let entries = entries.iter().map(|(id, given)| (EntryId(*id, 0), given.clone())).collect();
    world.submit(Intent::TakeEntries { trigger: name("orders"), fence, entries })
}

fn plain(ids: &[u64]) -> Vec<(u64, Given)> {
    ids.iter().map(|id| (*id, given(json!({ "n": id })))).collect()
}

#[test]
fn an_entry_starts_one_run_though_it_comes_again() {
    let mut world = world(json!({ "name": "pack", "parameters": { "from": "shop" } }));
    let fence = duty(&world).fence;
    assert_eq!(take(&mut world, fence, &plain(&[1, 2])), Ok(Reply::Done));
    assert_eq!(at(&world), EntryId(2, 0));
    // The answer was lost: the same again, with one more.
    assert_eq!(take(&mut world, fence, &plain(&[1, 2, 3])), Ok(Reply::Done));
    let mut runs = world.runs("pack");
    runs.sort_by_key(|run| run.parameters.to_json());
    let told: Vec<_> = runs.iter().map(|run| run.parameters.to_value()).collect();
    let wanted = |n| json!({ "from": "shop", "n": n });
    assert_eq!(told, [wanted(1), wanted(2), wanted(3)]);
    assert!(runs[2].requested_by.as_deref().is_some_and(|by| by.ends_with("/3-0")));
}

#[test]
fn who_was_taken_for_dead_starts_nothing() {
    let mut world = world(json!({ "name": "pack" }));
    let old = duty(&world).fence;
    put(
        &mut world,
        json!({ "name": "orders", "type": "redis_stream", "job": "pack",
        "config": { "stream": "other" } }),
    );
    assert_eq!(take(&mut world, old, &plain(&[1])), Err(Rejection::Fenced), "nobody has it");
    world.settle();
    assert_ne!(duty(&world).fence, old);
    assert_eq!(take(&mut world, old, &plain(&[1])), Err(Rejection::Fenced));
    assert!(world.runs("pack").is_empty());
    let fence = duty(&world).fence;
    let edit = |edit| Op::EditTrigger { name: name("orders"), edit };
    world.op(edit(TriggerEdit::Pause(true))).unwrap();
    assert_eq!(take(&mut world, fence, &plain(&[1])), Err(Rejection::Fenced), "it is paused");
    world.op(edit(TriggerEdit::Pause(false))).unwrap();
    assert_eq!(take(&mut world, fence, &plain(&[1])), Ok(Reply::Done));
}

#[test]
fn what_is_wrong_with_an_entry_is_told_and_the_next_one_is_taken() {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
    let mut world = world(json!({ "name": "pack", "parameters_schema": schema }));
    let fence = duty(&world).fence;
    let entries = [
        (1, given(json!({ "n": "one" }))),
        (2, Given::Unreadable("the field parameters is no JSON object".into())),
        (3, given(json!({ "n": 3 }))),
    ];
    assert_eq!(take(&mut world, fence, &entries), Ok(Reply::Done));
    let runs = world.runs("pack");
    assert_eq!((runs.len(), at(&world)), (1, EntryId(3, 0)));
    let refused = duty(&world).refused.unwrap();
    assert_eq!((refused.count, refused.last), (2, EntryId(2, 0)));
    assert!(refused.why.contains("no JSON object"));
}

#[test]
fn what_is_wrong_with_the_cluster_is_waited_for() {
    let mut world = world(json!({ "name": "pack", "max_concurrent": 1, "overlap": "skip",
        "runner": { "type": "shell", "command": "true" } }));
    let fence = duty(&world).fence;
    // The first fills what the job may have open; the others wait in the stream.
    assert_eq!(take(&mut world, fence, &plain(&[1, 2, 3])), Ok(Reply::Done));
    assert_eq!((world.runs("pack").len(), at(&world)), (1, EntryId(1, 0)));
    let full = take(&mut world, fence, &plain(&[2, 3]));
    assert!(matches!(full, Err(Rejection::Overlap { .. })), "{full:?}");
    assert_eq!(at(&world), EntryId(1, 0), "nothing is passed over");
    world.run_for(60);
    assert_eq!(take(&mut world, fence, &plain(&[2])), Ok(Reply::Done));
    world.delete("pack");
    let gone = take(&mut world, fence, &plain(&[3]));
    assert!(matches!(gone, Err(Rejection::NotFound { .. })), "{gone:?}");
    assert_eq!(at(&world), EntryId(2, 0));
}

#[test]
fn it_goes_on_from_where_it_was_and_from_elsewhere_when_it_is_told_so() {
    let mut world = world(json!({ "name": "pack" }));
    let fence = duty(&world).fence;
    take(&mut world, fence, &plain(&[1, 2])).unwrap();
    put(
        &mut world,
        json!({ "name": "orders", "type": "redis_stream", "job": "pack",
        "config": { "stream": "s", "url": { "secret": "redis-url" } } }),
    );
    assert_eq!(at(&world), EntryId(2, 0));
    let rewind = |to| Op::EditTrigger { name: name("orders"), edit: TriggerEdit::Rewind(to) };
    world.settle();
    let fence = duty(&world).fence;
    world.op(rewind(EntryId(1, 0))).unwrap();
    assert_eq!(take(&mut world, fence, &plain(&[3])), Err(Rejection::Fenced), "it has others");
    world.settle();
    let fence = duty(&world).fence;
    take(&mut world, fence, &plain(&[2, 3])).unwrap();
    assert_eq!((world.runs("pack").len(), at(&world)), (4, EntryId(3, 0)));
    let (kind, based_on, pinned) = (Kind::Trigger, 2, false);
    world.op(Op::Remove { kind, name: name("orders"), based_on, pinned }).unwrap();
    assert!(take(&mut world, fence, &plain(&[4])).is_err());
    assert!(!world.state.duties.all.contains_key(&DutyKey::trigger(name("orders"))));
}

#[test]
fn after_a_restore_somebody_says_where_it_goes_on() {
    let mut world = world(json!({ "name": "pack" }));
    let fence = duty(&world).fence;
    take(&mut world, fence, &plain(&[1])).unwrap();
    let restored = Restored {
        cluster: "before".into(),
        index: world.index,
        as_of: world.now,
        stopped: true,
        settled: Vec::new(),
        signing_key: SigningKey::new(uuid::Uuid::nil(), [1; 32]),
        format: FORMAT,
    };
    world.submit(Intent::Plain(Box::new(Op::Restored(Box::new(restored))))).unwrap();
    assert!(duty(&world).paused && duty(&world).holder.is_none());
    assert_eq!(at(&world), EntryId(1, 0));
}

#[test]
fn a_cluster_of_an_older_format_has_none_of_it() {
    let mut world = World::newest();
    world.state.format = 6;
    let Value::Object(map) = orders() else { unreachable!() };
    let spec = Kind::Trigger.read(map).unwrap();
    let put = Intent::Put { spec, mode: PutMode::Upsert, expected: None };
    assert!(matches!(world.submit(put), Err(Rejection::UpgradeNeeded { needs: 7, .. })));
}

#[test]
fn a_command_holds_as_many_as_fit_though_the_job_brings_much_along() {
    let own = json!({ "own": "x".repeat(30_000) });
    let mut world = world(json!({ "name": "pack", "parameters": own }));
    let fence = duty(&world).fence;
    let all: Vec<u64> = (1..=100).collect();
    let entries = plain(&all).into_iter().map(|(id, given)| (EntryId(id, 0), given)).collect();
    let intent = Intent::TakeEntries { trigger: name("orders"), fence, entries };
    let packed = rmp_serde::to_vec_named(&world.prepare(intent).op).unwrap();
    assert!(packed.len() < 200 * 1024, "{} bytes", packed.len());
    let mut commands = 0;
    while at(&world) < EntryId(100, 0) {
        let taken = usize::try_from(at(&world).0).unwrap();
        take(&mut world, fence, &plain(&all[taken..])).unwrap();
        commands += 1;
        assert!(usize::try_from(at(&world).0).unwrap() > taken, "each takes some");
    }
    assert_eq!((world.runs("pack").len(), commands), (100, 50));
}

#[test]
fn why_an_entry_is_refused_is_cut() {
    let mut world = world(json!({ "name": "pack" }));
    let fence = duty(&world).fence;
    let long = Given::Unreadable("x".repeat(60_000));
    take(&mut world, fence, &[(1, long)]).unwrap();
    assert!(duty(&world).refused.unwrap().why.len() <= 8_192);
}

#[test]
fn another_stream_is_read_from_its_oldest_entry() {
    let mut world = world(json!({ "name": "pack" }));
    let fence = duty(&world).fence;
    take(&mut world, fence, &plain(&[7])).unwrap();
    put(
        &mut world,
        json!({ "name": "orders", "type": "redis_stream", "job": "pack",
        "config": { "stream": "returns" } }),
    );
    assert_eq!(at(&world), EntryId(0, 0), "none of its entries was taken");
}
