//! A server that answers like a node with one job, and can be told to lie.

use std::process::Stdio;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use tokio::net::TcpListener;
use tokio::process::Command;

pub const TOKEN: &str = "a-token";
pub const PASSWORD: &str = "correct horse";
/// 2026-11-23T10:00:00Z: the job was created, and is due every five minutes from then on.
pub const CREATED: &str = "2026-11-23T10:00:00Z";
const CREATED_MS: u64 = 1_795_428_000_000;

/// What a node knows.
#[derive(Clone)]
pub struct World {
    pub status: Value,
    pub job: Value,
    pub versions: Vec<Value>,
    /// Newest first, as are runs.
    pub ledger: Vec<Value>,
    pub runs: Vec<Value>,
    /// Of its newest run, if it is a workflow: its tasks, and their runs.
    pub tasks: Vec<Value>,
    pub task_runs: Vec<Value>,
    pub audit: Vec<Value>,
    pub verdict: Value,
    pub is_admin: bool,
}

fn uuid(time_ms: u64, seq: u64) -> String {
    let id = (u128::from(time_ms) << 80) | (7 << 76) | (2 << 62) | (u128::from(seq) << 32) | 1;
    uuid::Uuid::from_u128(id).to_string()
}

pub fn minute(at: u64) -> String {
    format!("2026-11-23T10:{at:02}:00Z")
}

pub fn second(minute: u64, second: u64) -> String {
    format!("2026-11-23T10:{minute:02}:{second:02}Z")
}

/// The run of a minute, which succeeded after a second.
pub fn run(at: u64) -> Value {
    let created_ms = 1_795_428_000_000;
    json!({
        "id": uuid(created_ms + at * 60_000, at),
        "job": "backup",
        "job_uid": uuid(created_ms, 0),
        "version": 1,
        "trigger": "schedule",
        "nominal_time": minute(at),
        "fired_at": second(at, 0),
        "started_at": second(at, 1),
        "finished_at": second(at, 2),
        "status": "succeeded",
        "node": 1,
        "attempt": 1,
        "exit_code": 0,
        "error": null,
        "result": null,
        "log_bytes": 0,
        "attempts": [attempt(1, at, 1)],
    })
}

/// An attempt from a second of a minute to the next.
pub fn attempt(number: u64, at: u64, from: u64) -> Value {
    json!({
        "attempt": number,
        "node": 1,
        "boot": uuid(1, 1),
        "fence": at * 10 + number,
        "assigned_at": second(at, from),
        "started_at": second(at, from),
        "finished_at": second(at, from + 1),
        "status": "succeeded",
    })
}

pub fn fired(run: &Value) -> Value {
    json!({
        "nominal_time": run["nominal_time"],
        "outcome": "fired",
        "reason": null,
        "run_id": run["id"],
        "decided_at": run["fired_at"],
        "version": run["version"],
    })
}

/// A range of skipped times, between two minutes.
pub fn range(from: u64, until: u64, count: Value) -> Value {
    json!({
        "nominal_time": minute(from),
        "until": minute(until),
        "count": count,
        "outcome": "skipped",
        "reason": "misfire",
        "run_id": null,
        "decided_at": minute(until),
        "version": 1,
    })
}

pub fn chain(targets: &[&str]) -> Vec<Value> {
    let times: Vec<String> = (1..).map(|seq| second(seq, 30)).take(targets.len()).collect();
    chain_at(&targets.iter().copied().zip(times).collect::<Vec<_>>())
}

/// A chain of records about these targets, at these times.
pub fn chain_at(of: &[(&str, String)]) -> Vec<Value> {
    let mut hash = vec![0_u8; 32];
    let mut records = Vec::new();
    for (seq, (target, at)) in (1..).zip(of) {
        let actor = "admin";
        let mut record = json!({"seq": seq, "at": at, "actor": actor, "action": "job.update",
            "target": target, "hash": ""});
        let text = record.to_string();
        hash = Sha256::new().chain_update(&hash).chain_update(text).finalize().to_vec();
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        record["hash"] = json!(hex);
        records.insert(0, record);
    }
    records
}

