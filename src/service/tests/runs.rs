use std::time::Duration;

use serde_json::{Map, json};

use super::world::{World, admin, dry, elsewhere, expecting, keyed, map, pointers};
use crate::model::{RunStatus, Span};
use crate::service::{Error, WriteOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_started_with_its_parameters() {
    let world = World::new().await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let parameters = json!({"n": 1, "m": 2});
    world
        .put(json!({"name": "a", "code": "pass", "placement": elsewhere(), "overlap": "allow",
            "parameters": parameters, "parameters_schema": schema}))
        .await;
    let (service, o) = (&world.service, WriteOptions::default());
    let run = service.trigger(&admin(), "a", map(json!({"n": 5})), false, o).await.unwrap();
    assert!(run.created && run.value.requested_by.as_deref() == Some("admin"));
    assert_eq!(run.value.parameters.to_value(), json!({"n": 5, "m": 2}));
    let bad = service.trigger(&admin(), "a", map(json!({"n": "x"})), false, o).await;
    assert_eq!(pointers(bad), ["/parameters/n"]);
    let large = map(json!({"n": 1, "x": "y".repeat(40_000)}));
    assert_eq!(pointers(service.trigger(&admin(), "a", large, false, o).await), ["/parameters"]);
    let none = service.trigger(&admin(), "z", Map::new(), false, o).await;
    assert!(matches!(none, Err(Error::NotFound { .. })));
    let other = service.trigger(&admin(), "a", Map::new(), false, expecting(2)).await;
    assert_eq!(other.unwrap_err(), Error::Precondition { expected: 2, actual: 1 });
    let before = service.index();
    let judged = service.trigger(&admin(), "a", Map::new(), false, dry()).await.unwrap();
    assert_eq!(judged.value.status, RunStatus::Queued);
    assert_eq!(service.index(), before);
    assert!(matches!(service.run(&admin(), judged.value.id).await, Err(Error::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn overlap_is_a_conflict_unless_forced() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass"})).await;
    let (service, o) = (&world.service, WriteOptions::default());
    let first = world.trigger("a").await;
    let second = service.trigger(&admin(), "a", Map::new(), false, o).await;
    let Err(Error::Conflict { code: "overlap", detail }) = second else { panic!("{second:?}") };
    assert!(detail.contains(&first.id.to_string()), "{detail}");
    assert!(service.trigger(&admin(), "a", Map::new(), true, o).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_trigger_starts_one_run() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass"})).await;
    let service = &world.service;
    let first = service.trigger(&admin(), "a", Map::new(), false, keyed(1, 1)).await.unwrap();
    let again = service.trigger(&admin(), "a", Map::new(), false, keyed(1, 1)).await.unwrap();
    assert_eq!(first.value.id, again.value.id);
    assert!(again.meta.replayed && !first.meta.replayed);
    let reused = service.trigger(&admin(), "a", Map::new(), false, keyed(1, 2)).await;
    assert_eq!(reused.unwrap_err(), Error::KeyReused);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_the_run_or_the_patience() {
    let world = World::new().await;
    world
        .put(json!({"name": "a", "code": "pass", "placement": elsewhere(), "overlap": "allow"}))
        .await;
    let id = world.trigger("a").await.id;
    let service = &world.service;
    let open = service.wait_for(&admin(), id, Span::from_millis(30)).await.unwrap();
    assert_eq!(open.status, RunStatus::Queued);
    let waiter = {
        let service = service.clone();
        tokio::spawn(async move { service.wait_for(&admin(), id, Span::from_secs(60)).await })
    };
    world.start(id, &["x"]).await;
    world.trigger("a").await;
    world.end(id, RunStatus::Succeeded).await;
    let ended = tokio::time::timeout(Duration::from_secs(20), waiter).await.unwrap().unwrap();
    let ended = ended.unwrap();
    assert_eq!((ended.status, ended.result), (RunStatus::Succeeded, Some(json!({"n": 1}))));
    let closed = service.wait_for(&admin(), id, Span::ZERO).await.unwrap();
    assert!(closed.status.is_terminal());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_once() {
    let world = World::new().await;
    world
        .put(json!({"name": "a", "code": "pass", "placement": elsewhere(), "overlap": "allow"}))
        .await;
    let (service, o) = (&world.service, WriteOptions::default());
    let queued = world.trigger("a").await.id;
    assert_eq!(service.cancel(&admin(), queued, dry()).await.unwrap().value.id, queued);
    let run = service.cancel(&admin(), queued, keyed(1, 1)).await.unwrap().value;
    assert_eq!((run.status, run.cancelled_by.as_deref()), (RunStatus::Cancelled, Some("admin")));
    assert!(service.cancel(&admin(), queued, keyed(1, 1)).await.unwrap().meta.replayed);
    let ended = service.cancel(&admin(), queued, o).await;
    assert!(matches!(ended, Err(Error::Conflict { code: "run-ended", .. })), "{ended:?}");

    let held = world.trigger("a").await.id;
    world.start(held, &[]).await;
    let asked = service.cancel(&admin(), held, o).await.unwrap().value;
    assert_eq!(asked.status, RunStatus::Running, "its node has to stop it");
    world.end(held, RunStatus::Cancelled).await;
    assert_eq!(service.run(&admin(), held).await.unwrap().status, RunStatus::Cancelled);
    let unknown = crate::model::RunId(uuid::Uuid::nil());
    let none = service.cancel(&admin(), unknown, o).await;
    assert!(matches!(none, Err(Error::NotFound { what, .. }) if what == "run"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_run_is_repeated_with_its_parameters() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass", "parameters": {"n": 1}})).await;
    let (service, o) = (&world.service, WriteOptions::default());
    let first = service.trigger(&admin(), "a", map(json!({"n": 2})), false, o).await.unwrap();
    let id = first.value.id;
    let open = service.retry(&admin(), id, None, o).await;
    assert!(matches!(open, Err(Error::Conflict { code: "run-open", .. })), "{open:?}");
    world.start(id, &[]).await;
    world.end(id, RunStatus::Failed).await;
    world.put(json!({"name": "a", "code": "pass", "parameters": {"n": 1, "new": 1}})).await;
    let again = service.retry(&admin(), id, None, keyed(3, 3)).await.unwrap();
    assert_eq!(again.value.cause, Some(id));
    assert_eq!(again.value.parameters.to_value(), json!({"n": 2}));
    let replayed = service.retry(&admin(), id, None, keyed(3, 3)).await.unwrap();
    assert_eq!((replayed.value.id, replayed.meta.replayed), (again.value.id, true));
    world.service.delete_job(&admin(), "a", o).await.unwrap();
    let gone = service.retry(&admin(), id, None, o).await;
    assert!(matches!(gone, Err(Error::NotFound { what, .. }) if what == "job"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_runner_ends_at_once() {
    let world = World::new().await;
    world.put(json!({"name": "gate"})).await;
    assert_eq!(world.trigger("gate").await.status, RunStatus::Succeeded);
    let o = dry();
    let judged = world.service.trigger(&admin(), "gate", Map::new(), false, o).await.unwrap();
    assert_eq!(judged.value.status, RunStatus::Succeeded);
}
