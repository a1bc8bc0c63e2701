//! A deleted job's past is remembered until retention forgets it, within a bound.

use cronapi::machine::Op;
use cronapi::machine::command::TrimKey;
use cronapi::machine::history::{run_key, version_key};
use cronapi::machine::state::FORMAT_OF_PAST;
use cronapi::model::limits::DELETED_JOBS_MAX;
use serde_json::json;

use super::world::{World, name, secs};

#[test]
fn a_deleted_job_is_remembered_with_what_its_last_runs_still_do() {
    let mut world = World::newest();
    world.executor = false;
    let no = world.work(json!({"name": "a", "tags": ["t"]}));
    let run = world.trigger("a");
    world.settle();
    world.delete("a");
    let grave = world.state.graves.by_no[&no].clone();
    assert_eq!((grave.name.as_str(), &grave.tags[..]), ("a", &["t".to_owned()][..]));
    assert_eq!((grave.live.open, grave.by.as_str()), (1, "ann"));
    assert!(world.state.deleted.is_empty() && world.state.tags(no) == ["t"]);
    let (place, fence) = {
        let open = &world.state.runs[&run];
        (open.run.node.unwrap(), open.held().unwrap().0)
    };
    assert_eq!(place, 1);
    let end = Op::NodeLost { node: 1, boot: world.state.nodes[&1].boot };
    world.op(end).unwrap();
    assert!(fence > 0);
    let grave = &world.state.graves.by_no[&no];
    assert_eq!((grave.live.open, grave.live.kept), (0, 1));
    assert_eq!(grave.live.last_run.map(|last| last.id), Some(run));
    // Retention takes the run, then the job, then what is left.
    let trim = TrimKey::Run { id: run, outputs: Vec::new(), ledger: None };
    world.op(Op::Trim { keys: vec![trim] }).unwrap();
    assert_eq!(world.state.graves.by_no[&no].live.kept, 0);
    assert!(!world.rows.contains_key(&run_key(run)));
    world.op(Op::Trim { keys: vec![TrimKey::Forget { no }] }).unwrap();
    assert!(world.state.graves.is_empty() && world.state.deleted.contains(&no));
    assert!(world.rows.contains_key(&version_key(no, 1)));
    world.op(Op::Trim { keys: vec![TrimKey::Gone { no }] }).unwrap();
    assert!(world.state.deleted.is_empty());
}

#[test]
fn of_one_name_the_one_that_was_deleted_last_comes_first() {
    let mut world = World::newest();
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(world.put(json!({"name": "a"})));
        world.delete("a");
        world.now = world.now.plus(secs(1));
    }
    let found: Vec<_> = world.state.graves.named(&name("a")).map(|grave| grave.no).collect();
    all.reverse();
    assert_eq!(found, all);
    assert_eq!(world.state.graves.named(&name("b")).count(), 0);
}

#[test]
fn only_so_many_are_remembered_and_the_oldest_goes() {
    let mut world = World::newest();
    let first = world.put(json!({"name": "a"}));
    world.delete("a");
    // As if thousands had been deleted before.
    let grave = world.state.graves.by_no[&first].clone();
    for no in 1_000..1_000 + DELETED_JOBS_MAX as u32 - 1 {
        let mut other = (*grave).clone();
        (other.no, other.deleted_at) = (no, grave.deleted_at.plus(secs(1)));
        world.state.graves.by_age.insert((other.deleted_at, no));
        world.state.graves.by_name.insert((other.name.clone(), no));
        world.state.graves.by_no.insert(no, other.into());
    }
    world.now = world.now.plus(secs(2));
    world.put(json!({"name": "b"}));
    world.delete("b");
    assert_eq!(world.state.graves.by_no.len(), DELETED_JOBS_MAX);
    assert!(world.state.deleted.contains(&first), "its history goes");
}

#[test]
fn a_cluster_with_older_nodes_forgets_at_once_as_they_do() {
    let mut world = World::newest();
    world.state.format = FORMAT_OF_PAST - 1;
    let no = world.put(json!({"name": "a"}));
    world.delete("a");
    assert!(world.state.graves.is_empty() && world.state.deleted.contains(&no));
}
