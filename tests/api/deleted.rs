//! Deleting a job ends its future, not its past (contract 2.11).

use std::time::Duration;

use cronapi::model::{Role, Scope};
use serde_json::{Value, json};

use super::fixture::{NOW, Node};

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

/// A job with a run, a skipped time and two versions; its uid and the id of its run.
async fn with_a_past(node: &mut Node, name: &str) -> (String, String) {
    let job = json!({"name": name, "expr": "0 * * * *", "tags": ["team-a"]});
    let uid = node.post("/jobs", job).await.expect(201).json()["uid"].clone();
    let run = node.post(&format!("/jobs/{name}/run?wait=5s"), json!({})).await.expect(200).json();
    node.post(&format!("/jobs/{name}/pause"), json!({})).await.expect(200);
    node.clock.advance(cronapi::model::Span::from_secs(2 * 3_600));
    // A session does not last that long.
    node.admin = node.login("admin").await;
    (uid.as_str().unwrap().to_owned(), run["id"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_job_did_stays_explained() {
    let mut node = Node::start().await;
    let (uid, run) = with_a_past(&mut node, "a").await;
    node.call("DELETE", "/jobs/a", None).await.expect(204);
    node.get("/jobs/a").await.expect(404);
    node.get("/jobs/a/runs").await.expect(404);
    for which in ["a?deleted=true".to_owned(), uid.clone()] {
        let (name, query) = which.split_once('?').unwrap_or((&which, ""));
        let path = |rest: &str| {
            let sign = if rest.contains('?') { '&' } else { '?' };
            format!("/jobs/{name}{rest}{sign}{query}").trim_end_matches(['?', '&']).to_owned()
        };
        let job = node.get(&path("")).await.expect(200).json();
        assert_eq!((&job["uid"], &job["name"]), (&json!(uid), &json!("a")));
        assert!(job["deleted_at"].is_string() && job["next_fire_at"].is_null(), "{job}");
        let runs = node.get(&path("/runs")).await.expect(200).json();
        assert_eq!(items(&runs)[0]["id"], run);
        let versions = node.get(&path("/versions")).await.expect(200).json();
        assert_eq!(items(&versions).len(), 2);
        node.get(&path("/versions/1")).await.expect(200);
        node.get(&path("/logs")).await.expect(200);
        let ledger = node.get(&path("/ledger")).await.expect(200).json();
        assert_eq!(items(&ledger)[0]["reason"], "paused", "{ledger}");
        let at = cronapi::model::Timestamp::from_secs(NOW - NOW % 3_600 + 3_600);
        let told = node.get(&path(&format!("/explain?at={at}"))).await.expect(200).json();
        assert_eq!(told["verdict"], "skipped", "{told}");
        let after = cronapi::model::Timestamp::from_secs(NOW - NOW % 3_600 + 9 * 3_600);
        let told = node.get(&path(&format!("/explain?at={after}"))).await.expect(200).json();
        assert_eq!(told["verdict"], "deleted", "{told}");
    }
    node.get(&format!("/runs/{run}")).await.expect(200);
    let all = node.get("/runs").await.expect(200).json();
    assert!(items(&all).iter().any(|one| one["id"] == run), "{all}");
    let gone = node.get("/jobs?deleted=true").await.expect(200).json();
    assert_eq!((items(&gone).len(), &items(&gone)[0]["uid"]), (1, &json!(uid)));
    assert!(items(&node.get("/jobs").await.json()).is_empty());
    node.get("/jobs?deleted=true&sort=name").await.expect(400);
    node.get("/runs?deleted=true").await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_means_the_job_that_has_it_and_the_ones_before_have_their_uid() {
    let mut node = Node::start().await;
    let (first, run) = with_a_past(&mut node, "a").await;
    node.call("DELETE", "/jobs/a", None).await.expect(204);
    let (second, _) = with_a_past(&mut node, "a").await;
    node.call("DELETE", "/jobs/a", None).await.expect(204);
    let third = node.with_job("a").await["uid"].clone();
    assert_eq!(node.get("/jobs/a").await.expect(200).json()["uid"], third);
    assert!(items(&node.get("/jobs/a/runs").await.json()).is_empty());
    assert_eq!(node.get("/jobs/a?deleted=true").await.expect(200).json()["uid"], json!(second));
    let runs = node.get(&format!("/jobs/{first}/runs")).await.expect(200).json();
    assert_eq!(items(&runs)[0]["id"], run);
    let gone = node.get("/jobs?deleted=true&q=a&limit=1").await.expect(200).json();
    assert_eq!(items(&gone)[0]["uid"], second);
    let cursor = gone["next_cursor"].as_str().unwrap();
    let path = format!("/jobs?deleted=true&q=a&limit=1&cursor={cursor}");
    assert_eq!(items(&node.get(&path).await.expect(200).json())[0]["uid"], first);
    // What ended can't be started again, under either.
    node.call("POST", &format!("/runs/{run}/retry"), None).await.expect(404);
    node.call("POST", &format!("/jobs/{first}/run"), None).await.expect(404);
    node.call("DELETE", &format!("/jobs/{first}"), None).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_could_not_see_a_job_does_not_see_its_past() {
    let mut node = Node::start().await;
    node.with_user("ann", Role::Viewer).await;
    let scope = |tag: &str| Scope { jobs: vec!["other".into()], tags: vec![tag.into()] };
    let narrow = |tag| json!({"role": "viewer", "scope": scope(tag)});
    node.call("PUT", "/users/ann/role", Some(narrow("team-b"))).await.expect(200);
    let (uid, run) = with_a_past(&mut node, "a").await;
    let ann = node.login("ann").await;
    node.call("DELETE", "/jobs/a", None).await.expect(204);
    let paths = [
        "/jobs/a?deleted=true".to_owned(),
        format!("/jobs/{uid}"),
        format!("/jobs/{uid}/runs"),
        format!("/jobs/{uid}/ledger"),
        format!("/jobs/{uid}/versions"),
        format!("/jobs/{uid}/explain?at=2027-01-15T08:00:00Z"),
        format!("/runs/{run}"),
        format!("/runs/{run}/logs"),
    ];
    for path in &paths {
        node.call_as(&ann, "GET", path, None).await.expect(404);
    }
    let lists = ["/runs", "/jobs?deleted=true"];
    for path in lists {
        let page = node.call_as(&ann, "GET", path, None).await.expect(200).json();
        assert!(items(&page).is_empty(), "{path}: {page}");
    }
    node.call("PUT", "/users/ann/role", Some(narrow("team-a"))).await.expect(200);
    for path in &paths {
        node.call_as(&ann, "GET", path, None).await.expect(200);
    }
    for path in lists {
        let page = node.call_as(&ann, "GET", path, None).await.expect(200).json();
        assert_eq!(items(&page).len(), 1, "{path}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_runs_are_cancelled_and_stay_readable() {
    let node = Node::start().await;
    // Nobody carries runs out here: it waits in its queue.
    node.post("/jobs", json!({"name": "a", "code": "def f():\n    pass\n"})).await.expect(201);
    let run = node.post("/jobs/a/run", json!({})).await.expect(202).json();
    let id = run["id"].as_str().unwrap();
    node.call("DELETE", "/jobs/a", None).await.expect(204);
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    let ended = loop {
        let run = node.get(&format!("/runs/{id}")).await.expect(200).json();
        if run["status"] == "cancelled" || tokio::time::Instant::now() > until {
            break run;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(ended["status"], "cancelled", "{ended}");
    let runs = node.get("/jobs/a/runs?deleted=true&status=cancelled").await.expect(200).json();
    assert_eq!(items(&runs)[0]["id"], id);
}
