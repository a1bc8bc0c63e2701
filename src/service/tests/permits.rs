use serde_json::{Map, Value, json};

use super::world::{World, admin, caller, map, only, scoped};
use crate::model::{Role, RunStatus, Scope, Span, Timestamp};
use crate::service::{
    Action, Caller, Error, EventFilter, JobFilter, Paging, PutMode, RunFilter, Target, WriteOptions,
};

const ROLES: [Role; 4] = [Role::Viewer, Role::Runner, Role::Operator, Role::Admin];

fn forbidden<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Forbidden(_)))
}

fn not_found<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::NotFound { .. }))
}

#[test]
fn roles_are_a_ladder() {
    let actions = [
        (Action::ReadJobs, 4),
        (Action::ReadCluster, 4),
        (Action::TriggerJobs, 3),
        (Action::ManageJobs, 2),
        (Action::RunAsUser, 1),
        (Action::ManageUsers, 1),
        (Action::ReadUsers, 1),
        (Action::ReadAudit, 1),
        (Action::ManageCluster, 1),
    ];
    for (action, able) in actions {
        let may = ROLES.map(|role| caller(role).permit(action, Target::Cluster).is_ok());
        assert_eq!(may.iter().filter(|may| **may).count(), able, "{action:?}");
        assert!(may.is_sorted(), "{action:?}: {may:?}");
    }
}

