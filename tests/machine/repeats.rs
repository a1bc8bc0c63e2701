//! Repeats of workflows whose definition has changed meanwhile.

use cronapi::machine::history::{FlowRow, flow_key, unpack};
use cronapi::model::RunStatus::{Failed, Succeeded};
use serde_json::json;

use crate::flows::{again, flow, started, task, whole};
use crate::world::World;

#[test]
fn a_task_that_has_no_items_any_more_is_run_as_one() {
    let mut world = World::newest();
    flow(&mut world, &[task("many", json!({"over": {"count": 7}})), task("other", json!({}))]);
    world.script("w/many/3", &[(Failed, 1)]);
    let first = whole(&mut world).id;
    assert_eq!(world.status(first), Failed);
    let row: FlowRow = unpack(&world.rows[&flow_key(first)]).unwrap();
    let items = (**row.tasks[0].state.items.as_ref().unwrap()).clone();
    flow(&mut world, &[task("many", json!({})), task("other", json!({}))]);
    let second = again(&mut world, first, &["other"], Some(("many", items)));
    world.run_for(30);
    assert_eq!((world.status(second), started(&world, "many")), (Succeeded, 8));
    let row: FlowRow = unpack(&world.rows[&flow_key(second)]).unwrap();
    assert_eq!(row.tasks[0].state.items, None, "it has none");
}

#[test]
fn items_that_were_taken_over_count_as_started_in_the_run_after_that() {
    let mut world = World::newest();
    flow(&mut world, &[task("many", json!({"over": {"count": 7}})), task("other", json!({}))]);
    world.script("w/many/3", &[(Failed, 1)]);
    let first = whole(&mut world).id;
    let row: FlowRow = unpack(&world.rows[&flow_key(first)]).unwrap();
    let mut items = (**row.tasks[0].state.items.as_ref().unwrap()).clone();
    (items.list, items.todo, items.started) = (None, None, 0);
    world.script("w/many/3", &[(Succeeded, 1)]);
    let second = again(&mut world, first, &["other"], Some(("many", items)));
    world.run_for(30);
    assert_eq!((world.status(second), started(&world, "many")), (Succeeded, 8));
    let row: FlowRow = unpack(&world.rows[&flow_key(second)]).unwrap();
    let items = row.tasks[0].state.items.as_ref().unwrap();
    assert_eq!((items.started, items.succeeded, items.todo.as_ref()), (7, 7, None));
    // The invariants look at a third run, which takes all of them over.
    let third = again(&mut world, second, &["many"], None);
    world.run_for(30);
    assert_eq!((world.status(third), started(&world, "many")), (Succeeded, 8));
}
