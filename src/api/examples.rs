//! An example for every request body of the document, and for the names in its paths.
//!
//! Each is a request that is answered with success, sent after those that make what it
//! names: `tests/api/examples.rs` sends them all. What only a live cluster
//! knows (a refresh token, an id, the present password) stands there as a placeholder.

use serde_json::{Map, Value, json};

use crate::model::Kind;

/// Puts the examples of `method path` into its request body.
pub(super) fn finish(operation: &mut Value, method: &str, path: &str) {
    let examples = of(method, path);
    let bodies = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
    for (_, content) in bodies.into_iter().flatten() {
        match examples.as_slice() {
            [] => {}
            [(_, _, one)] => content["example"] = one.clone(),
            many => {
                let named = many.iter().map(|(name, summary, value)| {
                    let example = json!({ "summary": summary, "value": value });
                    ((*name).to_owned(), example)
                });
                content["examples"] = Value::Object(named.collect::<Map<_, _>>());
            }
        }
    }
    name_in_path(operation, path);
}

/// The name that stands in the path of the examples: the one that those before it create.
fn name_in_path(operation: &mut Value, path: &str) {
    const NAMES: [(&str, &str); 3] = [
        ("/jobs/{name}", "nightly-dump"),
        ("/users/{name}", "ana"),
        ("/secrets/{name}", "db-password"),
    ];
    if path.starts_with("/backfills/{id}") {
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten().filter(|it| it["name"] == "id") {
            parameter["example"] = json!(1);
        }
    }
    let known = NAMES.iter().find(|(known, _)| path.starts_with(known));
    let known = known.map(|(_, name)| json!(name));
    let of_kind = || kind_of(path).map(|(kind, _)| kind.example()["name"].clone());
    let Some(name) = known.or_else(of_kind) else { return };
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if parameter["in"] == "path" && parameter["name"] == "name" {
            parameter["example"] = name.clone();
        }
    }
}

/// The kind that a path is of, and what comes after it.
fn kind_of(path: &str) -> Option<(Kind, &str)> {
    let base = path.strip_prefix('/')?;
    let (plural, rest) = base.split_once('/').unwrap_or((base, ""));
    Some((Kind::plain().find(|kind| kind.plural() == plural)?, rest))
}

fn of_kinds(method: &str, path: &str) -> Vec<Example> {
    let Some((kind, rest)) = kind_of(path) else { return Vec::new() };
    let mut example = kind.example();
    let value = match (method, rest) {
        ("post", "") => example,
        ("put", "{name}") => {
            example.as_object_mut().map(|fields| fields.remove("name"));
            example
        }
        ("patch", "{name}") => kind.patch(),
        _ => return Vec::new(),
    };
    vec![("one", "", value)]
}

type Example = (&'static str, &'static str, Value);

fn of(method: &str, path: &str) -> Vec<Example> {
    let one = |value| vec![("one", "", value)];
    match (method, path) {
        ("post", "/jobs") => jobs(),
        ("post", "/workflows") => one(json!({
            "name": "etl",
            "tasks": [
                { "name": "list", "runner": { "type": "shell", "command": "list-files" } },
                { "name": "copy", "after": ["list"], "over": "${tasks.list.result.files}",
                    "runner": { "type": "shell", "argv": ["copy-file", "{{item}}"] } },
                { "name": "tidy", "after": [{ "task": "copy", "on": "always" }],
                    "runner": { "type": "shell", "command": "tidy-up" } }
            ]
        })),
        ("post", "/runs/{id}/retry") => one(json!({ "from": ["copy"] })),
        ("put", "/jobs/{name}") => one(json!({
            "expr": "30 2 * * *",
            "timezone": "Europe/Berlin",
            "runner": { "type": "shell", "command": "pg_dump --file /backup/shop.sql shop" },
            "overlap": "queue_one",
            "timeout": "1h"
        })),
        ("patch", "/jobs/{name}") => one(json!({
            "timeout": "2h",
            "retry": { "max_attempts": 3, "delay": "1m" }
        })),
        ("post", "/schedules/preview") => one(json!({
            "expr": "30 2 * * 1-5",
            "timezone": "Europe/Berlin"
        })),
        ("post", "/apply") => one(json!({ "items": [
            { "name": "extract", "expr": "0 3 * * *", "on_success": ["load"],
                "runner": { "type": "shell", "command": "echo extracting" } },
            { "name": "load", "runner": { "type": "shell", "command": "echo loading" } }
        ] })),
        ("post", "/jobs/{name}/run" | "/jobs/{name}/runs") => {
            one(json!({ "parameters": { "table": "orders" } }))
        }
        ("post", "/jobs/{name}/backfills") => one(json!({
            "from": "2026-01-01T00:00:00Z",
            "to": "2026-01-08T00:00:00Z",
            "which": "missing",
            "max_concurrent": 2,
            "reason": "the disk was full"
        })),
        ("patch", "/backfills/{id}") => one(json!({
            "max_concurrent": 4,
            "rate": { "limit": 10, "per": "1m" }
        })),
        ("post", "/backfills/{id}/pause") => one(json!({ "reason": "month end" })),
        ("post", "/backfills/{id}/cancel") => one(json!({ "reason": "the data was restored" })),
        ("post", "/sinks/{name}/rewind") => one(json!({})),
        ("post", "/triggers/{name}/rewind") => one(json!({ "position": "1767225600000-0" })),
        ("post", "/jobs/{name}/pause") => one(json!({ "reason": "the database is being moved" })),
        ("post", "/jobs/{name}/resume") => one(json!({ "reason": "the database has moved" })),
        _ => of_access(method, path),
    }
}

