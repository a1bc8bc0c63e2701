//! `openapi.json`: the one in the repository, and the rules of OpenAPI 3.1.
//!
//! `UPDATE_EXPECT=1 cargo test --test api document` writes it anew.

use std::collections::BTreeSet;
use std::io::Read;

use cronapi::api;
use flate2::read::GzDecoder;
use serde_json::Value;

use super::fixture::Node;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

fn document() -> Value {
    serde_json::from_str(&api::openapi()).unwrap()
}

#[test]
fn the_document_in_the_repository_is_the_one_that_is_served() {
    let now = api::openapi();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(GOLDEN, &now).unwrap();
    }
    let kept = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    assert!(
        kept == now,
        "openapi.json has drifted: UPDATE_EXPECT=1 cargo test --test api document"
    );
}

/// Every operation: path, method, operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    all
}

#[test]
fn every_operation_is_described_whole() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
        assert!(!id.is_empty() && ids.insert(id), "{place}: its operationId is not its own");
        assert!(operation["summary"].is_string(), "{place}: no summary");
        assert!(operation["security"].is_array(), "{place}: no security");
        for tag in operation["tags"].as_array().unwrap() {
            let known = document["tags"].as_array().unwrap();
            assert!(known.iter().any(|one| one["name"] == *tag), "{place}: tag {tag}");
        }
        check_parameters(&place, &path, &operation);
        check_responses(&place, &document, &operation);
        if let Some(body) = operation.get("requestBody") {
            assert!(body["description"].is_string(), "{place}: its body is not described");
            assert!(!body["content"].as_object().unwrap().is_empty(), "{place}");
        }
    }
    assert!(ids.len() > 45, "{} operations", ids.len());
}

fn check_parameters(place: &str, path: &str, operation: &Value) {
    let empty = Vec::new();
    let parameters = operation["parameters"].as_array().unwrap_or(&empty);
    let mut seen = BTreeSet::new();
    for parameter in parameters {
        let (name, kind) = (&parameter["name"], parameter["in"].as_str().unwrap());
        assert!(["path", "query", "header"].contains(&kind), "{place}: {name}");
        assert!(parameter["schema"].is_object(), "{place}: {name} has no schema");
        assert!(parameter["description"].is_string(), "{place}: {name} is not described");
        assert!(seen.insert(format!("{kind} {name}")), "{place}: {name} twice");
        if kind == "path" {
            assert_eq!(parameter["required"], true, "{place}: {name}");
        }
    }
    for part in path.split('/').filter_map(|part| part.strip_prefix('{')) {
        let name = part.trim_end_matches('}');
        assert!(seen.contains(&format!("path \"{name}\"")), "{place}: {name} is not described");
    }
}

fn check_responses(place: &str, document: &Value, operation: &Value) {
    let responses = operation["responses"].as_object().unwrap();
    let success = |status: &String| status.starts_with('2') || status.starts_with('3');
    assert!(responses.keys().any(success), "{place}: no success");
    assert!(responses.contains_key("4XX"), "{place}: no range for other problems");
    for (status, response) in responses {
        let response = match response["$ref"].as_str() {
            Some(reference) => resolve(document, reference),
            None => response,
        };
        let text = response["description"].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{place}: {status} is not described");
    }
}

fn resolve<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let found = document.pointer(reference.strip_prefix('#').unwrap());
    found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    fn walk<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.insert(reference);
                }
                map.values().for_each(|value| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    walk(&document, &mut found);
    for reference in &found {
        resolve(&document, reference);
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(found.contains(reference.as_str()), "{name} is used nowhere");
    }
}

#[test]
fn every_schema_is_a_json_schema_of_2020_12() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let checked = jsonschema::meta::validate(schema);
        assert!(checked.is_ok(), "{name}: {}", checked.unwrap_err());
        assert!(schema.get("nullable").is_none(), "{name}: nullable is of OpenAPI 3.0");
    }
}

#[test]
fn examples_of_requests_fit_the_document() {
    let document = document();
    let mut schema = document["components"]["schemas"]["JobSpec"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (text, fits) in [
        (r#"{"name":"a"}"#, true),
        (r#"{"name":"a","expr":"@daily","code":"def f(): pass","tags":["x"]}"#, true),
        (r#"{"name":"a","expr":null,"retry":{"max_attempts":3,"delay":"10s"}}"#, true),
        (r#"{"name":"a","runner":{"type":"shell","command":"true"}}"#, true),
        (r#"{"name":"a","on_success":["b",{"job":"c","parameters":{"x":1}}]}"#, true),
        (r#"{"expr":"@daily"}"#, false),
        (r#"{"name":"a/b"}"#, false),
        (r#"{"name":"a","priority":101}"#, false),
        (r#"{"name":"a","foo":1}"#, false),
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(validator.is_valid(&value), fits, "{text}");
    }
}

#[tokio::test]
async fn the_document_is_packed_for_those_who_read_it_and_not_sent_again() {
    let node = Node::start().await;
    let get = async |name: &'static str, value: &str| {
        node.with_headers("GET", "/openapi.json", &[(name, value)], None).await
    };
    let plain = get("accept-encoding", "br, gzip;q=0").await.expect(200);
    let packed = get("accept-encoding", "gzip, br").await.expect(200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() * 5 < plain.body.len(), "{} bytes", packed.body.len());
    let mut text = String::new();
    GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
    assert!(text.as_bytes() == &plain.body[..] && text == api::openapi());
    let tag = packed.header("etag").to_owned();
    assert_eq!(get("if-none-match", &tag).await.expect(304).body.len(), 0);
}
