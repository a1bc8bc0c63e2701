//! Every operation of the interface, and who may call it. A new operation needs a line here:
//! `roles.rs` holds the table against the document.

use cronapi::model::Kind;
use cronapi::model::kind::Area;
use serde_json::{Value, json};

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// Anybody, without a token.
    Anybody,
    /// Whoever is known.
    Known,
    Viewer,
    Runner,
    Operator,
    Admin,
}

/// What becomes of a call about a job by somebody whose role does not count for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// There is no such job.
    Hidden,
    /// It may not be done.
    Refused,
    /// The answer is one to a list, and says of the job that it may not be done.
    RefusedInList,
    /// The answer says nothing about the job.
    Left,
    /// It is not about jobs.
    Apart,
}

pub struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    pub least: Least,
    pub outside: Outside,
    /// What a caller who may would send.
    pub body: Option<Value>,
}

/// The path with its parameters filled in.
pub fn filled(path: &str, run: &str) -> String {
    let name = match path.split('/').nth(1) {
        Some("users") => "ann".to_owned(),
        Some(plural) => match Kind::plain().find(|kind| kind.plural() == plural) {
            Some(kind) => kind.example()["name"].as_str().unwrap().to_owned(),
            None => "a".into(),
        },
        None => "a".into(),
    };
    // What the query must have.
    let path = if path.ends_with("/explain") {
        format!("{path}?at=2027-01-15T08:00:00Z")
    } else {
        path.to_owned()
    };
    let path = match path.as_str() {
        "/strips" => format!("{path}?jobs=a"),
        "/fires" | "/load" | "/activity" | "/timeline" => {
            format!("{path}?from=2027-01-15T08:00:00Z&until=2027-01-16T08:00:00Z")
        }
        search if search.ends_with("/search") => format!("{path}?q=a"),
        _ => path,
    };
    let id = match path.split('/').nth(1) {
        Some("cluster") => "77",
        Some("backfills") => "1",
        Some("incidents") => "7",
        _ => run,
    };
    let path = path.replace("{seq}", "7").replace("{name}", &name);
    let path = path.replace("{key}", run).replace("{action}", "start");
    path.replace("{version}", "1").replace("{id}", id)
}

fn get(path: &'static str, least: Least, outside: Outside) -> Operation {
    Operation { method: "get", path, least, outside, body: None }
}

fn bare(method: &'static str, path: &'static str, least: Least, outside: Outside) -> Operation {
    Operation { method, path, least, outside, body: None }
}

fn with(
    method: &'static str,
    path: &'static str,
    least: Least,
    outside: Outside,
    body: Value,
) -> Operation {
    Operation { method, path, least, outside, body: Some(body) }
}

/// All of them. What ends sessions stands last: the callers are logged in once.
pub fn operations() -> Vec<Operation> {
    let mut all = reading();
    all.extend(writing());
    all.extend(of_kinds());
    all.extend(governing());
    all.extend(own());
    all
}