fn jobs() -> Vec<Example> {
    let shell = json!({
        "name": "nightly-dump",
        "expr": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "runner": { "type": "shell", "command": "pg_dump --file /backup/shop.sql shop" },
        "tags": ["database"],
        "overlap": "queue_one",
        "timeout": "1h"
    });
    let python = json!({
        "name": "example-job",
        "expr": "*/5 * * * *",
        "code": "async def job_function():\n    print(\"Hello from CronAPI!\")",
        "tags": ["example"],
        "is_async": true
    });
    let http = json!({
        "name": "warm-cache",
        "expr": "@hourly",
        "runner": {
            "type": "http",
            "method": "POST",
            "url": "https://example.com/warm",
            "expect_status": [200, 204]
        },
        "retry": { "max_attempts": 3, "delay": "10s", "multiplier": 2 }
    });
    let gated = json!({
        "name": "report",
        "dependencies": ["nightly-dump", "warm-cache"],
        "parameters": { "format": "pdf" },
        "parameters_schema": {
            "type": "object",
            "properties": { "format": { "enum": ["pdf", "html"] } }
        },
        "code": "def job_function(format):\n    return {\"format\": format}"
    });
    vec![
        ("shell", "A shell command every night", shell),
        ("python", "A Python function every five minutes", python),
        ("http", "An HTTP call every hour, with retries", http),
        ("dependencies", "After two others have succeeded, with checked parameters", gated),
    ]
}

fn of_access(method: &str, path: &str) -> Vec<Example> {
    let one = |value| vec![("one", "", value)];
    match (method, path) {
        ("post", "/auth/token" | "/auth/session") => one(json!({
            "grant_type": "password", "username": "admin", "password": "correct horse"
        })),
        ("post", "/auth/login") => one(json!({ "username": "admin", "password": "correct horse" })),
        ("post", "/auth/refresh") => {
            one(json!({ "refresh_token": "the refresh_token that a login gave" }))
        }
        ("put", "/auth/password") => one(json!({
            "old_password": "correct horse", "new_password": "correct horse battery staple"
        })),
        ("post", "/auth/keys/rotate") => one(json!({ "revoke": false })),
        ("post", "/users") => one(json!({
            "name": "ana",
            "password": "seven wooden spoons",
            "role": "operator",
            "scope": { "jobs": ["shop-*"], "tags": ["database"] }
        })),
        ("put", "/users/{name}/role") => {
            one(json!({ "role": "runner", "scope": { "jobs": ["shop-*"] } }))
        }
        ("put", "/users/{name}/password") => one(json!({ "password": "nine wooden spoons" })),
        ("post", "/tokens") => one(json!({
            "name": "deployment", "role": "operator", "expires_in": "720h"
        })),
        ("post", "/push/subscriptions") => one(json!({
            "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAA",
            "keys": {
                "p256dh": "BLn9b-VR0ca83knDNZ32dCHGyjJp-1riX9ZTN40MqV8K\
                    _LpQmLqxC_DoHvqvFXO_nGdAB4W9dogZb_sM-uV4JbY",
                "auth": "_ordMnz7uTCmrpBTeUV4Bw"
            },
            "on": ["failed", "recovered"],
            "match": { "jobs": ["nightly-*"] },
            "label": "phone"
        })),
        ("put", "/secrets/{name}") => one(json!({
            "value": "correct horse battery staple", "scope": { "jobs": ["nightly-*"] }
        })),
        ("post", "/cluster/transfer") => one(json!({ "to": null })),
        _ => of_kinds(method, path),
    }
}
