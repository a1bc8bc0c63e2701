//! Schemas the way generated clients like them: each object has a name, each number its type,
//! and what may be left out is not null besides.

use serde_json::{Map, Value, json};

/// A reference to a schema of the components.
pub(super) fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{schema}") })
}

const SCHEMAS: &str = "#/components/schemas/";

/// What is added to the schemas of the types, or mended in them.
pub(super) fn finish(schemas: &mut Value) {
    name_variants(schemas, "Runner", "type");
    schemas["Consistency"] = json!({
        "type": "string",
        "description": "How fresh a read has to be.",
        "enum": ["linearizable", "local"]
    });
    schemas["ParametersSchema"] = json!({ "type": "object", "additionalProperties": true });
    for definition in ["JobSpec", "JobView"] {
        let field = &mut schemas[definition]["properties"]["parameters_schema"];
        *field = json!({
            "$ref": format!("{SCHEMAS}ParametersSchema"),
            "description": field["description"]
        });
    }
    // A null leaves a field out: what merge patches and many clients mean by it.
    accept_nulls(&mut schemas["JobSpec"]);
    let mut fields = schemas["JobSpec"].clone();
    if let Some(required) = fields["required"].as_array_mut() {
        required.retain(|field| field != "name");
    }
    let mut patch = fields.clone();
    fields["description"] = json!("A job's definition; its name may be left out.");
    patch["description"] = json!("The fields of a definition to change; null takes one out.");
    schemas["MergePatch"] = json!({
        "type": "object",
        "description": "What to change within a field; null takes a part out.",
        "additionalProperties": true
    });
    // What a patch does not name stays as it is.
    for (_, field) in patch["properties"].as_object_mut().into_iter().flatten() {
        field.as_object_mut().and_then(|field| field.remove("default"));
    }
    merge_into_objects(&mut patch, schemas);
    schemas["JobFields"] = fields;
    schemas["JobPatch"] = patch;
    schemas["SentEvent"]["properties"]["data"]["contentMediaType"] = json!("application/json");
    schemas["SentEvent"]["properties"]["data"]["contentSchema"] =
        json!({ "anyOf": [reference("Event"), reference("LogLine"), { "type": "object" }] });
    // Of each event, as OpenAPI before 3.2 has it; and of what a client has that reads it whole.
    schemas["Stream"] = json!({
        "description": "An event of a stream, or all of them as text.",
        "anyOf": [reference("SentEvent"), { "type": "string" }]
    });
    schemas["JobView"]["properties"]["warnings"] = json!({
        "type": "array",
        "items": { "type": "string" },
        "description": "What the caller had better know, in the answer to a write."
    });
}

/// Gives each variant of a tagged union a schema of its own, and says how to tell them apart.
fn name_variants(schemas: &mut Value, union: &str, tag: &str) {
    let variants = schemas[union]["oneOf"].as_array().cloned().unwrap_or_default();
    let (mut references, mut mapping) = (Vec::new(), Map::new());
    for mut variant in variants {
        let kind = variant["properties"][tag]["enum"][0].as_str().unwrap_or_default().to_owned();
        let name = format!("{}{union}", capitalised(&kind));
        variant["properties"][tag] =
            json!({ "type": "string", "const": kind, "description": "Which of them it is." });
        variant["additionalProperties"] = json!(false);
        references.push(reference(&name));
        mapping.insert(kind, json!(format!("{SCHEMAS}{name}")));
        schemas[name] = variant;
    }
    schemas[union]["oneOf"] = Value::Array(references);
    schemas[union]["discriminator"] = json!({ "propertyName": tag, "mapping": mapping });
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

pub(super) fn accept_nulls(schema: &mut Value) {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in schema["properties"].as_object_mut().into_iter().flatten() {
        if required.iter().any(|needed| needed == name) {
            continue;
        }
        if let Some(kind) = field.get("type").filter(|kind| kind.is_string()).cloned() {
            field["type"] = json!([kind, "null"]);
        } else if field.get("oneOf").is_none() && field.get("anyOf").is_none() {
            let description = field.get("description").cloned();
            let mut bare = field.clone();
            if let Some(map) = bare.as_object_mut() {
                map.remove("description");
            }
            *field = json!({ "anyOf": [{ "type": "null" }, bare] });
            if let Some(description) = description {
                field["description"] = description;
            }
        }
    }
}

/// A field that is an object is patched part by part: RFC 7396 goes all the way down.
fn merge_into_objects(patch: &mut Value, schemas: &Value) {
    for (_, field) in patch["properties"].as_object_mut().into_iter().flatten() {
        let Some(choices) = field.get_mut("anyOf").and_then(Value::as_array_mut) else { continue };
        let object = choices.iter().filter_map(|choice| choice["$ref"].as_str()).any(|place| {
            let schema = &schemas[place.trim_start_matches(SCHEMAS)];
            schema["properties"].is_object() || schema["discriminator"].is_object()
        });
        if object {
            choices.push(reference("MergePatch"));
        }
    }
}

/// Spells out numbers that a type alias hides, names maps by what they hold, and puts defaults
/// into words.
pub(super) fn plain(document: &mut Value) {
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.remove("u64");
        if let Some(labels) = schemas.remove("BTreeMap") {
            schemas.insert("Labels".into(), labels);
        }
    }
    walk(document, &mut |map| {
        spell_out(map);
        tell_default(map);
    });
}

fn spell_out(map: &mut Map<String, Value>) {
    match map.get("$ref").and_then(Value::as_str) {
        Some("#/components/schemas/u64") => {
            map.remove("$ref");
            map.insert("type".into(), json!("integer"));
            map.insert("format".into(), json!("int64"));
            map.insert("minimum".into(), json!(0));
        }
        Some("#/components/schemas/BTreeMap") => {
            map.insert("$ref".into(), json!("#/components/schemas/Labels"));
        }
        _ => {}
    }
}

/// A default that a client knows is one that it sends: a patch would then change more than it
/// names, and what is new in a server would be overruled. So people are told, programs are not.
fn tell_default(schema: &mut Map<String, Value>) {
    let typed = ["type", "$ref", "anyOf", "oneOf"].iter().any(|key| schema.contains_key(*key));
    let Some(default) = schema.get("default").filter(|_| typed).cloned() else { return };
    schema.remove("default");
    let words = match &default {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => default.to_string(),
        Value::Array(items) if !items.is_empty() => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        _ => return,
    };
    let said = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    schema.insert("description".into(), json!(format!("{said} Default: `{words}`.").trim()));
}

fn walk(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            change(map);
            map.values_mut().for_each(|inner| walk(inner, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| walk(inner, change)),
        _ => {}
    }
}

/// The schema without null: for what is there or not, such as a parameter.
pub(super) fn without_null(schema: &mut Value) {
    let null = json!({ "type": "null" });
    if let Some(kinds) = schema.get_mut("type").and_then(Value::as_array_mut) {
        kinds.retain(|kind| kind != "null");
        if let [one] = kinds.as_slice() {
            schema["type"] = one.clone();
        }
    }
    for union in ["oneOf", "anyOf"] {
        let Some(choices) = schema.get_mut(union).and_then(Value::as_array_mut) else { continue };
        choices.retain(|choice| *choice != null);
        if let [one] = choices.as_slice() {
            *schema = one.clone();
        }
    }
}
