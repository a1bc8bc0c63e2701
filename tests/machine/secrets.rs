//! Secrets in the machine: versions, keys that take each other's place, the audit.

use cronapi::machine::command::Op;
use cronapi::machine::prepare::Intent;
use cronapi::machine::reply::Rejection;
use cronapi::machine::state::FORMAT;
use cronapi::model::{DataKey, Scope, Sealed, Timestamp};
use uuid::Uuid;

use crate::world::{World, name};

fn key(n: u128) -> DataKey {
    let (id, under) = (Uuid::from_u128(n), "00".to_string());
    DataKey { id, under, sealed: sealed(n), created_at: Timestamp::ZERO }
}

fn sealed(n: u128) -> Sealed {
    Sealed { key: Uuid::from_u128(n), nonce: [1; 24], bytes: vec![1, 2, 3] }
}

fn put(secret: &str, key: u128) -> Op {
    Op::PutSecret {
        name: name(secret),
        jobs: Scope::default(),
        sealed: sealed(key),
        expected: None,
    }
}

fn does(world: &mut World, op: Op) -> Result<(), Rejection> {
    world.submit(Intent::Plain(Box::new(op))).map(drop)
}

#[test]
fn a_secret_has_versions_and_goes() {
    let mut world = World::new();
    world.op(Op::RaiseFormat { to: FORMAT }).unwrap();
    does(&mut world, Op::PutSecretKey { key: key(1), after: None }).unwrap();
    does(&mut world, put("db", 1)).unwrap();
    does(&mut world, put("db", 1)).unwrap();
    let secret = world.state.secrets.items[&name("db")].clone();
    assert_eq!((secret.version, secret.updated_by.as_str()), (2, "ann"));
    does(&mut world, Op::DeleteSecret { name: name("db"), expected: None }).unwrap();
    let again = does(&mut world, Op::DeleteSecret { name: name("db"), expected: None });
    assert!(matches!(again, Err(Rejection::NotFound { .. })));
    assert_eq!(world.state.counters.audit, 4, "the key, two values, the end");
}

#[test]
fn a_key_takes_the_place_of_the_newest_only_and_goes_when_nothing_needs_it() {
    let mut world = World::new();
    world.op(Op::RaiseFormat { to: FORMAT }).unwrap();
    let op = |n, after: Option<u128>| Op::PutSecretKey {
        key: key(n),
        after: after.map(Uuid::from_u128),
    };
    does(&mut world, op(1, None)).unwrap();
    assert_eq!(world.op(op(2, None)), Err(Rejection::Stale), "two nodes at once");
    does(&mut world, put("db", 1)).unwrap();
    does(&mut world, op(2, Some(1))).unwrap();
    let drop_one = Op::DropSecretKey { id: Uuid::from_u128(1) };
    assert_eq!(world.op(drop_one.clone()), Err(Rejection::Stale), "a secret needs it");
    let reseal =
        |version| Op::ResealSecret { name: name("db"), version, sealed: sealed(2), replaced: None };
    assert_eq!(world.op(reseal(7)), Err(Rejection::Stale), "it was given anew meanwhile");
    does(&mut world, reseal(1)).unwrap();
    assert_eq!(world.state.secrets.items[&name("db")].version, 1, "the value is the same");
    does(&mut world, drop_one).unwrap();
    let newest = Op::DropSecretKey { id: Uuid::from_u128(2) };
    assert_eq!(world.op(newest), Err(Rejection::Stale), "the newest stays");
    assert_eq!(world.op(put("db", 1)), Err(Rejection::Stale), "sealed with a key that is gone");
}

#[test]
fn a_value_that_was_given_anew_is_not_sealed_over() {
    let mut world = World::new();
    world.op(Op::RaiseFormat { to: FORMAT }).unwrap();
    does(&mut world, Op::PutSecretKey { key: key(1), after: None }).unwrap();
    does(&mut world, put("db", 1)).unwrap();
    does(&mut world, Op::DeleteSecret { name: name("db"), expected: None }).unwrap();
    does(&mut world, put("db", 1)).unwrap();
    let reseal = |nonce| Op::ResealSecret {
        name: name("db"),
        version: 1,
        sealed: sealed(1),
        replaced: Some(nonce),
    };
    assert_eq!(world.op(reseal([9; 24])), Err(Rejection::Stale), "sealed from what is gone");
    does(&mut world, reseal(sealed(1).nonce)).unwrap();
}
