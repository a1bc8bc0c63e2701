use std::time::Duration;

use serde_json::json;

use super::world::{World, admin, keyed, map};
use crate::consensus::SubmitError;
use crate::machine::Rejection;
use crate::model::RunStatus;
use crate::service::{Error, PutMode, WriteOptions};

/// A node whose answers come too late: something else always keeps its one thread busy for
/// longer than it waits.
async fn deaf() -> World {
    let world = World::bare(Duration::ZERO).await;
    tokio::spawn(async {
        loop {
            std::thread::sleep(Duration::from_millis(3));
            tokio::task::yield_now().await;
        }
    });
    world
}

#[tokio::test(flavor = "current_thread")]
async fn without_an_answer_a_write_may_have_been_carried_out() {
    let world = deaf().await;
    let o = WriteOptions::default();
    let put = world.service.put_job(&admin(), map(json!({"name": "a"})), PutMode::Create, o).await;
    let Err(Error::Unavailable { maybe_applied: true, detail, .. }) = put else {
        panic!("{put:?}")
    };
    assert!(detail.contains("Idempotency-Key"), "{detail}");
}

#[tokio::test(flavor = "current_thread")]
async fn with_a_key_a_write_without_an_answer_is_sent_again_and_done_once() {
    let world = deaf().await;
    let o = keyed(1, 1);
    let put = world.service.put_job(&admin(), map(json!({"name": "a"})), PutMode::Create, o).await;
    let put = put.unwrap();
    assert!(put.created && put.meta.replayed);
    assert_eq!(put.value.live.version, 1);
    let run = world.service.trigger(&admin(), "a", Default::default(), false, keyed(2, 2)).await;
    let run = run.unwrap();
    assert_eq!(run.value.status, RunStatus::Succeeded);
    assert_eq!(world.service.consensus().state().counters.run, 1);
}

#[test]
fn every_refusal_has_its_error() {
    let text = |text: &str| text.to_string();
    let (what, name) = (text("job"), text("a"));
    let cycle = Rejection::Cycle { field: text("on_success/0"), path: vec![text("a"), text("b")] };
    let Error::Invalid(faults) = cycle.into() else { panic!("not a fault") };
    assert_eq!(faults[0].pointer, "/on_success/0");
    assert!(faults[0].detail.contains("a -> b"), "{}", faults[0].detail);
    let same: [(Rejection, Error); 4] = [
        (
            Rejection::NotFound { what: what.clone(), name: name.clone() },
            Error::NotFound { what: what.clone(), name: name.clone() },
        ),
        (
            Rejection::Exists { what: what.clone(), name: name.clone() },
            Error::Exists { what, name },
        ),
        (
            Rejection::VersionConflict { expected: 1, actual: 2 },
            Error::Precondition { expected: 1, actual: 2 },
        ),
        (Rejection::KeyReused, Error::KeyReused),
    ];
    for (rejection, error) in same {
        assert_eq!(Error::from(rejection), error);
    }
    let ended = Error::from(Rejection::Ended { status: RunStatus::Failed });
    assert!(matches!(ended, Error::Conflict { code: "run-ended", .. }));
}

#[test]
fn only_an_unknown_end_may_have_been_carried_out() {
    for (error, maybe) in [
        (SubmitError::NoLeader { leader: None }, false),
        (SubmitError::TermMoved { expected: 1, current: 2 }, false),
        (SubmitError::Unknown, true),
        (SubmitError::Overloaded, false),
        (SubmitError::Stopping, false),
    ] {
        let Error::Unavailable { maybe_applied, .. } = Error::from(error.clone()) else {
            panic!("{error:?}")
        };
        assert_eq!(maybe_applied, maybe, "{error:?}");
    }
}
