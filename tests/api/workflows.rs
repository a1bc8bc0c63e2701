//! Workflows over the interface: written, run, looked at, paused, repeated.

use serde_json::{Value, json};

use super::fixture::Node;

fn shell(command: &str) -> Value {
    json!({ "type": "shell", "command": command })
}

fn etl() -> Value {
    json!({ "name": "etl", "result": "${tasks.sum.result}", "tasks": [
        { "name": "list", "runner": shell("echo '{\"files\": [1, 2, 3]}'") },
        { "name": "copy", "after": ["list"], "over": "${tasks.list.result.files}",
            "runner": { "type": "shell", "argv": ["test", "{{item}}", "-ne", "2"] } },
        { "name": "sum", "after": ["copy"], "runner": shell("echo 7") },
        { "name": "tell", "after": [{ "task": "copy", "on": "failure" }], "runner": shell("true") },
        { "name": "skip", "when": { "value": 1, "gt": 2 }, "runner": shell("true") }
    ] })
}

#[tokio::test]
async fn a_workflow_is_written_listed_and_refused_where_it_is_wrong() {
    let node = Node::start().await;
    let none = node.post("/workflows", json!({ "name": "w" })).await.expect(422).json();
    assert_eq!(none["errors"][0]["pointer"], "/tasks");
    let made = node.post("/workflows", etl()).await.expect(201).json();
    assert_eq!(made["tasks"].as_array().unwrap().len(), 5);
    node.post("/jobs", json!({ "name": "plain" })).await.expect(201);
    for (kind, name) in [("workflow", "etl"), ("job", "plain")] {
        let page = node.get(&format!("/jobs?kind={kind}")).await.expect(200).json();
        let names: Vec<&str> =
            page["items"].as_array().unwrap().iter().filter_map(|it| it["name"].as_str()).collect();
        assert_eq!(names, [name]);
    }
    node.get("/jobs?kind=dag").await.expect(400);
    let mut circle = etl();
    circle["name"] = json!("circle");
    circle["tasks"][0]["after"] = json!(["sum"]);
    let refused = node.post("/workflows", circle).await.expect(422).json();
    assert_eq!(refused["errors"][0]["pointer"], "/tasks/0/after/0", "{refused}");
}

async fn begun(node: &Node) -> String {
    node.post("/workflows", etl()).await.expect(201);
    let run = node.post("/jobs/etl/run", json!({})).await.expect(202).json();
    let id = run["id"].as_str().unwrap().to_owned();
    node.begin(&id).await;
    id
}

#[tokio::test]
async fn tasks_are_shown_with_what_they_wait_for_and_why_they_were_skipped() {
    let node = Node::start().await;
    let id = begun(&node).await;
    let run = node.get(&format!("/runs/{id}")).await.expect(200).json();
    assert_eq!((&run["status"], &run["tasks"]["running"]), (&json!("running"), &json!(1)));
    assert_eq!((&run["tasks"]["waiting"], &run["tasks"]["skipped"]), (&json!(3), &json!(1)));
    let page = node.get(&format!("/runs/{id}/tasks?limit=2")).await.expect(200).json();
    let [list, copy] = page["items"].as_array().unwrap().as_slice() else { panic!("{page}") };
    assert_eq!((&list["status"], &copy["status"]), (&json!("queued"), &json!("waiting")));
    assert_eq!(copy["reason"], "for list to succeed");
    let next = page["next_cursor"].as_str().unwrap();
    let page = node.get(&format!("/runs/{id}/tasks?cursor={next}")).await.expect(200).json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items[1]["reason"], "for copy to fail");
    assert_eq!((&items[2]["status"], &items[2]["skip"]), (&json!("skipped"), &json!("condition")));
    // Its tasks are in no other list.
    let all = node.get("/runs").await.expect(200).json();
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    let tasks = node.get(&format!("/runs?flow={id}")).await.expect(200).json();
    let task = &tasks["items"][0];
    assert_eq!((&task["task"]["name"], &task["task"]["flow"]), (&json!("list"), &json!(id)));
    let own = task["id"].as_str().unwrap();
    node.get(&format!("/runs/{own}")).await.expect(200);
    node.get(&format!("/runs/{own}/logs")).await.expect(200);
}

#[tokio::test]
async fn a_run_is_paused_stopped_and_repeated_from_a_task() {
    let node = Node::start().await;
    let id = begun(&node).await;
    let post = |verb: &str| format!("/runs/{id}/{verb}");
    let paused = node.post(&post("pause"), json!({})).await.expect(200).json();
    assert_eq!(paused["reason"], "paused by admin");
    node.post(&post("resume"), json!({})).await.expect(200);
    node.post(&post("retry"), json!({ "from": "failed" })).await.expect(409);
    node.post(&post("cancel"), json!({})).await.expect(202);
    let run = node.get(&format!("/runs/{id}")).await.expect(200).json();
    assert_eq!((&run["status"], &run["tasks"]["cancelled"]), (&json!("cancelled"), &json!(4)));
    node.post(&post("pause"), json!({})).await.expect(409);
    node.post(&post("retry"), json!({ "from": ["nothing"] })).await.expect(422);
    let again = node.post(&post("retry"), json!({ "from": "failed" })).await.expect(202).json();
    assert_eq!(again["cause"], json!(id));
    let second = again["id"].as_str().unwrap();
    node.begin(second).await;
    let tasks = node.get(&format!("/runs/{second}/tasks")).await.expect(200).json();
    let skip = &tasks["items"][4];
    assert_eq!((&skip["status"], &skip["made_by"]), (&json!("skipped"), &json!(id)));
    let closed = node.get(&format!("/runs/{id}/tasks")).await.expect(200).json();
    assert_eq!(closed["items"][1]["reason"], "the workflow was stopped before its turn came");
    let list = node.get(&format!("/runs?flow={id}")).await.expect(200).json();
    assert_eq!(list["items"][0]["status"], "cancelled");
    let plain = node.with_job("plain").await;
    let run = node.post("/jobs/plain/run", json!({})).await.expect(202).json();
    assert_eq!(plain["name"], run["job"]);
    let pause = format!("/runs/{}/pause", run["id"].as_str().unwrap());
    assert_eq!(node.post(&pause, json!({})).await.status, 409);
}
