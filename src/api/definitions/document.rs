//! What the OpenAPI document says of the routes of a kind.

use serde_json::{Map, Value, json};

use super::super::shapes::{self, reference};
use crate::model::Kind;

/// The schemas of every kind but jobs: its definition, that without its name, a patch, what answers
/// show, and its versions.
pub(in crate::api) fn schemas(known: &mut Map<String, Value>) {
    for kind in Kind::plain() {
        let mut own = kind.schemas().into_iter();
        let Some((name, spec)) = own.next() else { continue };
        for (name, schema) in own {
            known.entry(name).or_insert_with(|| serde_json::to_value(schema).unwrap_or_default());
        }
        let (title, one) = (kind.title(), kind.as_str());
        let mut spec = serde_json::to_value(spec).unwrap_or_default();
        spec["description"] = json!(format!("A {one}: {}", kind.text()));
        let view = view_of(kind, spec.clone());
        shapes::accept_nulls(&mut spec);
        let mut fields = spec.clone();
        if let Some(required) = fields["required"].as_array_mut() {
            required.retain(|field| field != "name");
        }
        let mut patch = fields.clone();
        fields["description"] = json!(format!("The fields of a {one}; its name may be left out."));
        patch["description"] =
            json!(format!("The fields of a {one} to change; null takes one out."));
        patch.as_object_mut().map(|patch| patch.remove("required"));
        for (_, field) in patch["properties"].as_object_mut().into_iter().flatten() {
            field.as_object_mut().and_then(|field| field.remove("default"));
        }
        let version = version_of(kind, &name);
        let mut item = spec.clone();
        item["description"] = json!(format!("A {one} in a set of definitions."));
        item["properties"]["kind"] = json!({ "type": "string", "const": one,
            "description": "That it is one." });
        if let Some(required) = item["required"].as_array_mut() {
            required.push(json!("kind"));
        }
        known.insert(format!("{title}Definition"), item);
        known.insert(name, spec);
        known.insert(format!("{title}Fields"), fields);
        known.insert(format!("{title}Patch"), patch);
        known.insert(format!("{title}View"), view);
        known.insert(format!("{title}Version"), version);
        known.insert(format!("{title}Page"), page(&format!("{title}View"), "By name."));
        let versions = page(&format!("{title}Version"), "Newest first.");
        known.insert(format!("{title}VersionPage"), versions);
    }
    if let Some(items) = known.get_mut("Definitions").and_then(|set| set.pointer_mut(ITEMS)) {
        let of = |kind: Kind| reference(&format!("{}Definition", kind.title()));
        let others = Kind::plain().map(of);
        let any: Vec<Value> = [items.clone()].into_iter().chain(others).collect();
        *items = json!({ "anyOf": any });
    }
}

/// Where the document says what a set of definitions holds.
const ITEMS: &str = "/properties/items/items";

/// What answers show: the definition, and what the cluster knows of it.
fn view_of(kind: Kind, mut view: Value) -> Value {
    view["description"] = json!(format!("A {}, and what the cluster knows of it.", kind.as_str()));
    let stamp = |description: &str, schema: Value| {
        let choices = [json!({ "type": "null" }), schema];
        json!({ "description": description, "anyOf": choices })
    };
    let at = || reference("Timestamp");
    let number = json!({ "type": "integer", "format": "int64", "minimum": 0 });
    let mut more = vec![
        ("version", stamp("One more with each change; null: it is not defined.", number)),
        ("created_at", stamp("When it was made.", at())),
        ("updated_at", stamp("When it was changed last.", at())),
        ("updated_by", stamp("Who changed it last.", json!({ "type": "string" }))),
    ];
    more.extend(kind.live());
    let names: Vec<Value> = more.iter().map(|(name, _)| json!(name)).collect();
    if let Some(required) = view["required"].as_array_mut() {
        required.extend(names);
    }
    for (name, schema) in more {
        view["properties"][name] = schema;
    }
    view["properties"]["warnings"] = json!({
        "type": "array",
        "items": { "type": "string" },
        "description": "What the caller had better know, in the answer to a write."
    });
    if let Some(view) = view.as_object_mut() {
        view.remove("additionalProperties");
    }
    view
}

