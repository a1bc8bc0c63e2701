use std::time::Duration;

use serde_json::json;
use utoipa::{PartialSchema, ToSchema};

use super::world::{NODE, World, admin, caller, elsewhere};
use crate::model::{Role, RunStatus, Span};
use crate::service::{EventFilter, JobView, NodeRole, WriteOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_of_itself() {
    let world = World::new().await;
    world
        .put(json!({"name": "a", "code": "pass", "placement": elsewhere(), "overlap": "allow"}))
        .await;
    world.put(json!({"name": "p", "enabled": false})).await;
    world.carried_out("a", RunStatus::Succeeded).await;
    world.trigger("a").await;
    world.clock.advance(Span::from_secs(90));
    let service = &world.service;
    let status = service.status(&caller(Role::Viewer)).await.unwrap();
    assert_eq!((status.jobs, status.jobs_paused, status.uptime_seconds), (2, 1, 90));
    assert_eq!(status.open_runs.get("queued"), Some(&1));
    assert_eq!((status.totals.succeeded, status.role), (1, NodeRole::Leader));
    assert_eq!((status.version.as_str(), status.nodes), ("1.2.3", 1));
    assert_eq!(status.applied_index, service.index());
    let leader = service.leader(&admin()).await.unwrap();
    assert!(leader.is_leader && leader.leader_id == Some(status.node_id));
    // Once it has spoken to the leader, which is itself: it has a lease, and is told of.
    let ready = async {
        while service.ready().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), ready).await;
    assert!(waited.is_ok(), "{:?}", service.ready());
    let nodes = service.nodes(&admin()).await.unwrap().items;
    let up = nodes.iter().find(|node| node.id == NODE).unwrap();
    assert_eq!((up.slots, up.accepting), (4, true));
    let own = nodes.iter().find(|node| node.id == status.node_id).unwrap();
    assert_eq!((own.role, own.live, own.lag), (NodeRole::Leader, true, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_is_not_ready_and_takes_no_writes() {
    let world = World::new().await;
    world.service.consensus().clone().shutdown().await.unwrap();
    let put = world.try_put(json!({"name": "a"}), WriteOptions::default()).await;
    let crate::service::Error::Unavailable { maybe_applied, .. } = put.unwrap_err() else {
        panic!("not unavailable")
    };
    assert!(!maybe_applied);
    let reasons = world.service.ready().unwrap_err();
    assert!(!reasons.is_empty(), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_filtered_by_job_and_type() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass"})).await;
    world.put(json!({"name": "b", "code": "pass"})).await;
    world.carried_out("a", RunStatus::Failed).await;
    let since = |jobs: &[&str], types: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        let filter = EventFilter { jobs: texts(jobs), types: texts(types) };
        let events = world.service.events_since(&admin(), 0, 0, &filter).unwrap();
        events.into_iter().map(|event| event.kind).collect::<Vec<_>>()
    };
    assert_eq!(since(&["b"], &[]), ["job.created"]);
    assert_eq!(since(&[], &["run.failed"]), ["run.failed"]);
    assert_eq!(since(&["a"], &["run"]).len(), 4);
    assert!(since(&[], &[]).contains(&"node.up".to_string()));
    let newest = *world.service.events_changed().borrow();
    let none = EventFilter::default();
    let after = world.service.events_since(&admin(), newest.0, newest.1, &none).unwrap();
    assert!(after.is_empty());
}

#[test]
fn the_schema_of_a_job_has_its_fields_side_by_side() {
    let schema = serde_json::to_value(JobView::schema()).unwrap();
    for field in ["name", "expr", "runner", "uid", "next_fire_at", "last_run", "unresolved"] {
        assert!(schema["properties"].get(field).is_some(), "{field}");
    }
    let mut named = Vec::new();
    JobView::schemas(&mut named);
    assert!(named.iter().any(|(name, _)| name == "LastRun"));
    assert!(named.iter().any(|(name, _)| name == "Runner"));
}
