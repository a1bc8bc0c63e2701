//! Contract section 5: parameters against their schema, and schemas meant to hurt. Nothing
//! that a client sends may overflow a stack or keep a leader busy.

use std::time::{Duration, Instant};

use cronapi::machine::prepare::parameters::{compile, fits};
use cronapi::machine::reply::Rejection;
use serde_json::{Map, Value, json};

use crate::world::{World, parameters};

/// Runs with the stack of a worker thread, within a time.
fn within(what: &str, most: Duration, work: impl FnOnce() + Send + 'static) {
    let begun = Instant::now();
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).unwrap();
    thread.join().unwrap();
    let took = begun.elapsed();
    assert!(took < most, "{what} took {took:?}");
}

fn nested(depth: usize, wrap: impl Fn(Value) -> Value) -> Value {
    (0..depth).fold(json!({"type": "string"}), |inner, _| wrap(inner))
}

#[test]
fn a_reference_that_leads_back_to_itself_is_refused() {
    let circles = [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
            "$ref": "#/$defs/a"}),
        json!({"allOf": [{"anyOf": [{"$ref": "#"}]}]}),
        json!({"not": {"$ref": "#"}}),
        json!({"if": {"$ref": "#"}}),
        json!({"dependentSchemas": {"a": {"$ref": "#"}}}),
        json!({"definitions": {"a": {"oneOf": [{"$ref": "#/definitions/a"}]}},
            "$ref": "#/definitions/a"}),
        json!({"$anchor": "top", "allOf": [{"$ref": "#top"}]}),
        json!({"$defs": {"a": {"$anchor": "x", "$ref": "#x"}}, "$ref": "#x"}),
        json!({"$id": "http://h/s", "allOf": [{"$ref": "s"}]}),
        json!({"$id": "http://h/s", "allOf": [{"$ref": "http://h/s"}]}),
        json!({"allOf": [{"$id": "http://h/t", "$defs": {"a": {"$ref": "#"}},
            "$ref": "#/$defs/a"}]}),
        json!({"$ref": "#/%24defs/a", "$defs": {"a": {"$ref": "#/%24defs/a"}}}),
        json!({"$dynamicAnchor": "n", "allOf": [{"$dynamicRef": "#n"}]}),
        json!({"propertyNames": {"$ref": "#/propertyNames"}}),
        json!({"contains": {"$ref": "#"}, "items": {"$ref": "#"}}),
        json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}}),
        json!({"unevaluatedProperties": {"$ref": "#"}}),
    ];
    for schema in circles {
        let text = schema.to_string();
        within(&text.clone(), Duration::from_secs(2), move || {
            assert!(compile(&schema).is_err(), "{text}");
            let deep = nested(100, |inner| json!({"a": inner}));
            let given = parameters(json!({"a": deep}));
            assert!(fits(&schema, &given, "parameters").is_err());
        });
    }
}

#[test]
fn references_within_the_schema_resolve() {
    let schema = json!({"$defs": {"n": {"type": "integer"}, "m": {"$ref": "#/$defs/n"},
        "a/b": {"type": "string"}},
        "properties": {"x": {"$ref": "#/$defs/m"}, "y": {"$ref": "#/$defs/n"},
            "z": {"$ref": "#/$defs/a~1b"}, "$ref": {"type": "string"}, "$id": {"type": "string"}},
        "enum": [{"x": 1, "y": 2, "z": "s"}, {"$ref": "#"}]});
    assert!(fits(&schema, &parameters(json!({"x": 1, "y": 2, "z": "s"})), "p").is_ok());
    let faults = fits(&schema, &parameters(json!({"x": "1", "z": 3})), "p").unwrap_err();
    let pointers: Vec<&str> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert!(pointers.contains(&"/p/x") && pointers.contains(&"/p/z"), "{pointers:?}");
    for far in ["http://example.com/s", "file:///etc/passwd", "#/nowhere", "other.json"] {
        assert!(compile(&json!({"$ref": far})).is_err(), "{far}");
    }
}

/// `$defs` that each name the next twice: 2^n ways through it.
fn doubling(levels: usize, wrap: fn(Value) -> Value) -> Value {
    let mut defs = Map::new();
    for at in 0..levels {
        let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
        defs.insert(format!("d{at}"), json!({"allOf": [wrap(next.clone()), wrap(next)]}));
    }
    defs.insert(format!("d{levels}"), json!({"type": "string"}));
    json!({"$ref": "#/$defs/d0", "$defs": defs})
}

