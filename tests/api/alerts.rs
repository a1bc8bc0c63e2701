//! Incidents and notices: who sees them, who may do something about them.

use cronapi::machine::Op;
use cronapi::machine::command::Place;
use cronapi::model::{Delivery, DutyKey, Name, Role, Scope, User};
use serde_json::{Value, json};
use uuid::Uuid;

use super::fixture::{Node, user};
use super::page;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// A node with a channel, and a job that has failed and told it.
async fn failed(job: &str) -> Node {
    let node = Node::start().await;
    let channel = json!({"type": "webhook", "config": {"url": "http://192.0.2.1/"}});
    node.call("PUT", "/channels/ops", Some(channel)).await.expect(201);
    let notify = json!({"channels": ["ops"]});
    let runner = json!({"type": "shell", "command": "exit 3"});
    let body = json!({"name": job, "runner": runner, "notify": notify});
    node.post("/jobs", body).await.expect(201);
    let run = node.post(&format!("/jobs/{job}/run"), json!({})).await.expect(202).json();
    page::fails(&node, serde_json::from_value(run["id"].clone()).unwrap()).await;
    node
}

async fn items(node: &Node, path: &str) -> Vec<Value> {
    let page = node.get(path).await.expect(200).json();
    page["items"].as_array().unwrap().clone()
}

/// Records what became of a message, as whoever has the duty does.
async fn delivered(node: &Node, seqs: &[u64], outcome: Delivery) {
    let key = DutyKey::channel(name("ops"));
    let duty = node.consensus.state().duties.all[&key].clone();
    if duty.holder.is_none() {
        let place = Place { node: 1, boot: Uuid::from_u128(7) };
        node.submit(Op::GiveDuty { key: key.clone(), former: duty.fence, place }).await;
    }
    let fence = node.consensus.state().duties.all[&key].fence;
    let (channel, seqs) = (name("ops"), seqs.to_vec());
    node.submit(Op::Delivered { channel, seqs, fence, outcome }).await;
}

#[tokio::test]
async fn an_incident_is_seen_acknowledged_and_over() {
    let node = failed("j").await;
    let open = items(&node, "/incidents").await;
    assert_eq!(open.len(), 1);
    assert_eq!((&open[0]["job"], &open[0]["trouble"]), (&json!("j"), &json!("failed")));
    assert_eq!((&open[0]["detail"], &open[0]["jobs"]), (&json!("no good"), &json!(["j"])));
    assert_eq!(node.get("/overview").await.json()["incidents"], 1);
    let known = node.call("POST", "/incidents/1/acknowledge", None).await.expect(200).json();
    assert_eq!(known["acknowledged_by"], "admin");
    let audit = items(&node, "/audit?action=incident.acknowledge").await;
    assert_eq!(audit.len(), 1);
    // Its job goes: it is over.
    node.call("DELETE", "/jobs/j", None).await.expect(204);
    assert!(items(&node, "/incidents").await.is_empty());
    let over = items(&node, "/incidents?state=resolved").await;
    assert_eq!(over[0]["ended_since"], "its job was deleted");
    assert_eq!(node.get("/incidents/1").await.expect(200).json(), over[0]);
    let again = node.call("POST", "/incidents/1/acknowledge", None).await.expect(409);
    assert_eq!(again.code(), "incident-over");
    node.get("/incidents/2").await.expect(404);
    node.get("/incidents/x").await.expect(400);
    node.get("/incidents?state=gone").await.expect(400);
    node.get("/incidents?cursor=x").await.expect(400);
}

#[tokio::test]
async fn a_notice_waits_is_given_up_and_is_sent_again_by_hand() {
    let node = failed("j").await;
    let waits = items(&node, "/notices?channel=ops").await;
    assert_eq!((&waits[0]["seq"], &waits[0]["state"]), (&json!(1), &json!("pending")));
    assert!(items(&node, "/notices?channel=other").await.is_empty());
    delivered(&node, &[1], Delivery::Dead { error: "404".into() }).await;
    assert!(items(&node, "/notices").await.is_empty());
    let dead = items(&node, "/notices?state=dead").await;
    assert_eq!((&dead[0]["error"], &dead[0]["not_before"]), (&json!("404"), &Value::Null));
    let dry = node.call("POST", "/notices/1/retry?dry_run=true", None).await.expect(202).json();
    assert_eq!(dry["state"], "dead", "nothing was done");
    let again = node.call("POST", "/notices/1/retry", None).await.expect(202).json();
    assert_eq!((&again["state"], &again["tries"]), (&json!("pending"), &json!(0)));
    delivered(&node, &[1], Delivery::Sent).await;
    assert_eq!(items(&node, "/notices?state=sent").await.len(), 1);
    assert!(items(&node, "/notices?state=dead").await.is_empty());
    assert_eq!(node.call("POST", "/notices/1/retry", None).await.expect(409).code(), "notice-sent");
    node.call("POST", "/notices/9/retry", None).await.expect(404);
    assert_eq!(items(&node, "/audit?action=notice.retry").await.len(), 1);
}