impl World {
    /// Half an hour of a node without a fault: five fires, after a range of two.
    pub fn sound() -> World {
        let definition = json!({"name": "backup", "expr": "*/5 * * * *"});
        let runs: Vec<Value> = [30, 25, 20, 15].into_iter().map(run).collect();
        let mut ledger: Vec<Value> = runs.iter().map(fired).collect();
        ledger.push(range(5, 15, json!(2)));
        let mut job = definition.clone();
        for (field, value) in [
            ("uid", json!(uuid(1_795_428_000_000, 0))),
            ("version", json!(1)),
            ("created_at", json!(CREATED)),
            ("updated_at", json!(CREATED)),
            ("next_fire_at", json!(minute(35))),
        ] {
            job[field] = value;
        }
        World {
            status: json!({"cluster_id": "a cluster", "applied_index": 7, "uptime_seconds": 1800,
                "started_at": "2026-11-23T10:02:00Z"}),
            versions: vec![json!({"version": 1, "at": CREATED, "definition": definition})],
            job,
            ledger,
            runs,
            tasks: Vec::new(),
            task_runs: Vec::new(),
            audit: chain(&["a", "b", "c"]),
            verdict: json!({"intact": true, "detail": null}),
            is_admin: true,
        }
    }

    /// The same, of a workflow: `a`, then `b` for two items, and `c` when `b` fails, which it did
    /// not.
    pub fn of_tasks() -> World {
        let mut world = World::sound();
        let counts = json!({"total": 3, "waiting": 0, "running": 0, "succeeded": 2, "failed": 0,
            "skipped": 1, "cancelled": 0});
        world.runs[0]["tasks"] = counts;
        world.runs[0]["attempt"] = json!(0);
        world.runs[0]["attempts"] = json!([]);
        let after = |task: &str, on: &str| json!([{"task": task, "on": on}]);
        world.tasks = vec![
            json!({"name": "a", "status": "succeeded", "after": [], "join": "all"}),
            json!({"name": "b", "status": "succeeded", "after": after("a", "success"),
                "join": "all", "items": {"total": 2, "running": 0, "succeeded": 2, "failed": 0}}),
            json!({"name": "c", "status": "skipped", "after": after("b", "failure"),
                "join": "all"}),
        ];
        let flow = world.runs[0]["id"].clone();
        let task = |seq: u64, name: &str, index: Value, from: u64| {
            let mut run = run(30);
            run["id"] = json!(uuid(CREATED_MS + 30 * 60_000 + from * 1_000, 90 + seq));
            run["trigger"] = json!("workflow");
            run["cause"] = flow.clone();
            run["nominal_time"] = Value::Null;
            run["fired_at"] = json!(second(30, from));
            run["finished_at"] = json!(second(30, from + 1));
            run["attempts"][0] = attempt(1, 30, from);
            run["attempts"][0]["fence"] = json!(400 + seq);
            run["task"] = json!({"flow": flow, "name": name});
            if !index.is_null() {
                run["task"]["index"] = index;
            }
            run
        };
        world.task_runs = vec![
            task(3, "b", json!(1), 5),
            task(2, "b", json!(0), 4),
            task(1, "a", Value::Null, 2),
        ];
        world
    }

    /// Serves it; the URL.
    pub async fn serve(self) -> String {
        let routes =
            Router::new()
                .route("/auth/token", post(login))
                .route("/system/status", get(|s, h| guarded(s, h, |w| w.status)))
                .route("/jobs", get(jobs))
                .route("/jobs/{name}", get(job))
                .route("/jobs/{name}/versions", get(versions))
                .route("/jobs/{name}/ledger", get(ledger))
                .route("/jobs/{name}/runs", get(runs))
                .route(
                    "/runs/{id}/tasks",
                    get(|s, h, asked: Asked| async move {
                        guarded(s, h, |w| page(w.tasks, &asked)).await
                    }),
                )
                .route(
                    "/runs",
                    get(|s, h, asked: Asked| async move {
                        guarded(s, h, |w| page(w.task_runs, &asked)).await
                    }),
                )
                .route("/audit", get(audit))
                .route("/audit/verify", get(verify))
                .with_state(self);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, routes).await });
        url
    }
}

type Asked = Query<BTreeMap<String, String>>;

