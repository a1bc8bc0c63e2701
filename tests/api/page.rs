//! What the page asks for: its files, its session, and what many jobs come to at once.

use axum::body::Body;
use axum::http::Request;
use cronapi::clock::Clock;
use cronapi::machine::command::{End, Next, Op, OutputChunk, Place};
use cronapi::model::{LogStream, Role, RunId, RunStatus, Span, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::fixture::{Answer, Node, PASSWORD};
use crate::skip::skipped;

async fn session(node: &Node, method: &str, cookie: Option<&str>, form: &str) -> Answer {
    let mut request = Request::builder().method(method).uri("/auth/session");
    request = request.header("x-cronapi-page", "1");
    if let Some(cookie) = cookie {
        request = request.header("cookie", format!("other=1; {cookie}"));
    }
    if !form.is_empty() {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    node.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

/// A request without a token.
async fn plain(node: &Node, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    node.send(request.body(Body::empty()).unwrap()).await
}

fn pair(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn what_renews_a_login_of_the_page_is_in_a_cookie_that_scripts_cannot_read() {
    let node = Node::start().await;
    node.with_user("ann", Role::Viewer).await;
    let form = format!("username=ann&password={PASSWORD}").replace(' ', "+");
    let entered = session(&node, "POST", None, &form).await.expect(200);
    let cookie = entered.header("set-cookie").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/auth/session", "Max-Age="] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    assert!(entered.json().get("refresh_token").is_none(), "the page's scripts never see it");

    let renewed = session(&node, "PUT", Some(&pair(&entered)), "").await.expect(200);
    let token = renewed.json()["access_token"].as_str().unwrap().to_owned();
    node.call_as(&token, "GET", "/auth/me", None).await.expect(200);
    session(&node, "PUT", None, "").await.expect(204);
    session(&node, "PUT", Some("cronapi_session=made-up"), "").await.expect(401);

    // Only this path takes the cookie, and only with a header that another site can't send.
    let kept = pair(&renewed);
    plain(&node, "GET", "/jobs", &[("cookie", kept.as_str())]).await.expect(401);
    let bare = plain(&node, "PUT", "/auth/session", &[("cookie", kept.as_str())]).await;
    assert_eq!(bare.expect(400).code(), "invalid-header");

    let ended = session(&node, "DELETE", Some(&kept), "").await.expect(204);
    assert!(
        ended.header("set-cookie").contains("cronapi_session=; ") && pair(&ended).ends_with('=')
    );
}

#[tokio::test]
async fn tabs_that_renew_at_once_stay_logged_in_and_a_stolen_cookie_ends_the_session() {
    let node = Node::start().await;
    node.with_user("ann", Role::Viewer).await;
    let form = format!("username=ann&password={PASSWORD}").replace(' ', "+");
    let entered = pair(&session(&node, "POST", None, &form).await.expect(200));
    // Two tabs of two nodes' pages: one host, one cookie, no lock between them.
    let (one, other) = tokio::join!(
        session(&node, "PUT", Some(&entered), ""),
        session(&node, "PUT", Some(&entered), "")
    );
    let (one, other) = (one.expect(200), other.expect(200));
    let next = pair(&one);
    for token in [&one, &other] {
        let token = token.json()["access_token"].as_str().unwrap().to_owned();
        node.call_as(&token, "GET", "/auth/me", None).await.expect(200);
    }
    let newest = session(&node, "PUT", Some(&pair(&other)), "").await.expect(200);
    // A program's refresh token has no tabs: even at once, a second time is somebody else.
    let issued = node.post("/auth/token", json!({"username": "ann", "password": PASSWORD})).await;
    let issued = issued.expect(200).json();
    let refresh = json!({"refresh_token": issued["refresh_token"]});
    node.post("/auth/refresh", refresh.clone()).await.expect(200);
    node.post("/auth/refresh", refresh).await.expect(401);

    // Past the short while it is no tab: the thief is out, and so is everybody with that login.
    node.clock.advance(Span::from_secs(60));
    session(&node, "PUT", Some(&next), "").await.expect(401);
    session(&node, "PUT", Some(&pair(&newest)), "").await.expect(401);
}

#[tokio::test]
async fn a_browser_is_sent_to_the_page_and_others_to_the_index() {
    let node = Node::start().await;
    let sent = plain(&node, "GET", "/", &[("accept", "text/html,*/*;q=0.8")]).await.expect(303);
    assert_eq!(sent.header("location"), "/ui/");
    assert_eq!(plain(&node, "GET", "/", &[]).await.expect(200).json()["page"], "/ui/");
    plain(&node, "GET", "/ui", &[]).await.expect(303);
    plain(&node, "GET", "/ui/assets/gone-123.js", &[]).await.expect(404);
    let page = plain(&node, "GET", "/ui/", &[]).await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    if cronapi_ui::MISSING.is_some() {
        // It says why, and what to do.
        let text = String::from_utf8_lossy(&page.expect(200).body).into_owned();
        assert!(text.contains("Node.js") && text.contains("/docs"), "{text}");
        skipped("files of the page", "this build has none");
        return;
    }
    let page = page.expect(200);
    assert_eq!(page.header("cache-control"), "no-cache");
    let tag = page.header("etag").to_owned();
    plain(&node, "GET", "/ui/", &[("if-none-match", &tag)]).await.expect(304);
    // An address that only the page understands.
    assert_eq!(plain(&node, "GET", "/ui/jobs/a", &[]).await.expect(200).header("etag"), tag);
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let script = text.split("src=\"/ui/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let path = format!("/ui/{script}");
    let packed = plain(&node, "GET", &path, &[("accept-encoding", "gzip, br")]).await.expect(200);
    assert_eq!(packed.header("content-encoding"), "br");
    assert!(packed.header("cache-control").contains("immutable"));
    let whole = plain(&node, "GET", &path, &[]).await.expect(200);
    assert!(whole.body.len() > packed.body.len());
}

/// A node is up, gets the run, and says that it failed.
pub(super) async fn fails(node: &Node, run: RunId) {
    carries_out(node, run, &[]).await;
}

/// The same, and the run wrote two lines.
pub(super) async fn writes(node: &Node, run: RunId) {
    carries_out(node, run, &["one\n", "two\n"]).await;
}

async fn carries_out(node: &Node, run: RunId, lines: &[&str]) {
    let boot = Uuid::from_u128(7);
    let (address, api) = ("10.0.0.1:8001".to_owned(), String::new());
    let up = Op::NodeUp { node: 1, boot, address, api, slots: 2, labels: Default::default() };
    node.submit(up).await;
    if node.consensus.state().runs[&run].run.attempts.is_empty() {
        node.submit(Op::Assign { run, attempt: 1, place: Place { node: 1, boot } }).await;
    }
    let fence = node.consensus.state().runs[&run].run.attempts[0].fence;
    let (started_at, finished_at) = (Some(node.clock.now()), node.clock.now());
    for (seq, line) in (0..).zip(lines) {
        let bytes = line.as_bytes().to_vec();
        let chunks = vec![OutputChunk { seq, stream: LogStream::Stdout, at: finished_at, bytes }];
        node.submit(Op::Output { run, attempt: 1, fence, chunks }).await;
    }
    let end = End {
        status: RunStatus::Failed,
        started_at,
        finished_at,
        exit_code: Some(3),
        signal: None,
        http_status: None,
        error: Some("no good".into()),
        result: None,
        usage: None,
        output: Vec::new(),
        retry_after: None,
    };
    node.submit(Op::Ended { run, attempt: 1, fence, end: Box::new(end) }).await;
}

#[tokio::test]
async fn a_workflow_under_way_counts_once() {
    let node = Node::start().await;
    let task = |name| json!({"name": name, "runner": {"type": "shell", "command": "true"}});
    let flow = json!({"name": "flow", "tasks": [task("one"), task("two")]});
    node.post("/jobs", flow).await.expect(201);
    let run = node.post("/jobs/flow/run", json!({})).await.expect(202).json();
    node.begin(run["id"].as_str().unwrap()).await;
    let tasks = node.get(&format!("/runs?flow={}", run["id"].as_str().unwrap())).await.json();
    assert_eq!(tasks["items"].as_array().unwrap().len(), 2, "{tasks}");
    let facts = node.get("/overview").await.expect(200).json();
    assert_eq!((&facts["running"], &facts["waiting"]), (&json!(1), &json!(0)));
    assert_eq!(facts["running_runs"][0]["run_id"], run["id"]);
    assert_eq!(facts["running_runs"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn many_jobs_are_shown_at_once() {
    let node = Node::start().await;
    let exits = json!({"type": "shell", "command": "exit 3"});
    node.post("/jobs", json!({"name": "bad", "runner": exits, "tags": ["x"]})).await.expect(201);
    node.post("/jobs", json!({"name": "good", "expr": "@yearly"})).await.expect(201);
    for job in ["good", "good"] {
        node.post(&format!("/jobs/{job}/run?wait=20s"), json!({})).await.expect(200);
    }
    let run = node.post("/jobs/bad/run", json!({})).await.expect(202).json();
    let waits = node.get("/overview").await.expect(200).json();
    assert_eq!((&waits["waiting"], &waits["waiting_runs"][0]["job"]), (&json!(1), &json!("bad")));
    let id: RunId = serde_json::from_value(run["id"].clone()).unwrap();
    fails(&node, id).await;
    let path = "/strips?jobs=good,bad,none&past=10&coming=3";
    let strips = node.get(path).await.expect(200).json();
    let names: Vec<&str> =
        strips["items"].as_array().unwrap().iter().map(|s| s["job"].as_str().unwrap()).collect();
    assert_eq!(names, ["good", "bad"], "in the order asked for; what is not there is left out");
    assert_eq!(strips["items"][0]["coming"].as_array().unwrap().len(), 3);
    assert_eq!(strips["items"][0]["cells"], json!([]), "runs by hand have no nominal time");

    let facts = node.get("/overview").await.expect(200).json();
    assert_eq!((&facts["failing"], &facts["waiting"]), (&json!(1), &json!(0)));
    assert_eq!((&facts["jobs"], &facts["on_time"]), (&json!(2), &json!(1)));
    let failing = &facts["failing_jobs"][0];
    assert_eq!((&failing["job"], &failing["times"]), (&json!("bad"), &json!(1)));
    assert_eq!(failing["error"], "no good");
    assert_eq!(facts["coming"][0]["job"], "good");

    let figures = node.get("/jobs/good/statistics").await.expect(200).json();
    assert_eq!((&figures["runs"], &figures["by_status"]["succeeded"]), (&json!(2), &json!(2)));
    let bad = node.get("/jobs/bad/statistics").await.expect(200).json();
    assert_eq!(bad["by_exit_code"], json!({"3": 1}));
    node.get("/jobs/none/statistics").await.expect(404);

    for wrong in
        ["/strips?jobs=", "/strips", "/strips?jobs=a&past=201", "/strips?jobs=a&past=150&coming=60"]
    {
        let status = node.get(wrong).await.status;
        assert!(status == 400, "{wrong}: {status}");
    }
}

#[tokio::test]
async fn a_nominal_time_is_a_cell_with_what_became_of_it() {
    let node = Node::start().await;
    let made = node.post("/jobs", json!({"name": "a", "expr": "0 0 1 1 *"})).await.expect(201);
    let at = made.json()["next_fire_at"].as_str().unwrap().to_owned();
    let nominal = Timestamp::parse(&at).unwrap();
    let job = node.consensus.state().job("a").unwrap().clone();
    let due = Next { nominal: Timestamp::from_secs(nominal.secs() + 86_400 * 365), due: nominal };
    let fire = Op::Fire {
        no: job.no,
        version: 1,
        scheduled_for: nominal,
        next: Some(due),
        place: None,
        start_at: None,
    };
    node.submit(fire).await;
    let strip = node.get("/strips?jobs=a").await.expect(200).json()["items"][0].clone();
    let cell = &strip["cells"][0];
    assert_eq!((&cell["at"], &cell["outcome"]), (&json!(at), &json!("fired")));
    assert_eq!(cell["status"], "succeeded", "a job without a runner succeeds at once");
    assert_eq!(strip["succeeded_per_mille"], 1000);
}

#[tokio::test]
async fn what_is_out_of_scope_is_in_no_overview() {
    let node = Node::start().await;
    node.with_job("a").await;
    node.with_job("b").await;
    let user = json!({"name": "tom", "password": PASSWORD, "role": "viewer",
        "scope": {"jobs": ["b"], "tags": []}});
    node.post("/users", user).await.expect(201);
    let token = node.login("tom").await;
    let facts = node.call_as(&token, "GET", "/overview", None).await.expect(200).json();
    assert_eq!(facts["jobs"], 1);
    let strips = node.call_as(&token, "GET", "/strips?jobs=a,b", None).await.expect(200).json();
    assert_eq!(strips["items"].as_array().unwrap().len(), 1);
    node.call_as(&token, "GET", "/jobs/a/statistics", None).await.expect(404);
}
