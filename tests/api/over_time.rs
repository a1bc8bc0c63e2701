//! All jobs over time, and what was written: what the page asks for beside lists.

use cronapi::model::Role;
use serde_json::json;

use super::fixture::{Node, PASSWORD};

const DAY: &str = "from=2027-01-15T08:00:00Z&until=2027-01-16T08:00:00Z";

#[tokio::test]
async fn what_is_to_come_is_listed_and_counted() {
    let node = Node::start().await;
    node.post("/jobs", json!({"name": "a", "expr": "0 */6 * * *"})).await.expect(201);
    node.post("/jobs", json!({"name": "b", "expr": "0 12 * * *"})).await.expect(201);
    let now = node.get("/jobs/a/next?count=1").await.expect(200).json();
    let from = now["items"][0]["at"].as_str().unwrap().to_owned();
    let until = format!("{}T00:00:00Z", "2099-01-01");
    let wide = format!("/fires?from={from}&until={until}");
    node.get(&wide).await.expect(400);
    let first = node.get("/jobs/a/next?count=5").await.expect(200).json();
    let last = first["items"][4]["at"].as_str().unwrap();
    let page = node.get(&format!("/fires?from={from}&until={last}&limit=2")).await.expect(200);
    assert!(page.header("link").contains("rel=\"next\""), "{}", page.header("link"));
    assert_eq!(page.json()["items"].as_array().unwrap().len(), 2);
    let all = node.get(&format!("/fires?from={from}&until={last}")).await.expect(200).json();
    let of = |name: &str| {
        let items = all["items"].as_array().unwrap();
        items.iter().filter(|fire| fire["job"] == name).count()
    };
    assert_eq!((of("a"), of("b")), (4, 1));
    let load = node.get(&format!("/load?from={from}&until={last}&bucket=6h")).await.expect(200);
    let load = load.json();
    assert_eq!((&load["jobs"], &load["estimated"]), (&json!(2), &json!(0)));
    let fires = load["buckets"].as_array().unwrap().iter().map(|b| b["fires"].as_u64().unwrap());
    assert_eq!(fires.sum::<u64>(), 5);
}

#[tokio::test]
async fn runs_are_bars_and_counts() {
    let node = Node::start().await;
    node.with_job("a").await;
    let run = node.call("POST", "/jobs/a/run?wait=5s", None).await.expect(200).json();
    let fired = run["fired_at"].as_str().unwrap();
    let day = format!("from={}T00:00:00Z&until=2099-01-01T00:00:00Z", &fired[..10]);
    node.get(&format!("/timeline?{day}")).await.expect(400);
    let next = cronapi::model::Timestamp::parse(fired).unwrap();
    let next = next.plus(cronapi::model::Span::from_secs(86_400));
    let day = format!("from={}T00:00:00Z&until={next}", &fired[..10]);
    let bars = node.get(&format!("/timeline?{day}")).await.expect(200).json();
    assert_eq!((&bars["items"][0]["run_id"], &bars["next_cursor"]), (&run["id"], &json!(null)));
    assert_eq!(bars["items"][0]["job"], "a");
    let counts = node.get(&format!("/activity?{day}&bucket=1d")).await.expect(200).json();
    assert_eq!(counts["buckets"][0]["succeeded"], 1);
    for wrong in ["/timeline", "/activity?from=x", "/load?bucket=1h"] {
        node.get(wrong).await.expect(400);
    }
    for (path, place) in [
        (format!("/timeline?{DAY}&limit=5001"), "query:limit"),
        (format!("/fires?{DAY}&limit=0"), "query:limit"),
        ("/jobs/a/logs/search?q=".to_owned(), "query:q"),
        ("/jobs/a/logs/search?q=x&limit=501".to_owned(), "query:limit"),
        (format!("/runs/{}/logs/search?q=x&limit=0", run["id"].as_str().unwrap()), "query:limit"),
    ] {
        let refused = node.get(&path).await.expect(400).json();
        assert_eq!(refused["errors"][0]["pointer"], place, "{path}");
    }
    let search = format!("/runs/{}/logs/search?q=x", run["id"].as_str().unwrap());
    let none = node.get(&search).await.expect(200).json();
    assert_eq!((&none["items"], &none["runs"]), (&json!([]), &json!(1)));
    node.get("/jobs/a/logs/search?q=x").await.expect(200);
    node.get("/jobs/none/logs/search?q=x").await.expect(404);
}

#[tokio::test]
async fn what_is_out_of_scope_is_in_none_of_them() {
    let node = Node::start().await;
    node.post("/jobs", json!({"name": "a", "expr": "@hourly", "on_success": ["b"]}))
        .await
        .expect(201);
    node.post("/jobs", json!({"name": "b", "expr": "@daily"})).await.expect(201);
    let user = json!({"name": "tom", "password": PASSWORD, "role": "viewer",
        "scope": {"jobs": ["b"], "tags": []}});
    node.post("/users", user).await.expect(201);
    let token = node.login("tom").await;
    let now = node.get("/jobs/b/next?count=2").await.expect(200).json();
    let range = format!(
        "from={}&until={}",
        now["items"][0]["at"].as_str().unwrap(),
        now["items"][1]["at"].as_str().unwrap()
    );
    let get =
        async |path: String| node.call_as(&token, "GET", &path, None).await.expect(200).json();
    let fires = get(format!("/fires?{range}")).await;
    assert_eq!(fires["items"].as_array().unwrap().len(), 1);
    assert_eq!(get(format!("/load?{range}")).await["jobs"], 1);
    let graph = get("/graph".into()).await;
    assert_eq!((&graph["jobs"], &graph["edges"]), (&json!([]), &json!([])));
    node.call_as(&token, "GET", "/graph?job=a", None).await.expect(404);
    let known = node.with_user("ann", Role::Viewer).await;
    let graph = node.call_as(&known, "GET", "/graph?job=b", None).await.expect(200).json();
    assert_eq!(graph["edges"], json!([{"from": "a", "to": "b", "kind": "on_success"}]));
}

#[tokio::test]
async fn a_graph_of_more_jobs_than_one_answer_holds_says_so() {
    let node = Node::start().await;
    let mut items: Vec<_> =
        (0..1_000).map(|n| json!({"name": format!("j{n}"), "on_success": ["hub"]})).collect();
    items.push(json!({"name": "hub"}));
    node.post("/apply", json!({ "items": items })).await.expect(200);
    for path in ["/graph", "/graph?job=hub"] {
        let graph = node.get(path).await.expect(200).json();
        assert_eq!((graph["jobs"].as_array().unwrap().len(), &graph["cut"]), (1_000, &json!(true)));
    }
}
