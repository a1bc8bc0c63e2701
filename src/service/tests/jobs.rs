use serde_json::json;

use super::world::{World, admin, caller, dry, elsewhere, expecting, keyed, map, pointers};
use crate::model::{Role, RunStatus};
use crate::service::{ApplyAction, Error, Paging, PutMode, SECRET, WriteOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_is_created_replaced_and_left_as_it_is() {
    let world = World::new().await;
    let definition = json!({"name": "a", "expr": "0 * * * *", "code": "print(1)"});
    let made = world.put(definition.clone()).await;
    assert!((made.created, made.changed) == (true, true) && made.value.live.version == 1);
    assert_eq!(made.value.live.next_fire_at.unwrap().to_string(), "2027-03-01T13:00:00Z");
    let same = world.put(definition).await;
    assert_eq!((same.created, same.changed, same.value.live.version), (false, false, 1));
    let other = world.put(json!({"name": "a", "expr": "30 * * * *"})).await;
    assert_eq!((other.created, other.changed, other.value.live.version), (false, true, 2));
    assert_eq!(other.value.live.uid, made.value.live.uid);

    let shown = serde_json::to_value(&other.value).unwrap();
    for field in ["name", "enabled", "uid", "version", "next_fire_at", "last_run"] {
        assert!(shown.get(field).is_some(), "{field} in {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_say_whether_a_job_may_or_must_exist() {
    let world = World::new().await;
    let put = |mode| {
        let (service, definition) = (world.service.clone(), map(json!({"name": "a"})));
        async move { service.put_job(&admin(), definition, mode, WriteOptions::default()).await }
    };
    assert!(matches!(put(PutMode::Update).await, Err(Error::NotFound { .. })));
    assert!(put(PutMode::Create).await.unwrap().created);
    assert!(matches!(put(PutMode::Create).await, Err(Error::Exists { .. })));
    assert!(!put(PutMode::Update).await.unwrap().created);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_is_told_at_once() {
    let world = World::new().await;
    let faulty = json!({
        "name": "a", "expr": "61 * * * *", "priority": 101, "colour": 1, "code": "def f(:",
        "timeout": "soon",
    });
    let mut found = pointers(world.try_put(faulty, WriteOptions::default()).await);
    if world.service.0.deps.runners.python.is_none() {
        found.push("/code".into());
    }
    for pointer in ["/expr", "/priority", "/colour", "/code", "/timeout"] {
        assert!(found.iter().any(|given| given == pointer), "{pointer} in {found:?}");
    }
    let never = json!({"name": "a", "expr": "@at 2020-01-01T00:00:00Z"});
    assert_eq!(pointers(world.try_put(never, dry()).await), ["/expr"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_error_has_its_line_and_place() {
    let world = World::new().await;
    if world.service.0.deps.runners.python.is_none() {
        return;
    }
    for (definition, pointer) in [
        (json!({"name": "a", "code": "x = 1\ny = ("}), "/code"),
        (json!({"name": "a", "runner": {"type": "python", "code": "a b"}}), "/runner/code"),
    ] {
        let Err(Error::Invalid(faults)) = world.try_put(definition, dry()).await else {
            panic!("accepted")
        };
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].pointer == pointer && faults[0].detail.contains("line"), "{faults:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn if_match_holds_against_the_version_in_force() {
    let world = World::new().await;
    world.put(json!({"name": "a"})).await;
    let stale = |expected, actual| Error::Precondition { expected, actual };
    let put = world.try_put(json!({"name": "a", "priority": 1}), expecting(2)).await;
    assert_eq!(put.unwrap_err(), stale(2, 1));
    let put = world.try_put(json!({"name": "b"}), expecting(1)).await;
    assert_eq!(put.unwrap_err(), stale(1, 0));
    let service = &world.service;
    let pause = service.set_enabled(&admin(), "a", false, expecting(9)).await;
    assert_eq!(pause.unwrap_err(), stale(9, 1));
    assert_eq!(service.delete_job(&admin(), "a", expecting(3)).await, Err(stale(3, 1)));
    let patch = service.patch_job(&admin(), "a", json!({"priority": 2}), expecting(1)).await;
    assert_eq!(patch.unwrap().value.live.version, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_its_first_answer() {
    let world = World::new().await;
    let create = |o| {
        let (service, definition) = (world.service.clone(), map(json!({"name": "a"})));
        async move { service.put_job(&admin(), definition, PutMode::Create, o).await }
    };
    let first = create(keyed(1, 1)).await.unwrap();
    assert!(!first.meta.replayed);
    let again = create(keyed(1, 1)).await.unwrap();
    assert!(again.meta.replayed && again.created);
    assert_eq!(again.value, first.value);
    assert_eq!(create(keyed(1, 2)).await.unwrap_err(), Error::KeyReused);

    // Also after others have written over it, and after it is gone.
    world.put(json!({"name": "a", "priority": 3})).await;
    let late = create(keyed(1, 1)).await.unwrap();
    assert_eq!((late.value.live.version, late.value.spec.priority), (1, None));
    world.service.delete_job(&admin(), "a", keyed(5, 5)).await.unwrap();
    let gone = create(keyed(1, 1)).await.unwrap();
    assert_eq!((gone.value.live.version, gone.value.live.uid), (1, first.value.live.uid));
    assert!(world.service.delete_job(&admin(), "a", keyed(5, 5)).await.unwrap().replayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_answers_and_changes_nothing() {
    let world = World::new().await;
    let before = world.service.index();
    let made = world.try_put(json!({"name": "a", "expr": "0 9 * * *"}), dry()).await.unwrap();
    assert!(made.created && made.value.live.next_fire_at.is_some());
    assert_eq!((world.service.index(), made.meta.index), (before, before));
    assert!(world.service.job(&admin(), "a").await.is_err());

    world.put(json!({"name": "a", "expr": "0 9 * * *", "on_success": ["b"]})).await;
    let circle = world.try_put(json!({"name": "b", "on_success": ["a"]}), dry()).await;
    assert_eq!(pointers(circle), ["/on_success/0"]);
    let moved = world.try_put(json!({"name": "a", "expr": "0 8 * * *"}), dry()).await.unwrap();
    assert_eq!(moved.value.live.version, 2);
    let still = world.service.job(&admin(), "a").await.unwrap();
    assert_eq!(still.live.next_fire_at.unwrap().to_string(), "2027-03-02T09:00:00Z");
    let service = &world.service;
    service.delete_job(&admin(), "a", dry()).await.unwrap();
    assert!(service.set_enabled(&admin(), "a", false, dry()).await.unwrap().changed);
    assert!(service.job(&admin(), "a").await.unwrap().spec.enabled.0);
    // What was only judged did not get into the schedules that are kept.
    let real = world.put(json!({"name": "a", "expr": "0 7 * * *"})).await;
    let text = real.value.live.schedule_text.unwrap();
    assert_eq!(Some(text), service.job(&admin(), "a").await.unwrap().live.schedule_text);
    let next = service.next(&admin(), "a", 1).await.unwrap();
    assert_eq!(next[0].at.to_string(), "2027-03-02T07:00:00Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_changes_what_it_names() {
    let world = World::new().await;
    world
        .put(json!({"name": "a", "description": "x", "tags": ["t"], "placement":
            {"require": {"region": "eu", "disk": "ssd"}}}))
        .await;
    let patch = |value| {
        let service = world.service.clone();
        async move { service.patch_job(&admin(), "a", value, WriteOptions::default()).await }
    };
    let to = patch(json!({"description": null, "placement": {"require": {"disk": null}}})).await;
    let spec = to.unwrap().value.spec;
    assert_eq!((&spec.description, spec.tags.len()), (&None, 1));
    assert_eq!(spec.placement.as_ref().unwrap().require.keys().collect::<Vec<_>>(), ["region"]);
    assert_eq!(pointers(patch(json!({"name": "b"})).await), ["/name"]);
    assert_eq!(pointers(patch(json!([])).await), ["/"].map(|_| String::new()));
    assert_eq!(pointers(patch(json!({"max_runs": 0, "expr": "@daily"})).await), ["/max_runs"]);
    assert!(!patch(json!({})).await.unwrap().changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn references_to_jobs_that_do_not_exist_are_warned_of() {
    let world = World::new().await;
    let made = world.put(json!({"name": "a", "on_success": ["b"], "dependencies": ["c"]})).await;
    assert_eq!(made.warnings.len(), 2, "{:?}", made.warnings);
    assert_eq!(made.value.live.unresolved.len(), 2);
    world.put(json!({"name": "b"})).await;
    let view = world.service.job(&admin(), "a").await.unwrap();
    assert_eq!(view.live.unresolved.iter().map(|n| n.as_str()).collect::<Vec<_>>(), ["c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_to_those_who_may_change_it() {
    let world = World::new().await;
    let runner = json!({"type": "http", "url": "http://x/", "hmac_secret": "s3cret"});
    world.put(json!({"name": "a", "runner": runner})).await;
    for (role, shown) in [
        (Role::Viewer, SECRET),
        (Role::Runner, SECRET),
        (Role::Operator, "s3cret"),
        (Role::Admin, "s3cret"),
    ] {
        let view = world.service.job(&caller(role), "a").await.unwrap();
        let view = serde_json::to_value(&view).unwrap();
        assert_eq!(view["runner"]["hmac_secret"], shown, "{role:?}");
        let version = world.service.version(&caller(role), "a", 1).await.unwrap();
        let version = serde_json::to_value(&version).unwrap();
        assert_eq!(version["definition"]["runner"]["hmac_secret"], shown, "{role:?}");
    }
    let masked = json!({"type": "http", "url": "http://x/", "hmac_secret": SECRET});
    let put = world.try_put(json!({"name": "a", "runner": masked}), dry()).await;
    assert_eq!(pointers(put), ["/runner/hmac_secret"]);
    let patch = json!({"runner": {"url": "http://y/"}});
    let patched = world.service.patch_job(&admin(), "a", patch, WriteOptions::default()).await;
    let patched = serde_json::to_value(patched.unwrap().value).unwrap();
    assert_eq!(patched["runner"]["hmac_secret"], "s3cret");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_told_newest_first() {
    let world = World::new().await;
    for priority in 1..=5 {
        world.put(json!({"name": "a", "priority": priority})).await;
        world.tick();
    }
    let service = &world.service;
    let page = |cursor| Paging { limit: 2, cursor };
    let first = service.versions(&admin(), "a", page(None)).await.unwrap();
    let second = service.versions(&admin(), "a", page(first.next_cursor.clone())).await.unwrap();
    let third = service.versions(&admin(), "a", page(second.next_cursor.clone())).await.unwrap();
    let all: Vec<u64> = [first, second, third.clone()]
        .iter()
        .flat_map(|page| page.items.iter().map(|version| version.version))
        .collect();
    assert_eq!(all, [5, 4, 3, 2, 1]);
    assert_eq!(third.next_cursor, None);
    let oldest = service.version(&admin(), "a", 1).await.unwrap();
    assert_eq!((oldest.by.as_str(), oldest.verb.as_str()), ("admin", "create"));
    assert!(matches!(service.version(&admin(), "a", 9).await, Err(Error::NotFound { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_is_applied_item_by_item() {
    let world = World::new().await;
    world.put(json!({"name": "same"})).await;
    world.put(json!({"name": "moves", "expr": "0 9 * * *"})).await;
    let set = || {
        [
            json!({"name": "new", "expr": "@hourly"}),
            json!({"name": "same"}),
            json!({"name": "moves", "expr": "0 8 * * *", "on_success": ["later", "never"]}),
            json!({"name": "later"}),
            json!({"name": "bad", "expr": "nope"}),
            json!({"name": "new"}),
            json!({"expr": "@daily"}),
        ]
        .map(map)
        .to_vec()
    };
    let service = &world.service;
    let index = service.index();
    let plan = service.apply(&admin(), set(), true).await.unwrap();
    assert_eq!(service.index(), index);
    let done = service.apply(&admin(), set(), false).await.unwrap();
    for items in [&plan, &done] {
        use ApplyAction::{Created, Refused, Unchanged, Updated};
        let actions: Vec<_> = items.iter().map(|item| item.action).collect();
        assert_eq!(actions, [Created, Unchanged, Updated, Created, Refused, Refused, Refused]);
        assert_eq!(items[2].next_before.unwrap().to_string(), "2027-03-02T09:00:00Z");
        assert_eq!(items[2].next_after.unwrap().to_string(), "2027-03-02T08:00:00Z");
        assert_eq!(items[2].warnings.len(), 1, "only `never` is missing: {:?}", items[2]);
        assert_eq!(items[4].errors[0].pointer, "/expr");
        assert_eq!((items[2].version, items[4].version), (Some(2), None));
    }
    let again = service.apply(&admin(), set(), false).await.unwrap();
    assert!(again[..4].iter().all(|item| item.action == ApplyAction::Unchanged));
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_at_once_all_get_through_or_are_told() {
    let world = World::new().await;
    world.put(json!({"name": "a"})).await;
    let writers = (0..4).map(|n| {
        let service = world.service.clone();
        let patch = json!({"priority": n, "description": format!("by {n}")});
        tokio::spawn(async move {
            service.patch_job(&admin(), "a", patch, WriteOptions::default()).await
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(world.service.job(&admin(), "a").await.unwrap().live.version, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_run_stands_in_the_view_and_deleting_cancels() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass", "placement": elsewhere()})).await;
    let id = world.carried_out("a", RunStatus::Failed).await;
    let live = world.service.job(&admin(), "a").await.unwrap().live;
    assert_eq!(live.last_run.map(|run| (run.id, run.status)), Some((id, RunStatus::Failed)));
    let open = world.trigger("a").await;
    world.service.delete_job(&admin(), "a", WriteOptions::default()).await.unwrap();
    let run = world.service.run(&admin(), open.id).await.unwrap();
    assert_eq!(run.status, RunStatus::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn previews_say_what_a_schedule_means() {
    let world = World::new().await;
    let service = &world.service;
    let definition = map(json!({
        "expr": "30 1 * * *", "timezone": "Europe/London",
        "calendars": [{"exclude": ["2027-03-03"]}],
    }));
    let preview = service.preview(&caller(Role::Viewer), definition, 3).await.unwrap();
    assert!(!preview.text.is_empty());
    let shown: Vec<_> = preview.next.iter().map(|n| (n.local.as_str(), n.off)).collect();
    assert_eq!(
        shown,
        [
            ("2027-03-02T01:30:00+00:00", false),
            ("2027-03-03T01:30:00+00:00", true),
            ("2027-03-04T01:30:00+00:00", false),
        ]
    );
    let bad = service.preview(&admin(), map(json!({"expr": "* * *", "name": "a"})), 3).await;
    assert_eq!(pointers(bad), ["/expr"]);
    let none = service.preview(&admin(), map(json!({"name": "a"})), 3).await.unwrap();
    assert!(none.next.is_empty());
    assert!(matches!(service.preview(&admin(), map(json!({})), 0).await, Err(Error::Malformed(_))));

    world.put(json!({"name": "a", "expr": "@hourly", "max_runs": 2})).await;
    assert_eq!(service.next(&admin(), "a", 1000).await.unwrap().len(), 2);
    assert!(matches!(service.next(&admin(), "a", 1001).await, Err(Error::Malformed(_))));
    world.put(json!({"name": "p", "expr": "@hourly", "enabled": false})).await;
    assert_eq!(service.next(&admin(), "p", 3).await.unwrap().len(), 3);
}
