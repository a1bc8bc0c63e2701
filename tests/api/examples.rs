//! The examples of the document: one for every request body, and each succeeds when sent.

use cronapi::api;
use serde_json::{Value, json};

use super::fixture::{Answer, Node, PASSWORD, request};

const METHODS: [&str; 3] = ["post", "put", "patch"];

/// A body with an example: method, path, media type, value.
type Example = (String, String, String, Value);

/// Every example, in the order that makes what the next ones need; and bodies without one.
fn examples(document: &Value) -> (Vec<Example>, Vec<String>) {
    let (mut all, mut bare) = (Vec::new(), Vec::new());
    for method in METHODS {
        for (path, item) in document["paths"].as_object().unwrap() {
            let Some(content) = item[method]["requestBody"]["content"].as_object() else {
                continue;
            };
            for (kind, content) in content {
                let mut values: Vec<Value> = content.get("example").cloned().into_iter().collect();
                let named = content["examples"].as_object();
                values.extend(named.into_iter().flatten().map(|(_, one)| one["value"].clone()));
                if values.is_empty() {
                    bare.push(format!("{method} {path} {kind}"));
                }
                let (method, path) = (method.to_owned(), path.clone());
                let of = |value| (method.clone(), path.clone(), kind.clone(), value);
                all.extend(values.into_iter().map(of));
            }
        }
    }
    // What they name exists by then; what ends sessions comes last.
    all.sort_by_key(|(_, path, ..)| match path.as_str() {
        "/jobs" | "/users" | "/sinks" | "/triggers" => 0,
        "/jobs/{name}/backfills" => 1,
        "/auth/password" => 5,
        "/auth/keys/rotate" => 4,
        "/backfills/{id}/cancel" => 3,
        _ => 2,
    });
    (all, bare)
}

#[test]
fn every_request_body_has_an_example_that_fits_its_schema() {
    let document: Value = serde_json::from_str(&api::openapi()).unwrap();
    let (all, bare) = examples(&document);
    assert!(bare.is_empty(), "no example: {bare:?}");
    for (method, path, kind, value) in all {
        let body = &document["paths"][&path][&method]["requestBody"]["content"][&kind];
        let mut schema = body["schema"].clone();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let faults: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{method} {path}: {value}: {faults:?}");
    }
}

/// The path with the names of its parameters' examples.
fn filled(document: &Value, method: &str, begun: &str, path: &str) -> String {
    let mut filled = begun.to_owned();
    let parameters = document["paths"][path][method]["parameters"].as_array();
    let ours = |one: &&Value| one["in"] == "path" && one["name"] != "id";
    for parameter in parameters.into_iter().flatten().filter(ours) {
        let name = parameter["name"].as_str().unwrap();
        let example = match &parameter["example"] {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => panic!("{method} {path}: no example of {name}"),
        };
        filled = filled.replace(&format!("{{{name}}}"), &example);
    }
    filled
}

/// The id of a run of a workflow that has ended.
async fn ended(node: &Node) -> String {
    let task = json!({ "name": "copy", "runner": { "type": "shell", "command": "sleep 60" } });
    node.post("/workflows", json!({ "name": "copying", "tasks": [task] })).await.expect(201);
    let run = node.post("/jobs/copying/run", json!({})).await.expect(202).json();
    let id = run["id"].as_str().unwrap().to_owned();
    node.begin(&id).await;
    node.post(&format!("/runs/{id}/cancel"), json!({})).await.expect(202);
    id
}

/// What only a live cluster knows, in the place of its placeholder.
async fn live(node: &Node, path: &str, mut value: Value) -> Value {
    match path {
        "/auth/refresh" => {
            let login = json!({ "username": "admin", "password": PASSWORD });
            let issued = node.post("/auth/login", login).await.expect(200).json();
            value["refresh_token"] = issued["refresh_token"].clone();
        }
        // A cluster of one has nobody else to lead.
        "/cluster/transfer" => {
            value["to"] = node.get("/system/leader").await.expect(200).json()["leader_id"].clone();
        }
        _ => {}
    }
    value
}

/// Plain words as a form.
fn form(value: &Value) -> String {
    let fields = value.as_object().unwrap().iter();
    let fields = fields.map(|(key, value)| format!("{key}={}", value.as_str().unwrap()));
    fields.collect::<Vec<_>>().join("&").replace(' ', "+")
}

/// Sends an example, or what was made of one, where it belongs.
async fn sent(node: &Node, method: &str, url: &str, kind: &str, value: &Value) -> Answer {
    let mut asked =
        request(&node.admin, &method.to_uppercase(), url, &[("content-type", kind)], None);
    if url == "/auth/session" {
        asked.headers_mut().insert("x-cronapi-page", "1".parse().unwrap());
    }
    let body = match kind {
        "application/x-www-form-urlencoded" => form(value),
        _ => value.to_string(),
    };
    *asked.body_mut() = body.into();
    node.send(asked).await
}

/// The value with one field null, for each field of which the document knows no null.
fn with_a_wrong_null(document: &Value, schema: &Value, value: &Value) -> Vec<(String, Value)> {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&whole).unwrap();
    let mut shape = schema;
    while let Some(place) = shape["$ref"].as_str() {
        shape = document.pointer(place.trim_start_matches('#')).unwrap();
    }
    let fields = shape["properties"].as_object().into_iter().flatten();
    let nulled = fields.filter(|_| value.is_object()).map(|(field, _)| {
        let mut value = value.clone();
        value[field] = Value::Null;
        (field.clone(), value)
    });
    nulled.filter(|(_, value)| !validator.is_valid(value)).collect()
}

#[tokio::test]
async fn every_example_succeeds_when_it_is_sent_and_not_with_a_null_that_it_may_not_have() {
    let node = Node::start().await;
    let document: Value = serde_json::from_str(&api::openapi()).unwrap();
    let (all, _) = examples(&document);
    assert!(all.len() > 24, "{} examples", all.len());
    let ended = ended(&node).await;
    let mut refused = 0;
    for (method, path, kind, value) in all {
        // The first backfill of the node is the one that an example began.
        let id = if path.starts_with("/backfills/") { "1" } else { &ended };
        let url = filled(&document, &method, &path.replace("{id}", id), &path);
        let value = live(&node, &path, value).await;
        if kind.ends_with("json") {
            let body = &document["paths"][&path][&method]["requestBody"]["content"][&kind];
            for (field, wrong) in with_a_wrong_null(&document, &body["schema"], &value) {
                let answer = sent(&node, &method, &url, &kind, &wrong).await;
                let status = answer.status.as_u16();
                let client = (400..500).contains(&status);
                assert!(client, "{method} {url} takes null as {field}: {status}");
                refused += 1;
            }
        }
        let answer = sent(&node, &method, &url, &kind, &value).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert!([200, 201, 202, 204].contains(&answer.status.as_u16()), "{url} {value}: {text}");
    }
    assert!(refused > 40, "{refused} nulls");
}
