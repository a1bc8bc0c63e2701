//! The OpenAPI document: made of the handlers' own descriptions, finished with what holds
//! for all of them.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::Api;
use super::problem::ProblemBody;
use crate::model::Event;

const DESCRIPTION: &str = "A clustered job scheduler managed entirely over REST. \
    Get a token from `POST /auth/token` and send it as `Authorization: Bearer <token>`. \
    Errors are problem details (RFC 9457); `/problems/<code>` explains each. \
    Times are RFC 3339 in UTC, durations are `90s`, `5m`, `1h30m`.";

#[derive(OpenApi)]
#[openapi(
    info(title = "CronAPI", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(ProblemBody, Event)),
    tags(
        (name = "auth", description = "Sessions"),
        (name = "jobs", description = "Definitions, schedules, and what became of each time"),
        (name = "runs", description = "Runs and their output"),
        (name = "events", description = "What happens, as it happens"),
        (name = "access", description = "Users, API tokens, the audit"),
        (name = "cluster", description = "Nodes and queues"),
        (name = "health", description = "Probes"),
    )
)]
struct Base;

/// The document as JSON text, ending in a line feed.
pub fn openapi() -> String {
    let guarded = paths_of(super::guarded());
    let base = OpenApiRouter::with_openapi(Base::openapi());
    let whole = base.merge(super::open()).merge(super::guarded()).into_openapi();
    let mut document = serde_json::to_value(whole).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"]["description"] = json!(DESCRIPTION);
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["servers"] = json!([{ "url": "/" }]);
    finish_components(&mut document["components"]);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, methods) in paths.iter_mut() {
            let known = guarded.get(path).cloned().unwrap_or_default();
            for (method, operation) in methods.as_object_mut().into_iter().flatten() {
                finish_operation(operation, path, method, known.get(method).is_some());
            }
        }
    }
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn paths_of(router: OpenApiRouter<Api>) -> Map<String, Value> {
    let document = serde_json::to_value(router.into_openapi()).unwrap_or_default();
    document["paths"].as_object().cloned().unwrap_or_default()
}

/// Error answers by name: what they mean wherever they stand.
const ERRORS: &[(&str, &str, &str)] = &[
    ("BadRequest", "400", "The request, a parameter or a header can't be read."),
    ("Unauthenticated", "401", "There is no token, or it is not good any more."),
    ("Forbidden", "403", "The caller's role does not allow it, or not for this job."),
    ("NotFound", "404", "There is no such thing, or none that the caller may see."),
    ("Conflict", "409", "It can't be done as things stand; `code` says why."),
    ("PreconditionFailed", "412", "The version is another than `If-Match` names."),
    ("TooLarge", "413", "The body is too large."),
    ("UnsupportedMediaType", "415", "The body is of another type."),
    ("Invalid", "422", "Some fields can't be accepted; `errors` lists each."),
    ("Throttled", "429", "Too many attempts; see `Retry-After`."),
    ("Unavailable", "503", "The cluster can't do it now; see `Retry-After`."),
    ("Error", "4XX", "Another problem of the request."),
];

fn finish_components(components: &mut Value) {
    components["securitySchemes"] = json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token from `POST /auth/token`, or an API token."
        },
        "oauth2": {
            "type": "oauth2",
            "description": "For tools that log in by themselves.",
            "flows": { "password": { "tokenUrl": "/auth/token", "scopes": {} } }
        }
    });
    for (name, _, description) in ERRORS {
        components["responses"][*name] = json!({
            "description": description,
            "content": {
                "application/problem+json": { "schema": reference("Problem") }
            }
        });
    }
    let schemas = &mut components["schemas"];
    // A null leaves a field out: what merge patches and many clients mean by it.
    accept_nulls(&mut schemas["JobSpec"]);
    let mut named_by_path = schemas["JobSpec"].clone();
    if let Some(required) = named_by_path["required"].as_array_mut() {
        required.retain(|field| field != "name");
    }
    named_by_path["description"] = json!("A job's definition; its name may be left out.");
    schemas["JobFields"] = named_by_path;
    schemas["SentEvent"]["properties"]["data"]["contentMediaType"] = json!("application/json");
    schemas["SentEvent"]["properties"]["data"]["contentSchema"] =
        json!({ "anyOf": [reference("Event"), reference("LogLine"), { "type": "object" }] });
    schemas["JobView"]["properties"]["warnings"] = json!({
        "type": "array",
        "items": { "type": "string" },
        "description": "What the caller had better know, in the answer to a write."
    });
}

fn accept_nulls(schema: &mut Value) {
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

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn finish_operation(operation: &mut Value, path: &str, method: &str, guarded: bool) {
    operation["security"] =
        if guarded { json!([{ "bearer": [] }, { "oauth2": [] }]) } else { json!([]) };
    if matches!((method, path), ("put", "/jobs/{name}") | ("post", "/schedules/preview")) {
        let content = &mut operation["requestBody"]["content"]["application/json"];
        content["schema"] = reference("JobFields");
    }
    let has_body = operation.get("requestBody").is_some();
    let writes = method != "get";
    let login = path.starts_with("/auth/") && !guarded;
    let conditional = operation["parameters"]
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one["name"] == "If-Match"));
    let mut statuses = vec!["400", "4XX"];
    if guarded {
        statuses.extend(["401", "403"]);
    }
    if path.contains('{') {
        statuses.push("404");
    }
    if writes && guarded {
        statuses.push("409");
    }
    if conditional {
        statuses.push("412");
    }
    if has_body {
        statuses.extend(["413", "415", "422"]);
    }
    if login {
        statuses.extend(["401", "429"]);
    }
    statuses.push("503");
    let responses = &mut operation["responses"];
    for (name, status, _) in ERRORS.iter().filter(|row| statuses.contains(&row.1)) {
        responses[*status] = json!({ "$ref": format!("#/components/responses/{name}") });
    }
}
