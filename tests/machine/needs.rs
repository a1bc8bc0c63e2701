//! What a member of an older version could not read is refused by the leader, before it is written.

use cronapi::machine::needs::need;
use cronapi::machine::prepare::Intent;
use cronapi::machine::state::FORMAT;
use cronapi::machine::{Op, Rejection};
use serde_json::json;

use crate::world::{World, name, spec};

#[test]
fn what_a_member_may_not_read_is_refused_until_all_have_been_upgraded() {
    let mut world = World::new();
    let delete = || Intent::Plain(Box::new(Op::DeleteSecret { name: name("db"), expected: None }));
    let refused = world.submit(delete());
    let what = "a secret".to_owned();
    assert_eq!(refused, Err(Rejection::UpgradeNeeded { what, needs: 2, has: 1 }));
    world.op(Op::RaiseFormat { to: FORMAT }).unwrap();
    let judged = world.submit(delete());
    assert!(matches!(judged, Err(Rejection::NotFound { .. })), "{judged:?}");
}

#[test]
fn a_field_of_a_runner_says_since_when_it_is_read() {
    let shell = |more: serde_json::Value| {
        let mut runner = json!({"type": "shell", "command": "a | b"});
        runner.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec(json!({"name": "a", "runner": runner})).need()
    };
    assert_eq!(shell(json!({})), None);
    let need = shell(json!({"pipefail": false})).unwrap();
    assert_eq!((need.what.as_str(), need.format), ("runner/pipefail", 5));
}

#[test]
fn what_there_always_was_needs_nothing() {
    assert_eq!(
        spec(json!({"name": "a", "expr": "@daily", "retry": {"max_attempts": 2}})).need(),
        None
    );
    assert_eq!(need(&Op::RaiseFormat { to: FORMAT }), None, "it is how a cluster gets there");
}