#[tokio::test]
async fn what_is_told_of_a_job_is_seen_by_whoever_sees_the_job() {
    let node = failed("mine-1").await;
    let with_scope = async |who: &str, role: Role, jobs: &str| {
        let scope = Scope { jobs: vec![jobs.into()], tags: Vec::new() };
        let made = User { scope, ..user(who, role) };
        node.submit(Op::CreateUser { user: Box::new(made), session: None }).await;
        node.login(who).await
    };
    let ann = with_scope("ann", Role::Operator, "mine-*").await;
    let eve = with_scope("eve", Role::Operator, "other-*").await;
    let view = with_scope("vic", Role::Viewer, "mine-*").await;
    for path in ["/incidents", "/notices"] {
        for (who, many) in [(&ann, 1), (&view, 1), (&eve, 0)] {
            let list = node.call_as(who, "GET", path, None).await.expect(200).json();
            assert_eq!(list["items"].as_array().unwrap().len(), many, "{path}");
        }
    }
    node.call_as(&eve, "GET", "/incidents/1", None).await.expect(404);
    for path in ["/incidents/1/acknowledge", "/notices/1/retry"] {
        node.call_as(&eve, "POST", path, None).await.expect(404);
        node.call_as(&view, "POST", path, None).await.expect(403);
        assert!(node.call_as(&ann, "POST", path, None).await.status.is_success(), "{path}");
    }
}

#[tokio::test]
async fn a_job_names_channels_that_are_there_and_they_stay() {
    let node = failed("j").await;
    let notify = json!({"notify": {"channels": ["ops", "none"]}});
    let refused = node.call("PATCH", "/jobs/j", Some(notify)).await;
    assert_eq!(refused.status.as_u16(), 422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/notify/channels/1");
    let used = node.call("DELETE", "/channels/ops", None).await.expect(409);
    assert_eq!(used.code(), "in-use");
    assert!(used.json()["detail"].as_str().unwrap().contains("job j"));
    // In one set the order does not matter.
    let channel = json!({"kind": "channel", "name": "new", "type": "webhook",
        "config": {"url": "http://192.0.2.1/"}});
    let job = json!({"name": "k", "notify": {"channels": ["new"]}});
    for path in ["/apply?dry_run=true", "/apply"] {
        let set = node.post(path, json!([job, channel])).await.expect(200).json();
        let items = set["items"].as_array().unwrap();
        assert!(items.iter().all(|item| item["action"] == "created"), "{set}");
        assert_eq!(items[0]["name"], "k");
    }
}

#[tokio::test]
async fn what_the_cluster_has_is_told_by_a_rule_and_seen_without_a_scope() {
    let node = Node::start().await;
    let channel = json!({"type": "webhook", "config": {"url": "http://192.0.2.1/"}});
    node.call("PUT", "/channels/ops", Some(channel)).await.expect(201);
    let rule = json!({"on": ["node_lost", "recovered"], "channels": ["ops"]});
    node.call("PUT", "/rules/cluster", Some(rule)).await.expect(201);
    let narrow = json!({"on": ["sink_behind"], "match": {"tags": ["etl"]}, "channels": ["ops"]});
    let refused = node.call("PUT", "/rules/narrow", Some(narrow)).await.expect(422);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/on");
    let (address, api) = ("10.0.0.2:8001".to_owned(), String::new());
    let (boot, labels) = (Uuid::from_u128(9), Default::default());
    node.submit(Op::NodeUp { node: 2, boot, address, api, slots: 4, labels }).await;
    node.submit(Op::NodeLost { node: 2, boot }).await;

    let open = items(&node, "/incidents").await;
    assert_eq!((&open[0]["node"], &open[0]["job"]), (&json!(2), &Value::Null));
    assert_eq!((&open[0]["trouble"], &open[0]["jobs"]), (&json!("node_lost"), &json!([])));
    let waits = items(&node, "/notices").await;
    assert_eq!((&waits[0]["node"], &waits[0]["sink"]), (&json!(2), &Value::Null));
    let scope = Scope { jobs: vec!["*-1".into()], tags: Vec::new() };
    let ann = User { scope, ..user("ann", Role::Operator) };
    node.submit(Op::CreateUser { user: Box::new(ann), session: None }).await;
    let ann = node.login("ann").await;
    let list = node.call_as(&ann, "GET", "/incidents", None).await.expect(200).json();
    assert_eq!(list["items"], json!([]));
    node.call_as(&ann, "POST", "/incidents/1/acknowledge", None).await.expect(404);
    let bob = node.with_user("bob", Role::Operator).await;
    node.call_as(&bob, "POST", "/incidents/1/acknowledge", None).await.expect(200);
}