fn reading() -> Vec<Operation> {
    use Least::{Admin, Anybody, Known, Operator, Viewer};
    use Outside::{Apart, Hidden, Left};
    vec![
        get("/", Anybody, Apart),
        get("/health", Anybody, Apart),
        get("/healthz", Anybody, Apart),
        get("/livez", Anybody, Apart),
        get("/readyz", Anybody, Apart),
        get("/ping/{key}", Anybody, Apart),
        get("/ping/{key}/{action}", Anybody, Apart),
        bare("post", "/ping/{key}", Anybody, Apart),
        bare("post", "/ping/{key}/{action}", Anybody, Apart),
        get("/jobs", Viewer, Left),
        get("/jobs/{name}", Viewer, Hidden),
        get("/jobs/{name}/explain", Viewer, Hidden),
        get("/jobs/{name}/ledger", Viewer, Hidden),
        get("/jobs/{name}/logs", Viewer, Hidden),
        get("/jobs/{name}/next", Viewer, Hidden),
        get("/jobs/{name}/runs", Viewer, Hidden),
        get("/jobs/{name}/statistics", Viewer, Hidden),
        get("/jobs/{name}/versions", Viewer, Hidden),
        get("/jobs/{name}/versions/{version}", Viewer, Hidden),
        get("/overview", Viewer, Left),
        get("/strips", Viewer, Left),
        get("/fires", Viewer, Left),
        get("/load", Viewer, Left),
        get("/activity", Viewer, Left),
        get("/timeline", Viewer, Left),
        get("/graph", Viewer, Left),
        get("/jobs/{name}/logs/search", Viewer, Hidden),
        get("/runs/{id}/logs/search", Viewer, Hidden),
        get("/backfills", Viewer, Left),
        get("/backfills/{id}", Viewer, Hidden),
        get("/runs", Viewer, Left),
        get("/runs/{id}", Viewer, Hidden),
        get("/runs/{id}/logs", Viewer, Hidden),
        get("/runs/{id}/tasks", Viewer, Hidden),
        // A stream; what it leaves out is tested with streams.
        get("/events", Viewer, Apart),
        get("/cluster/nodes", Viewer, Apart),
        get("/metrics", Viewer, Apart),
        get("/system/leader", Viewer, Apart),
        get("/system/status", Viewer, Apart),
        get("/incidents", Viewer, Left),
        // Those of jobs out of scope are tested with alerts.
        get("/incidents/{id}", Viewer, Apart),
        get("/notices", Viewer, Left),
        get("/secrets", Operator, Apart),
        get("/secrets/{name}", Operator, Apart),
        get("/cluster/backup", Admin, Apart),
        get("/audit", Admin, Apart),
        get("/audit/export", Admin, Apart),
        get("/audit/verify", Admin, Apart),
        get("/auth/keys", Admin, Apart),
        get("/auth/me", Known, Apart),
        get("/auth/oidc/login", Anybody, Apart),
        get("/auth/oidc/callback", Anybody, Apart),
        get("/tokens", Known, Apart),
        get("/push/key", Known, Apart),
        get("/push/subscriptions", Known, Apart),
        get("/users", Admin, Apart),
        // Everybody may see oneself.
        get("/users/{name}", Admin, Apart),
    ]
}

/// A range of the past.
pub fn past() -> Value {
    json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"})
}

fn writing() -> Vec<Operation> {
    use Least::{Operator, Runner, Viewer};
    use Outside::{Apart, Hidden, Refused, RefusedInList};
    let shell = json!({"type": "shell", "command": "true"});
    let task = json!({"name": "t", "runner": shell});
    vec![
        with("post", "/apply", Operator, RefusedInList, json!([{"name": "a", "tags": ["new"]}])),
        with("post", "/jobs", Operator, Refused, json!({"name": "a"})),
        with("post", "/workflows", Operator, Refused, json!({"name": "a", "tasks": [task]})),
        with("put", "/jobs/{name}", Operator, Refused, json!({"runner": shell})),
        with("patch", "/jobs/{name}", Operator, Refused, json!({"priority": 1})),
        bare("post", "/jobs/{name}/pause", Operator, Refused),
        bare("post", "/jobs/{name}/resume", Operator, Refused),
        bare("post", "/jobs/{name}/run", Runner, Refused),
        bare("post", "/jobs/{name}/runs", Runner, Refused),
        with("post", "/jobs/{name}/backfills", Operator, Refused, past()),
        with("patch", "/backfills/{id}", Operator, Refused, json!({"max_concurrent": 2})),
        bare("post", "/backfills/{id}/pause", Operator, Refused),
        bare("post", "/backfills/{id}/resume", Operator, Refused),
        bare("post", "/backfills/{id}/cancel", Operator, Refused),
        bare("post", "/runs/{id}/cancel", Operator, Refused),
        bare("post", "/runs/{id}/retry", Operator, Refused),
        bare("post", "/incidents/{id}/acknowledge", Operator, Apart),
        bare("post", "/notices/{seq}/retry", Operator, Apart),
        get("/monitors/{name}/pings", Viewer, Hidden),
        bare("post", "/monitors/{name}/pause", Operator, Refused),
        bare("post", "/monitors/{name}/resume", Operator, Refused),
        bare("post", "/monitors/{name}/key", Operator, Refused),
        bare("post", "/runs/{id}/pause", Operator, Refused),
        bare("post", "/runs/{id}/resume", Operator, Refused),
        with("post", "/schedules/preview", Viewer, Apart, json!({"expr": "@daily"})),
        bare("delete", "/jobs/{name}", Operator, Refused),
    ]
}