#[test]
fn an_admin_of_some_jobs_is_no_admin_of_the_cluster() {
    let some = scoped(Role::Admin, only("etl-*"));
    for action in [Action::ManageUsers, Action::ReadAudit, Action::ManageCluster] {
        assert!(forbidden(&some.permit(action, Target::Cluster)), "{action:?}");
    }
    assert!(some.permit(Action::ReadCluster, Target::Cluster).is_ok());
    // Another account of the machine is outside of every scope.
    let job = Target::Job { name: "etl-a", tags: &[] };
    assert!(forbidden(&some.permit(Action::RunAsUser, job)));
    assert!(caller(Role::Admin).permit(Action::RunAsUser, job).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_use_case_asks_for_its_role() {
    let world = World::new().await;
    world.put(json!({"name": "a", "code": "pass", "overlap": "allow"})).await;
    let closed = world.carried_out("a", RunStatus::Succeeded).await;
    let (service, o) = (&world.service, WriteOptions::default());
    for role in ROLES {
        let c = caller(role);
        let manages = role >= Role::Operator;
        let open = world.trigger("a").await.id;
        let put = service.put_job(&c, map(json!({"name": "a2"})), PutMode::Upsert, o).await;
        assert_eq!(forbidden(&put), !manages, "{role:?}");
        let patch = service.patch_job(&c, "a", json!({"priority": 1}), o).await;
        assert_eq!(forbidden(&patch), !manages, "{role:?}");
        assert_eq!(forbidden(&service.set_enabled(&c, "a", true, o).await), !manages);
        assert_eq!(
            forbidden(&service.apply(&c, Vec::<Map<String, Value>>::new(), true).await),
            !manages
        );
        assert_eq!(forbidden(&service.cancel(&c, open, o).await), !manages);
        assert_eq!(forbidden(&service.retry(&c, closed, None, o).await), !manages);
        let trigger = service.trigger(&c, "a", Map::new(), false, o).await;
        assert_eq!(forbidden(&trigger), role < Role::Runner, "{role:?}");
        let force = service.trigger(&c, "a", Map::new(), true, o).await;
        assert_eq!(forbidden(&force), !manages, "{role:?}");
        assert!(service.job(&c, "a").await.is_ok() && service.run(&c, closed).await.is_ok());
        assert!(service.status(&c).await.is_ok() && service.nodes(&c).await.is_ok());
        if !manages {
            assert!(forbidden(&service.delete_job(&c, "a", o).await));
            // A refusal does not tell what exists.
            assert!(forbidden(&service.delete_job(&c, "none", o).await));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_scope_is_not_found_when_read_and_forbidden_when_written() {
    let world = World::new().await;
    world.put(json!({"name": "etl-a", "code": "pass"})).await;
    world.put(json!({"name": "web", "code": "pass", "expr": "@hourly"})).await;
    let run = world.carried_out("web", RunStatus::Succeeded).await;
    let mine = world.carried_out("etl-a", RunStatus::Succeeded).await;
    let c = scoped(Role::Operator, only("etl-*"));
    let (service, o, now) = (&world.service, WriteOptions::default(), Timestamp::ZERO);
    assert!(not_found(&service.job(&c, "web").await));
    assert!(not_found(&service.next(&c, "web", 1).await));
    assert!(not_found(&service.versions(&c, "web", Paging::default()).await));
    assert!(not_found(&service.version(&c, "web", 1).await));
    assert!(not_found(&service.ledger(&c, "web", None, None, Paging::default()).await));
    assert!(not_found(&service.explain(&c, "web", now).await));
    assert!(not_found(&service.job_logs(&c, "web", 1).await));
    assert!(not_found(&service.run(&c, run).await));
    assert!(not_found(&service.wait_for(&c, run, Span::ZERO).await));
    assert!(not_found(&service.output(&c, run, None, 1).await));
    assert!(forbidden(&service.patch_job(&c, "web", json!({}), o).await));
    assert!(forbidden(&service.set_enabled(&c, "web", false, o).await));
    assert!(forbidden(&service.delete_job(&c, "web", o).await));
    assert!(forbidden(&service.trigger(&c, "web", Map::new(), false, o).await));
    assert!(forbidden(&service.retry(&c, run, None, o).await));
    let create = service.put_job(&c, map(json!({"name": "x"})), PutMode::Create, o).await;
    assert!(forbidden(&create));

    let jobs = service.jobs(&c, JobFilter::default(), Paging::default()).await.unwrap();
    assert_eq!(jobs.items.len(), 1);
    let runs = service.runs(&c, RunFilter::default(), Paging::default()).await.unwrap();
    assert_eq!(runs.items.iter().map(|run| run.id).collect::<Vec<_>>(), [mine]);
    let events = service.events_since(&c, 0, 0, &EventFilter::default()).unwrap();
    let of = |events: &[crate::model::Event]| {
        events.iter().filter_map(|e| e.job.clone()).any(|job| job.as_str() == "web")
    };
    assert!(!events.is_empty() && !of(&events));
    let all = service.events_since(&admin(), 0, 0, &EventFilter::default()).unwrap();
    assert!(of(&all));
    let item = service.apply(&c, vec![map(json!({"name": "web"}))], true).await.unwrap();
    assert_eq!((item[0].version, item[0].next_before), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_of_tags_covers_a_job_before_and_after() {
    let world = World::new().await;
    world.put(json!({"name": "a", "tags": ["etl"]})).await;
    world.put(json!({"name": "b"})).await;
    let tags = Scope { jobs: Vec::new(), tags: vec!["etl".into()] };
    let c = scoped(Role::Operator, tags);
    let (service, o) = (&world.service, WriteOptions::default());
    let put = |c: Caller, definition| async move {
        service.put_job(&c, map(definition), PutMode::Upsert, o).await
    };
    let leaves = json!({"name": "a", "tags": ["web"]});
    assert!(forbidden(&put(c.clone(), leaves).await), "out of its own scope");
    let takes = json!({"name": "b", "tags": ["etl"]});
    assert!(forbidden(&put(c.clone(), takes).await), "another's job into its scope");
    let stays = json!({"name": "a", "tags": ["etl", "x"]});
    assert!(put(c.clone(), stays).await.is_ok());
    assert!(put(c, json!({"name": "n", "tags": ["etl"]})).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_does_not_reach_where_its_author_may_not() {
    let world = World::new().await;
    world.put(json!({"name": "prod"})).await;
    world.put(json!({"name": "base"})).await;
    world.put(json!({"name": "etl-b", "on_success": ["prod"]})).await;
    let c = scoped(Role::Operator, only("etl-*"));
    let (service, o) = (&world.service, WriteOptions::default());
    let chain = json!({"name": "etl-a", "on_failure": ["prod"]});
    assert!(forbidden(&service.put_job(&c, map(chain), PutMode::Upsert, o).await));
    let inside = json!({"name": "etl-a", "on_failure": ["etl-b"], "dependencies": ["base"]});
    assert!(service.put_job(&c, map(inside), PutMode::Upsert, o).await.is_ok());
    // What an admin chained may stay, as it is.
    let keeps = service.patch_job(&c, "etl-b", json!({"priority": 1}), o).await;
    assert!(keeps.is_ok());
    let other = json!({"on_success": [{"job": "prod", "parameters": {"drop": true}}]});
    assert!(forbidden(&service.patch_job(&c, "etl-b", other, o).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_account_of_the_system_is_for_admins_to_give() {
    let world = World::new().await;
    let shell = |command: &str| {
        let runner = json!({"type": "shell", "command": command, "user": "root"});
        json!({"name": "a", "runner": runner})
    };
    let (service, o) = (&world.service, WriteOptions::default());
    let c = caller(Role::Operator);
    let put = service.put_job(&c, map(shell("id")), PutMode::Upsert, o).await;
    assert!(forbidden(&put));
    world.put(shell("id")).await;
    let edit = service.put_job(&c, map(shell("rm -r /")), PutMode::Upsert, o).await;
    assert!(forbidden(&edit), "root's command is not an operator's to write");
    let patch = service.patch_job(&c, "a", json!({"runner": {"command": "x"}}), o).await;
    assert!(forbidden(&patch));
    assert!(service.patch_job(&c, "a", json!({"priority": 1}), o).await.is_ok());
}