fn version_of(kind: Kind, spec: &str) -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "description": format!("A version of a {}.", kind.as_str()),
        "required": ["version", "at", "by", "verb", "definition"],
        "properties": {
            "version": { "type": "integer", "format": "int64", "minimum": 0,
                "description": "From 1." },
            "at": reference("Timestamp"),
            "by": text("Who made it."),
            "verb": text("`create` or `update`."),
            "definition": reference(spec)
        }
    })
}

fn page(item: &str, order: &str) -> Value {
    json!({
        "type": "object",
        "description": "A part of a list.",
        "required": ["items", "next_cursor"],
        "properties": {
            "items": { "type": "array", "items": reference(item), "description": order },
            "next_cursor": { "type": ["string", "null"],
                "description": "For the page after; null: this is the last." }
        }
    })
}

/// The parts of the documentation that kinds stand in.
pub(in crate::api) fn tags(known: &mut Value) {
    let Some(known) = known.as_array_mut() else { return };
    for area in Kind::plain().map(Kind::area) {
        if !known.iter().any(|one| one["name"] == area.tag()) {
            known.push(json!({ "name": area.tag(), "description": area.text() }));
        }
    }
}

/// The paths of every kind but jobs, each with its methods.
pub(in crate::api) fn paths() -> Map<String, Value> {
    let mut all = Map::new();
    for kind in Kind::plain() {
        let base = format!("/{}", kind.plural());
        all.insert(base.clone(), of_all(kind));
        all.insert(format!("{base}/{{name}}"), of_one(kind));
        let (one, title) = (kind.as_str(), kind.title());
        let versions = json!({ "get": operation(
            kind, &format!("list_{one}_versions"), &format!("List the versions of a {one}"),
            "The last hundred are kept.",
            vec![name_of(kind), limit(50), cursor()],
            answers("200", "A page, newest first.", &format!("{title}VersionPage"), false),
        ) });
        all.insert(format!("{base}/{{name}}/versions"), versions);
        let number = json!({ "name": "version", "in": "path", "required": true,
            "description": "A version of it, from 1.",
            "schema": { "type": "integer", "format": "int64", "minimum": 1 } });
        let version = json!({ "get": operation(
            kind, &format!("get_{one}_version"), &format!("Show a version of a {one}"), "",
            vec![name_of(kind), number],
            answers("200", "The version.", &format!("{title}Version"), false),
        ) });
        all.insert(format!("{base}/{{name}}/versions/{{version}}"), version);
    }
    all
}

fn of_all(kind: Kind) -> Value {
    let (one, many, title) = (kind.as_str(), kind.plural(), kind.title());
    let q = json!({ "name": "q", "in": "query", "required": false,
        "description": "Those with this text in their name.",
        "schema": { "type": "string", "maxLength": 256 } });
    let list = operation(
        kind,
        &format!("list_{many}"),
        &format!("List {many}"),
        "By name.",
        vec![q, limit(1_000), cursor()],
        answers("200", "A page of those that the caller may see.", &format!("{title}Page"), false),
    );
    let mut create = operation(
        kind,
        &format!("create_{one}"),
        &format!("Create a {one}"),
        "",
        vec![dry_run(), key()],
        answers("201", "It is new.", &format!("{title}View"), true),
    );
    create["responses"]["200"] =
        answer("With `dry_run`: as it would be.", &format!("{title}View"), false);
    create["requestBody"] = body(&[("application/json", kind.schema_name())], "The definition.");
    json!({ "get": list, "post": create })
}