/// Those of every kind but jobs. Each is there by its example.
fn of_kinds() -> Vec<Operation> {
    let mut all = Vec::new();
    for kind in Kind::plain() {
        let write = match kind.area() {
            Area::Jobs | Area::Alerts => Least::Operator,
            Area::Cluster | Area::Outside => Least::Admin,
        };
        // Of what alerts, somebody else's is as a job is.
        let (read, refused) = match kind.area() {
            Area::Jobs | Area::Alerts => (Outside::Hidden, Outside::Refused),
            Area::Cluster | Area::Outside => (Outside::Apart, Outside::Apart),
        };
        let left = if read == Outside::Apart { read } else { Outside::Left };
        let at = |rest: &str| -> &'static str { format!("/{}{rest}", kind.plural()).leak() };
        let mut fields = kind.example();
        fields.as_object_mut().unwrap().remove("name");
        all.extend([
            get(at(""), Least::Viewer, left),
            get(at("/{name}"), Least::Viewer, read),
            get(at("/{name}/versions"), Least::Viewer, read),
            get(at("/{name}/versions/{version}"), Least::Viewer, read),
            with("post", at(""), write, refused, kind.example()),
            with("put", at("/{name}"), write, refused, fields),
            with("patch", at("/{name}"), write, refused, kind.patch()),
            bare("delete", at("/{name}"), write, refused),
        ]);
    }
    all
}

fn governing() -> Vec<Operation> {
    use Least::Admin;
    use Outside::Apart;
    let eve = json!({"name": "eve", "password": "longer than 8", "role": "admin"});
    vec![
        bare("delete", "/cluster/nodes/{id}", Admin, Apart),
        with("post", "/cluster/transfer", Admin, Apart, json!({"to": 77})),
        with("put", "/secrets/{name}", Admin, Apart, json!({"value": "hunter2", "scope": {}})),
        bare("delete", "/secrets/{name}", Admin, Apart),
        bare("post", "/secrets/rotate", Admin, Apart),
        bare("post", "/channels/{name}/test", Admin, Apart),
        bare("post", "/sinks/{name}/pause", Admin, Apart),
        bare("post", "/sinks/{name}/resume", Admin, Apart),
        with("post", "/sinks/{name}/rewind", Admin, Apart, json!({})),
        bare("post", "/triggers/{name}/pause", Admin, Apart),
        bare("post", "/triggers/{name}/resume", Admin, Apart),
        with("post", "/triggers/{name}/rewind", Admin, Apart, json!({})),
        with("post", "/users", Admin, Apart, eve),
        with("put", "/users/{name}/role", Admin, Apart, json!({"role": "admin"})),
        with("put", "/users/{name}/password", Admin, Apart, json!({"password": "longer than 8"})),
        bare("post", "/users/{name}/revoke", Admin, Apart),
        bare("delete", "/users/{name}", Admin, Apart),
        bare("post", "/auth/keys/rotate", Admin, Apart),
    ]
}

fn own() -> Vec<Operation> {
    use Least::{Anybody, Known};
    use Outside::Apart;
    let login = json!({"username": "nobody", "password": "x"});
    let change = json!({"old_password": "wrong", "new_password": "longer than 8"});
    vec![
        with("post", "/auth/token", Anybody, Apart, login.clone()),
        with("post", "/auth/login", Anybody, Apart, login.clone()),
        // Without the header of the page they are refused, whoever asks.
        with("post", "/auth/session", Anybody, Apart, login),
        bare("put", "/auth/session", Anybody, Apart),
        bare("delete", "/auth/session", Anybody, Apart),
        with("post", "/auth/refresh", Anybody, Apart, json!({"refresh_token": "x"})),
        with("post", "/tokens", Known, Apart, json!({"name": "t"})),
        bare("delete", "/tokens/{id}", Known, Apart),
        with(
            "post",
            "/push/subscriptions",
            Known,
            Apart,
            json!({
                "endpoint": "https://fcm.googleapis.com/a", "keys": {"p256dh": "a", "auth": "b"}
            }),
        ),
        bare("delete", "/push/subscriptions/{id}", Known, Apart),
        bare("post", "/push/subscriptions/{id}/test", Known, Apart),
        with("put", "/auth/password", Known, Apart, change),
        bare("post", "/auth/logout", Known, Apart),
    ]
}
