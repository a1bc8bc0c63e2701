//! The OpenAPI document: made of the handlers' own descriptions, finished with what holds
//! for all of them.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::Api;
use super::choices::{JobKind, JobOrder, RunnerKind};
use super::definitions;
use super::examples;
use super::problem::ProblemBody;
use super::shapes::{self, reference};
use crate::model::kind::queue::QueueShare;
use crate::model::{Event, MonitorStatus};

const DESCRIPTION: &str = "A clustered job scheduler managed entirely over REST. \
    Get a token from `POST /auth/token` and send it as `Authorization: Bearer <token>`. \
    Errors are problem details (RFC 9457); `/problems/<code>` explains each. \
    Times are RFC 3339 in UTC, durations are `90s`, `5m`, `1h30m`.";

#[derive(OpenApi)]
#[openapi(
    info(title = "CronAPI", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    components(schemas(
        ProblemBody, Event, JobKind, JobOrder, MonitorStatus, RunnerKind, QueueShare
    )),
    tags(
        (name = "auth", description = "Sessions"),
        (name = "jobs", description = "Definitions, schedules, and what became of each time"),
        (name = "runs", description = "Runs and their output"),
        (name = "backfills", description = "Past times, run on purpose"),
        (name = "pings", description = "Work that tells of itself"),
        (name = "events", description = "What happens, as it happens"),
        (name = "access", description = "Users, API tokens, the audit"),
        (name = "cluster", description = "Nodes and queues"),
        (name = "health", description = "Probes"),
    )
)]
struct Base;

/// The document as JSON text, ending in a line feed.
pub fn openapi() -> String {
    let mut guarded = paths_of(super::guarded());
    let kinds = definitions::paths();
    guarded.extend(kinds.clone());
    let base = OpenApiRouter::with_openapi(Base::openapi());
    let whole = base.merge(super::open()).merge(super::guarded()).into_openapi();
    let mut document = serde_json::to_value(whole).unwrap_or_default();
    document["openapi"] = json!("3.1.0");
    document["info"]["description"] = json!(DESCRIPTION);
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["servers"] = json!([{ "url": "/" }]);
    finish_components(&mut document["components"]);
    definitions::tags(&mut document["tags"]);
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.extend(kinds);
        for (path, methods) in paths.iter_mut() {
            let known = guarded.get(path).cloned().unwrap_or_default();
            for (method, operation) in methods.as_object_mut().into_iter().flatten() {
                finish_operation(operation, path, method, known.get(method).is_some());
            }
        }
    }
    shapes::plain(&mut document);
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
    shapes::finish(&mut components["schemas"]);
    if let Some(schemas) = components["schemas"].as_object_mut() {
        definitions::schemas(schemas);
    }
}

fn finish_operation(operation: &mut Value, path: &str, method: &str, guarded: bool) {
    operation["security"] =
        if guarded { json!([{ "bearer": [] }, { "oauth2": [] }]) } else { json!([]) };
    if matches!((method, path), ("put", "/jobs/{name}") | ("post", "/schedules/preview")) {
        let content = &mut operation["requestBody"]["content"]["application/json"];
        content["schema"] = reference("JobFields");
    }
    let bodies = operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut);
    for (_, content) in bodies.into_iter().flatten() {
        if (method, path) == ("patch", "/jobs/{name}") {
            content["schema"] = reference("JobPatch");
        }
        shapes::without_null(&mut content["schema"]);
    }
    if matches!(path, "/monitors/{name}/pause" | "/monitors/{name}/resume") {
        let answer = &mut operation["responses"]["200"]["content"]["application/json"];
        answer["schema"] = reference("MonitorView");
    }
    finish_parameters(operation, path, guarded && method == "get");
    finish_bodies(operation);
    examples::finish(operation, method, path);
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

/// What answers for a node of itself, or never ends, has no say in how fresh it is.
const ALWAYS_LOCAL: &[&str] = &["/system/", "/cluster/", "/metrics", "/events", "/auth/"];

fn finish_parameters(operation: &mut Value, path: &str, reads: bool) {
    let known = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in known.into_iter().flatten() {
        shapes::without_null(&mut parameter["schema"]);
    }
    let local = ALWAYS_LOCAL.iter().any(|own| path.starts_with(own));
    if reads && (!local || path == "/cluster/backup") {
        let consistency = json!({
            "name": "consistency",
            "in": "query",
            "description": "`local`: cheaper, answered without a leader, perhaps a moment old.",
            "required": false,
            "schema": reference("Consistency")
        });
        match operation["parameters"].as_array_mut() {
            Some(all) => all.push(consistency),
            None => operation["parameters"] = json!([consistency]),
        }
    }
}

/// A file is bytes, a stream what `shapes` makes of it.
fn finish_bodies(operation: &mut Value) {
    for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if let Some(file) = response.pointer_mut("/content/application~1octet-stream") {
            file["schema"] = json!({ "type": "string", "format": "binary" });
        }
        let Some(stream) = response.pointer_mut("/content/text~1event-stream") else { continue };
        stream["schema"] = reference("Stream");
    }
}
