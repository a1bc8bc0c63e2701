use std::time::Duration;

use serde_json::json;

use super::world::{World, admin, keyed, map};
use crate::consensus::SubmitError;
use crate::machine::Rejection;
use crate::model::RunStatus;
use crate::service::{Error, JobView, PutMode, WriteOptions, Written};

/// Runs `test` with a node whose answers come too late for who waits so long: something else
/// always keeps its one thread busy, and an answer takes several rounds of that.
fn with_a_deaf_node(patience: Duration, test: impl AsyncFnOnce(World)) {
    // Timers are looked at between any two steps of tasks.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().event_interval(1).build().unwrap().block_on(async {
        let world = World::bare(patience).await;
        tokio::spawn(async {
            loop {
                std::thread::sleep(Duration::from_millis(3));
                tokio::task::yield_now().await;
            }
        });
        test(world).await;
    });
}

async fn create(world: &World, o: WriteOptions) -> Result<Written<JobView>, Error> {
    world.service.put_job(&admin(), map(json!({"name": "a"})), PutMode::Create, o).await
}

#[test]
fn without_an_answer_a_write_may_have_been_carried_out() {
    with_a_deaf_node(Duration::ZERO, async |world| {
        let put = create(&world, WriteOptions::default()).await;
        let Err(Error::Unavailable { maybe_applied: true, detail, .. }) = put else {
            panic!("{put:?}")
        };
        assert!(detail.contains("Idempotency-Key"), "{detail}");
    });
}

#[test]
fn with_a_key_a_write_without_an_answer_is_sent_again_and_done_once() {
    // Long enough for the write to be taken: what its caller gave up before is not carried out.
    with_a_deaf_node(Duration::from_millis(5), async |world| {
        let put = create(&world, keyed(1, 1)).await.unwrap();
        assert!(put.created && put.meta.replayed);
        assert_eq!(put.value.live.version, 1);
        let (service, o) = (&world.service, keyed(2, 2));
        let run = service.trigger(&admin(), "a", Default::default(), false, o).await.unwrap();
        assert_eq!(run.value.status, RunStatus::Succeeded);
        assert_eq!(service.consensus().state().counters.run, 1);
    });
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
        (SubmitError::NoRoom, false),
        (SubmitError::Stopping, false),
    ] {
        let Error::Unavailable { maybe_applied, .. } = Error::from(error.clone()) else {
            panic!("{error:?}")
        };
        assert_eq!(maybe_applied, maybe, "{error:?}");
    }
}