#[test]
fn schemas_that_grow_when_they_are_followed_are_refused() {
    type Wrap = fn(Value) -> Value;
    let wraps: [(&str, Wrap); 3] = [
        ("in place", |next| next),
        ("by property", |next| json!({"properties": {"a": next}})),
        ("by item", |next| json!({"properties": {"a": {"items": next}}})),
    ];
    for (what, wrap) in wraps {
        within(what, Duration::from_secs(2), move || {
            assert!(compile(&doubling(40, wrap)).is_err(), "{what}");
            assert!(compile(&doubling(5, wrap)).is_ok(), "{what}");
        });
    }
}

#[test]
fn deep_schemas_and_long_rows_of_references_are_refused() {
    within("deep", Duration::from_secs(2), || {
        for wrap in [
            (|inner| json!({"not": inner})) as fn(Value) -> Value,
            |inner| json!({"properties": {"a": inner}}),
            |inner| json!([inner]),
        ] {
            assert!(compile(&nested(120, wrap)).is_err());
        }
        let mut defs = Map::new();
        for at in 0..1_500 {
            defs.insert(format!("d{at}"), json!({"$ref": format!("#/$defs/d{}", at + 1)}));
        }
        defs.insert("d1500".into(), json!({"type": "object"}));
        let row = json!({"$ref": "#/$defs/d0", "$defs": defs});
        assert!(compile(&row).is_err());
        assert!(fits(&row, &parameters(json!({})), "p").is_err());
    });
}

#[test]
fn patterns_meant_to_blow_up_cost_little() {
    within("patterns", Duration::from_secs(5), || {
        let schema = json!({"properties": {"s": {"pattern": "^(a+)+$"}}});
        let given = parameters(json!({"s": "a".repeat(30_000) + "!"}));
        assert!(fits(&schema, &given, "p").is_err());
        let large = json!({"properties": {"s": {"pattern": "((\\w{50}){50}){50}"}}});
        assert!(compile(&large).is_err());
        let many: Map<String, Value> =
            (0..900).map(|at| (format!("^x{at}\\w{{30}}[a-z]{{90}}$"), json!({}))).collect();
        assert!(compile(&json!({"patternProperties": many})).is_err());
    });
}

#[test]
fn many_faults_of_large_values_are_told_in_a_few_words() {
    within("faults", Duration::from_secs(5), || {
        let all: Vec<Value> = (0..500).map(|_| json!({"type": "string"})).collect();
        let schema = json!({"additionalProperties": {"items": {"allOf": all}}});
        let numbers: Vec<u32> = (0..10_000).map(|at| at % 10).collect();
        let given = parameters(json!({"a": numbers}));
        let faults = fits(&schema, &given, "p").unwrap_err();
        assert!(faults.len() <= 20);
        let schema = json!({"additionalProperties": false, "maxProperties": 0,
            "properties": {"k": {"const": "y".repeat(20_000)}}});
        let key = "x".repeat(15_000);
        let given = parameters(json!({key: 1, "k": "z".repeat(10_000)}));
        let faults = fits(&schema, &given, "p").unwrap_err();
        let told: usize = faults.iter().map(|f| f.pointer.len() + f.detail.len()).sum();
        assert!(told < 4_000, "{told}");
        let given = parameters(json!({"x".repeat(15_000): 1}));
        let faults = fits(&json!({"additionalProperties": {"type": "null"}}), &given, "p");
        let faults = faults.unwrap_err();
        assert!(faults[0].pointer.len() < 1_000, "{}", faults[0].pointer.len());
    });
}

#[test]
fn a_schema_and_its_defaults_are_checked_at_write_and_each_trigger_after() {
    let mut world = World::new();
    let schema = json!({"type": "object", "required": ["n"],
        "properties": {"n": {"type": "integer", "minimum": 3}}});
    let faults = |answer| match answer {
        Err(Rejection::Invalid(faults)) => {
            faults.into_iter().map(|fault| fault.pointer).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    let job = |more: Value| {
        let mut job = json!({"name": "m", "parameters_schema": schema});
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    };
    let refused = world.try_put(job(json!({"parameters": {"n": 1}})));
    assert_eq!(faults(refused), ["/parameters/n"]);
    let refused = world.try_put(job(json!({"expr": "* * * * *"})));
    assert_eq!(faults(refused), ["/parameters/n"]);
    let refused = world.try_put(json!({"name": "m", "parameters_schema": {"type": "intger"}}));
    assert_eq!(faults(refused), ["/parameters_schema"]);
    world.put(job(json!({})));
    assert_eq!(faults(world.try_trigger("m", json!({"n": "x"}), false)), ["/parameters/n"]);
    assert_eq!(faults(world.try_trigger("m", json!({}), false)), ["/parameters/n"]);
    assert!(world.try_trigger("m", json!({"n": 3}), false).is_ok());
}
