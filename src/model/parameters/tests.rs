//! Defaults and secrets, as a schema says them.

use serde_json::{Value, json};

use super::*;

fn object(value: Value) -> Parameters {
    let Value::Object(map) = value else { panic!("no object") };
    Parameters::new(map).unwrap()
}

#[test]
fn defaults_are_filled_in_where_nothing_is_given() {
    let schema = json!({
        "$defs": {"region": {"type": "string", "default": "eu"}},
        "properties": {
            "n": {"type": "integer", "default": 5},
            "nil": {"default": 1},
            "region": {"$ref": "#/$defs/region"},
            "both": {"allOf": [{"type": "object"}, {"default": {"a": 1}}],
                "properties": {"b": {"default": 2}}},
            "deep": {"properties": {"x": {"default": "x"}, "y": {}}},
            "away": {"properties": {"x": {"default": "x"}}},
            "list": {"items": {"properties": {"x": {"default": 1}}}},
        },
        "anyOf": [{"properties": {"maybe": {"default": 1}}}, {}],
    });
    let given = object(json!({"nil": null, "deep": {"y": 1}, "list": [{}]}));
    let filled = given.with_defaults(Some(&schema)).unwrap();
    let wanted = json!({"n": 5, "nil": null, "region": "eu", "both": {"a": 1, "b": 2},
        "deep": {"x": "x", "y": 1}, "list": [{}]});
    assert_eq!(filled.to_value(), wanted);
    let again = filled.clone().with_defaults(Some(&schema)).unwrap();
    assert_eq!(again, filled);
    let large = json!({"$defs": {"l": {"default": "x".repeat(20_000)}}, "properties": {
        "a": {"$ref": "#/$defs/l"}, "b": {"$ref": "#/$defs/l"}}});
    assert!(object(json!({})).with_defaults(Some(&large)).unwrap_err().contains("over 32768"));
}

#[test]
fn a_secret_is_known_by_its_path_and_told_of_without_its_value() {
    let schema = json!({
        "$defs": {"pw": {"type": "string", "minLength": 9, "x-secret": true}},
        "properties": {
            "pw": {"type": "string", "x-secret": true},
            "db": {"type": "object", "properties": {"pass/word": {"$ref": "#/$defs/pw"}}},
            "open": {"type": "string", "x-secret": false},
            "x-secret": {"type": "string"},
        },
    });
    let secrets = SecretParameters::of(&schema);
    assert_eq!(secrets.misplaced(&schema), None);
    let plain = json!({"pw": "hunter2", "db": {"pass/word": ["hunter2"]}, "open": "o"});
    let faults = secrets.faults(&plain, "parameters");
    let mut at: Vec<&str> = faults.iter().map(|fault| &*fault.pointer).collect();
    at.sort_unstable();
    assert_eq!(at, ["/parameters/db/pass~1word", "/parameters/pw"]);
    assert!(!format!("{faults:?}").contains("hunter2"));
    let without = secrets.without_plain(&plain);
    assert!(!without.to_string().contains("hunter2") && without["open"] == "o");
    let named = json!({"pw": {"secret": "a"}, "db": {"pass/word": {"secret": "b"}}});
    assert!(secrets.faults(&named, "").is_empty());
    for other in [json!({"secret": "a", "x": 1}), json!({"secret": "not a name"}), json!({})] {
        assert_eq!(secrets.faults(&json!({ "pw": other }), "").len(), 1);
    }
    let filled = secrets.filled(&named, |wanted| Ok(format!("<{}>", wanted.secret)));
    assert_eq!(filled, Ok(Some(json!({"pw": "<a>", "db": {"pass/word": "<b>"}}))));
    assert_eq!(secrets.filled(&json!({"open": 1}), |_| Ok(String::new())), Ok(None));
    let stripped = secrets.stripped(&schema);
    assert_eq!(stripped["properties"]["pw"], json!(true));
    assert_eq!(stripped["$defs"]["pw"], json!(true));
    assert_eq!(stripped["properties"]["open"], schema["properties"]["open"]);
    assert!(secrets.touches("pw") && secrets.touches("db") && secrets.touches("pw.x"));
    assert!(!secrets.touches("open") && !secrets.touches("db.other"));
}

#[test]
fn the_keyword_has_a_meaning_under_properties_alone() {
    for (schema, place) in [
        (json!({"x-secret": true}), "at :"),
        (json!({"properties": {"a": {"items": {"x-secret": true}}}}), "/properties/a/items"),
        (json!({"anyOf": [{"properties": {"a": {"x-secret": true}}}]}), "/anyOf/0/properties/a"),
        (json!({"additionalProperties": {"x-secret": true}}), "/additionalProperties"),
        (json!({"$defs": {"a": {"x-secret": true}}}), "/$defs/a"),
        (json!({"properties": {"a": {"x-secret": "yes"}}}), "/properties/a"),
    ] {
        let misplaced = SecretParameters::of(&schema).misplaced(&schema);
        assert!(misplaced.as_ref().is_some_and(|why| why.contains(place)), "{misplaced:?}");
    }
    let data = json!({"properties": {"a": {"default": {"x-secret": true}}}});
    assert_eq!(SecretParameters::of(&data).misplaced(&data), None);
}