fn guarded(
    State(world): State<World>,
    headers: HeaderMap,
    answer: impl FnOnce(World) -> Value,
) -> std::future::Ready<Response> {
    let known = headers.get("authorization").is_some_and(|h| *h == *format!("Bearer {TOKEN}"));
    std::future::ready(if known {
        Json(answer(world)).into_response()
    } else {
        (StatusCode::UNAUTHORIZED, Json(json!({"detail": "who are you?"}))).into_response()
    })
}

async fn login(Json(asked): Json<Value>) -> Response {
    if asked["username"] == "ann" && asked["password"] == PASSWORD {
        return Json(json!({"access_token": TOKEN})).into_response();
    }
    StatusCode::UNAUTHORIZED.into_response()
}

async fn jobs(world: State<World>, headers: HeaderMap, Query(asked): Asked) -> Response {
    let deleted = asked.get("deleted").is_some_and(|deleted| deleted == "true");
    let listed = |job: &Value| job["deleted_at"].is_null() != deleted;
    let of = |w: World| {
        let items: Vec<Value> = Some(w.job).into_iter().filter(listed).collect();
        json!({"items": items, "next_cursor": null})
    };
    guarded(world, headers, of).await
}

async fn job(Path(name): Path<String>, world: State<World>, headers: HeaderMap) -> Response {
    if name != "backup" && name != uuid(CREATED_MS, 0) {
        return StatusCode::NOT_FOUND.into_response();
    }
    guarded(world, headers, |w| w.job).await
}

async fn versions(world: State<World>, headers: HeaderMap, asked: Asked) -> Response {
    guarded(world, headers, |w| page(w.versions, &asked)).await
}

async fn ledger(world: State<World>, headers: HeaderMap, Query(asked): Asked) -> Response {
    let within = |row: &Value| {
        let until = row.get("until").unwrap_or(&row["nominal_time"]).as_str().unwrap();
        until >= asked["from"].as_str() && row["nominal_time"].as_str().unwrap() <= &*asked["to"]
    };
    guarded(world, headers, |w| {
        page(w.ledger.into_iter().filter(within).collect(), &Query(asked.clone()))
    })
    .await
}

async fn runs(world: State<World>, headers: HeaderMap, asked: Asked) -> Response {
    let wanted: Vec<&str> = asked["status"].split(',').collect();
    let fits = |run: &Value| wanted.contains(&run["status"].as_str().unwrap());
    guarded(world, headers, |w| page(w.runs.into_iter().filter(fits).collect(), &asked)).await
}

async fn audit(world: State<World>, headers: HeaderMap, asked: Asked) -> Response {
    let within = |record: &Value| {
        let at = record["at"].as_str().unwrap();
        asked.get("from").is_none_or(|from| at >= &**from)
            && asked.get("to").is_none_or(|to| at < &**to)
    };
    guarded(world, headers, |w| page(w.audit.into_iter().filter(within).collect(), &asked)).await
}

async fn verify(world: State<World>, headers: HeaderMap) -> Response {
    if !world.is_admin {
        return StatusCode::FORBIDDEN.into_response();
    }
    guarded(world, headers, |w| w.verdict).await
}

/// Two items a page, whatever was asked: so that every list is turned over.
fn page(items: Vec<Value>, asked: &Asked) -> Value {
    let from: usize = asked.get("cursor").map_or(0, |cursor| cursor.parse().unwrap());
    let next_cursor = (from + 2 < items.len()).then(|| (from + 2).to_string());
    let items: Vec<Value> = items.into_iter().skip(from).take(2).collect();
    json!({"items": items, "next_cursor": next_cursor})
}

/// What the command said, and its exit code.
pub struct Said {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|_| panic!("{}: {}{}", self.code, self.stdout, self.stderr))
    }
}

/// Runs the command with a token.
pub async fn audit_fires(urls: &str, more: &[&str]) -> Said {
    audit_fires_as(urls, &[("CRONAPI_TOKEN", TOKEN)], more).await
}

pub async fn audit_fires_as(urls: &str, env: &[(&str, &str)], more: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_cronapi"))
        .args(["audit-fires", "--server", urls])
        .args(more)
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        code: output.status.code().unwrap(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
