//! The examples of the document: one for every request body, and each succeeds when sent.

use cronapi::api;
use serde_json::{Value, json};

use super::fixture::{Node, PASSWORD, request};

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
        "/jobs" | "/users" => 0,
        "/auth/password" => 3,
        "/auth/keys/rotate" => 2,
        _ => 1,
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
fn filled(document: &Value, method: &str, path: &str) -> String {
    let mut filled = path.to_owned();
    let parameters = document["paths"][path][method]["parameters"].as_array();
    for parameter in parameters.into_iter().flatten().filter(|one| one["in"] == "path") {
        let name = parameter["name"].as_str().unwrap();
        let example = parameter["example"].as_str();
        let example = example.unwrap_or_else(|| panic!("{method} {path}: no example of {name}"));
        filled = filled.replace(&format!("{{{name}}}"), example);
    }
    filled
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

#[tokio::test]
async fn every_example_succeeds_when_it_is_sent() {
    let node = Node::start().await;
    let document: Value = serde_json::from_str(&api::openapi()).unwrap();
    let (all, _) = examples(&document);
    assert!(all.len() > 24, "{} examples", all.len());
    for (method, path, kind, value) in all {
        let url = filled(&document, &method, &path);
        let value = live(&node, &path, value).await;
        let mut asked =
            request(&node.admin, &method.to_uppercase(), &url, &[("content-type", &kind)], None);
        if path == "/auth/session" {
            asked.headers_mut().insert("x-cronapi-page", "1".parse().unwrap());
        }
        let body = match kind.as_str() {
            "application/x-www-form-urlencoded" => form(&value),
            _ => value.to_string(),
        };
        *asked.body_mut() = body.clone().into();
        let answer = node.send(asked).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert!([200, 201, 202, 204].contains(&answer.status.as_u16()), "{url} {body}: {text}");
    }
}