fn of_one(kind: Kind) -> Value {
    let (one, title) = (kind.as_str(), kind.title());
    let view = format!("{title}View");
    let none_match = |description: &str| {
        json!({ "name": "If-None-Match", "in": "header", "required": false,
            "description": description, "schema": { "type": "string" } })
    };
    let mut read = operation(
        kind,
        &format!("get_{one}"),
        &format!("Show a {one}"),
        "",
        vec![name_of(kind), none_match("The ETag of the copy at hand.")],
        answers("200", "The definition, and what the cluster knows of it.", &view, true),
    );
    read["responses"]["304"] =
        json!({ "description": "The copy at hand is the present definition." });
    let text = "The name may be left out of the body. `If-None-Match: *` only creates, `If-Match` \
        only replaces the version it names. What `GET` answered may be sent back: fields that the \
        cluster sets are ignored if they are as they are, and refused by name if not; what is live \
        is not looked at.";
    let writes = || vec![name_of(kind), dry_run(), key(), if_match()];
    let mut params = writes();
    params.push(none_match("`*`: only create."));
    let mut put = operation(
        kind,
        &format!("put_{one}"),
        &format!("Create or replace a {one}"),
        text,
        params,
        answers("200", "The definition, which was there before.", &view, true),
    );
    if kind.tells_new() {
        put["responses"]["201"] = answer("The definition, which is new.", &view, true);
    }
    let fields = format!("{title}Fields");
    put["requestBody"] = body(&[("application/json", &fields)], "The definition.");
    let mut patch = operation(
        kind,
        &format!("patch_{one}"),
        &format!("Change some fields of a {one}"),
        "A JSON merge patch (RFC 7396): fields that it names are replaced, null takes one out.",
        writes(),
        answers("200", "The definition.", &view, true),
    );
    let schema = format!("{title}Patch");
    let kinds = [("application/merge-patch+json", &*schema), ("application/json", &*schema)];
    patch["requestBody"] = body(&kinds, "The fields to change.");
    let delete = operation(
        kind,
        &format!("delete_{one}"),
        &format!("Delete a {one}"),
        "Its versions go with it.",
        writes(),
        json!({ "204": { "description": "It is gone." } }),
    );
    json!({ "get": read, "put": put, "patch": patch, "delete": delete })
}

fn operation(
    kind: Kind,
    id: &str,
    summary: &str,
    description: &str,
    parameters: Vec<Value>,
    responses: Value,
) -> Value {
    let mut operation = json!({
        "tags": [kind.area().tag()],
        "summary": summary,
        "operationId": id,
        "parameters": parameters,
        "responses": responses
    });
    if !description.is_empty() {
        operation["description"] = json!(description);
    }
    operation
}

fn answers(status: &str, description: &str, schema: &str, tagged: bool) -> Value {
    json!({ status: answer(description, schema, tagged) })
}

fn answer(description: &str, schema: &str, tagged: bool) -> Value {
    let mut answer = json!({
        "description": description,
        "content": { "application/json": { "schema": reference(schema) } }
    });
    if tagged {
        let text = json!({ "schema": { "type": "string" }, "description": "Its version." });
        answer["headers"] = json!({ "ETag": text });
    }
    answer
}

fn body(kinds: &[(&str, &str)], description: &str) -> Value {
    let content = kinds
        .iter()
        .map(|(kind, schema)| ((*kind).to_owned(), json!({ "schema": reference(schema) })))
        .collect::<Map<String, Value>>();
    json!({ "description": description, "required": true, "content": content })
}

fn name_of(kind: Kind) -> Value {
    json!({ "name": "name", "in": "path", "required": true,
        "description": format!("Name of the {}.", kind.as_str()), "schema": reference("Name") })
}

fn limit(usual: usize) -> Value {
    json!({ "name": "limit", "in": "query", "required": false,
        "description": format!("Items at most; default: {usual}."),
        "schema": { "type": "integer", "minimum": 1, "maximum": 1000 } })
}

fn cursor() -> Value {
    json!({ "name": "cursor", "in": "query", "required": false,
        "description": "`next_cursor` of the page before.", "schema": { "type": "string" } })
}

fn dry_run() -> Value {
    json!({ "name": "dry_run", "in": "query", "required": false,
        "description": "Answer as if, and change nothing.", "schema": { "type": "boolean" } })
}

fn key() -> Value {
    json!({ "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "A text of the caller's own: within 24 hours the same request with the same \
            key is carried out once, and answered again with `Idempotent-Replayed: true`.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$" } })
}

fn if_match() -> Value {
    json!({ "name": "If-Match", "in": "header", "required": false,
        "description": "The ETag that the definition must have, or `*`.",
        "schema": { "type": "string" } })
}
