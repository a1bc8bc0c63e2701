//! The document as generated clients see it: names that read well, and types that have one.

use std::collections::BTreeSet;

use cronapi::api;
use serde_json::Value;

/// What a method's name may begin with; `login` and `logout` say it all.
const VERBS: &[&str] = &[
    "acknowledge",
    "apply",
    "begin",
    "cancel",
    "change",
    "create",
    "delete",
    "explain",
    "export",
    "finish",
    "follow",
    "get",
    "issue",
    "list",
    "patch",
    "pause",
    "post",
    "preview",
    "put",
    "refresh",
    "remove",
    "resume",
    "retry",
    "revoke",
    "rewind",
    "rotate",
    "run",
    "search",
    "send",
    "set",
    "test",
    "transfer",
    "verify",
];

fn document() -> Value {
    serde_json::from_str(&api::openapi()).unwrap()
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document["paths"].as_object().unwrap().values();
    paths.flat_map(|item| item.as_object().unwrap().values())
}

#[test]
fn the_name_of_an_operation_says_what_it_does_to_what() {
    for operation in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap();
        let (verb, rest) = id.split_once('_').unwrap_or((id, ""));
        let pleasant = VERBS.contains(&verb) && !rest.is_empty();
        assert!(
            pleasant || matches!(id, "login" | "logout"),
            "{id}: name the handler with a verb first, such as list_jobs"
        );
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(id.chars().all(plain) && id.len() <= 30, "{id}: too much of a name");
    }
}

#[test]
fn every_object_has_a_name_of_its_own() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        let words = name.starts_with(|c: char| c.is_ascii_uppercase());
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric());
        assert!(words && plain && !name.contains("Map"), "{name} is a type of Rust");
    }
    for operation in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        let responses = operation["responses"].as_object().unwrap().values();
        for holder in responses.chain(operation.get("requestBody")) {
            for (kind, content) in holder["content"].as_object().into_iter().flatten() {
                let schema = &content["schema"];
                let named = schema["$ref"].is_string() || schema["type"] == "string";
                assert!(named, "{id}: {kind} has no name: {schema}");
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let schema = &parameter["schema"];
            let list = schema["type"].is_array() || schema["oneOf"].is_array();
            assert!(!list, "{id}: {} is there or not, but never null", parameter["name"]);
        }
    }
    for (name, schema) in schemas {
        for (field, inner) in inner(schema) {
            // A map of anything, or of numbers, is a dictionary in every language.
            let shape = inner["properties"].is_object() || inner["enum"].is_array();
            assert!(!shape, "{name}.{field} is a shape without a name");
        }
    }
}

/// Schemas that stand within one, with the field that they stand in.
fn inner(schema: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (field, value) in schema["properties"].as_object().into_iter().flatten() {
        let mut choices = vec![value, &value["items"], &value["additionalProperties"]];
        for union in ["oneOf", "anyOf"] {
            choices.extend(value[union].as_array().into_iter().flatten());
        }
        found.extend(choices.into_iter().map(|choice| (field.clone(), choice)));
    }
    for union in ["oneOf", "anyOf"] {
        let choices = schema[union].as_array().into_iter().flatten();
        found.extend(choices.map(|choice| (union.to_owned(), choice)));
    }
    found
}

#[test]
fn tagged_unions_say_how_to_tell_their_variants_apart() {
    let document = document();
    let runner = &document["components"]["schemas"]["Runner"];
    let mapping = runner["discriminator"]["mapping"].as_object().unwrap();
    let told: BTreeSet<&str> = mapping.values().filter_map(Value::as_str).collect();
    let choices = runner["oneOf"].as_array().unwrap();
    let there: BTreeSet<&str> = choices.iter().filter_map(|one| one["$ref"].as_str()).collect();
    assert_eq!(told, there);
    for (kind, place) in mapping {
        let schema = document.pointer(&place.as_str().unwrap()[1..]).unwrap();
        assert_eq!(schema["properties"]["type"]["const"], *kind);
        assert!(schema["required"].as_array().unwrap().contains(&"type".into()), "{place}");
    }
}

/// What a client knows as a default it sends, in a patch too.
#[test]
fn no_schema_has_a_default_that_clients_would_send() {
    fn walk(place: &str, value: &Value) {
        if let Some(schema) = value.as_object() {
            let typed =
                ["type", "$ref", "anyOf", "oneOf"].iter().any(|key| schema.contains_key(*key));
            assert!(!typed || !schema.contains_key("default"), "{place} has a default");
        }
        let fields = value.as_object().into_iter().flatten();
        fields.for_each(|(name, inner)| walk(&format!("{place}.{name}"), inner));
        value.as_array().into_iter().flatten().for_each(|inner| walk(place, inner));
    }
    walk("document", &document());
}
