//! The page of metrics: who may read it, what is on it, and that its document is whole.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::Request;
use cronapi::api;
use cronapi::model::Role;
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use super::fixture::Node;

async fn page(node: &Node) -> String {
    let answer = node.get("/metrics").await.expect(200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The value of a series, as it is written before the space.
fn value(page: &str, series: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{page}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_reads_metrics_and_nobody_without_a_token() {
    let node = Node::start().await;
    let none = Request::get("/metrics").body(Body::empty()).unwrap();
    node.send(none).await.expect(401);
    let viewer = node.with_user("eve", Role::Viewer).await;
    node.call_as(&viewer, "GET", "/metrics", None).await.expect(200);
    node.call_as(&viewer, "GET", "/v1/metrics", None).await.expect(200);
    node.get("/metrics?x=1").await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_counted() {
    let node = Node::start().await;
    node.with_job("a").await;
    node.post("/jobs", json!({"name": "p", "enabled": false})).await.expect(201);
    node.post("/jobs/a/run", json!({})).await.expect(202);
    node.get("/jobs/none").await.expect(404);
    let page = page(&node).await;
    assert_eq!(value(&page, "cronapi_runs_total{result=\"succeeded\",trigger=\"manual\"}"), 1.0);
    assert_eq!(value(&page, "cronapi_jobs{state=\"enabled\"}"), 1.0);
    assert_eq!(value(&page, "cronapi_jobs{state=\"paused\"}"), 1.0);
    let asked = "cronapi_http_requests_total{method=\"GET\",route=\"/jobs/{name}\",status=\"404\"}";
    assert_eq!(value(&page, asked), 1.0);
    assert_eq!(value(&page, "cronapi_raft_is_leader"), 1.0);
    assert_eq!(value(&page, "cronapi_ready"), 1.0);
    assert_eq!(value(&page, "cronapi_nodes{state=\"live\"}"), 1.0);
    assert_eq!(value(&page, "cronapi_job_last_run_failed{job_name=\"a\"}"), 0.0);
    let applied = value(&page, "cronapi_raft_last_applied_index");
    assert!(applied >= 4.0 && applied == value(&page, "cronapi_raft_commit_index"));
    assert!(value(&page, "cronapi_raft_apply_duration_seconds_count") >= 4.0);
    assert!(value(&page, "process_resident_memory_bytes") > 1e6);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_label_is_made_up_by_clients() {
    let node = Node::start().await;
    for path in ["/no-such-path", "/jobs/x/y/z/secret", "/v1/jobs/x"] {
        let _ = node.get(path).await;
    }
    let odd = Request::builder().method("BREW").uri("/jobs").body(Body::empty()).unwrap();
    node.send(odd).await;
    let page = page(&node).await;
    for word in ["no-such-path", "secret", "BREW", "/v1/"] {
        assert!(!page.contains(word), "{word} in\n{page}");
    }
    assert!(page.contains("method=\"other\""));
    assert!(page.contains("method=\"GET\",route=\"none\",status=\"404\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_have_series_as_far_as_they_were_asked_for() {
    // The fixture asks for two.
    let node = Node::start().await;
    for name in ["c", "b", "a"] {
        node.with_job(name).await;
        node.post(&format!("/jobs/{name}/run"), json!({})).await.expect(202);
    }
    let page = page(&node).await;
    assert_eq!(value(&page, "cronapi_jobs_without_series"), 1.0);
    assert_eq!(page.matches("cronapi_job_open_runs{").count(), 2);
    assert!(page.contains("{job_name=\"a\"}") && !page.contains("{job_name=\"c\"}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_of_its_own_tells_metrics_and_health_and_nothing_else() {
    let node = Node::start().await;
    let options = api::Options::new(node.stop.subscribe());
    let router = api::metrics_router(node.service.clone(), options);
    let ask = async |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    };
    let (status, body) = ask("/metrics").await;
    assert_eq!(status, 200);
    assert!(String::from_utf8_lossy(&body).contains("cronapi_build_info"));
    assert_eq!(ask("/livez").await.0, 200);
    for path in ["/jobs", "/auth/token", "/openapi.json", "/system/status", "/events"] {
        assert_eq!(ask(path).await.0, 404, "{path}");
    }
}

/// The families of a page, with their types.
fn families(page: &str) -> BTreeMap<String, String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let pairs = types.filter_map(|rest| rest.split_once(' '));
    pairs.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_nothing_else() {
    let node = Node::start().await;
    node.with_job("a").await;
    node.post("/jobs/a/run", json!({})).await.expect(202);
    node.post("/jobs", json!({"name": "b", "expr": "0 0 1 1 *"})).await.expect(201);
    let mut found = families(&page(&node).await);
    // Of a cluster of more than one, of a disk, of HTTPS, of channels, of sinks, of
    // triggers, and of queues that hold something back.
    for (name, kind) in [
        ("cronapi_tls_certificate_expiry_timestamp_seconds", "gauge"),
        ("cronapi_raft_replication_lag_entries", "gauge"),
        ("cronapi_raft_snapshot_timestamp_seconds", "gauge"),
        ("cronapi_disk_free_bytes", "gauge"),
        ("cronapi_disk_size_bytes", "gauge"),
        ("cronapi_notices_total", "counter"),
        ("cronapi_sink_behind", "gauge"),
        ("cronapi_queue_blocked_seconds_total", "counter"),
        ("cronapi_sink_sent_total", "counter"),
        ("cronapi_trigger_entries_total", "counter"),
        ("cronapi_pushes_total", "counter"),
        ("cronapi_job_heartbeats_total", "counter"),
    ] {
        found.insert(name.to_owned(), kind.to_owned());
    }
    let document = include_str!("../../docs/metrics.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| {
        let (name, rest) = row.split_once('`')?;
        let name = name.split('{').next()?;
        let kind = rest.split('|').nth(1)?.trim();
        Some((name.to_owned(), kind.to_owned()))
    });
    let told: BTreeMap<_, _> = rows.filter(|(_, kind)| !kind.is_empty()).collect();
    let names = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<BTreeSet<_>>();
    let (found_names, told_names) = (names(&found), names(&told));
    let missing: Vec<_> = found_names.difference(&told_names).collect();
    let made_up: Vec<_> = told_names.difference(&found_names).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
    assert!(made_up.is_empty(), "there is no {made_up:?} of docs/metrics.md");
    assert_eq!(found, told);
}

/// The names of metrics in a text of queries.
fn named(text: &str) -> BTreeSet<String> {
    let name = regex::Regex::new(r"\b(?:cronapi|process)_[a-z_]+\b").unwrap();
    name.find_iter(text).map(|found| found.as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_and_alarms_ask_for_what_there_is() {
    let node = Node::start().await;
    node.with_job("a").await;
    let mut there = families(&page(&node).await);
    for name in ["raft_replication_lag_entries", "raft_snapshot_timestamp_seconds"] {
        there.insert(format!("cronapi_{name}"), "gauge".to_owned());
    }
    for name in ["disk_free_bytes", "disk_size_bytes", "tls_certificate_expiry_timestamp_seconds"] {
        there.insert(format!("cronapi_{name}"), "gauge".to_owned());
    }
    let dashboard = include_str!("../../charts/cronapi/files/dashboard.json");
    serde_json::from_str::<serde_json::Value>(dashboard).unwrap();
    let alarms = include_str!("../../charts/cronapi/files/alerts.yaml");
    for (file, text) in [("dashboard.json", dashboard), ("alerts.yaml", alarms)] {
        let asked = named(text);
        assert!(asked.len() > 10, "{file}: {asked:?}");
        for name in asked {
            let bare = name.strip_suffix("_bucket").unwrap_or(&name);
            let kind = there.get(bare).unwrap_or_else(|| panic!("{file}: no metric {name}"));
            assert_eq!(kind == "histogram", name != bare, "{file}: {name} is a {kind}");
        }
    }
}

#[test]
fn every_alarm_is_explained() {
    let alarms = include_str!("../../charts/cronapi/files/alerts.yaml");
    let document = include_str!("../../docs/alerts.md");
    let names: Vec<_> = alarms.lines().filter_map(|l| l.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 10);
    for name in &names {
        assert!(document.contains(&format!("\n## {name}\n")), "docs/alerts.md has no {name}");
        let link = format!("runbook: docs/alerts.md#{}", name.to_lowercase());
        assert!(alarms.contains(&link), "{name} has no runbook");
    }
    let told = document.lines().filter_map(|line| line.strip_prefix("## CronAPI")).count();
    assert_eq!(told, names.len(), "docs/alerts.md explains what does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_the_dashboard_call_things_the_same() {
    let node = Node::start().await;
    let told = page(&node).await;
    let outcomes = include_str!("../../ui/src/model/outcome.ts");
    let overview = include_str!("../../ui/src/pages/Overview.tsx");
    let dashboard = include_str!("../../charts/cronapi/files/dashboard.json");
    // What is missed, and not skipped, is the same to the counters and to the page.
    let labels = regex::Regex::new(r#"cronapi_missed_fires_total\{reason="(\w+)"\}"#).unwrap();
    let counted: BTreeSet<&str> =
        labels.captures_iter(&told).map(|found| found.get(1).unwrap().as_str()).collect();
    let line = outcomes.lines().find(|line| line.starts_with("const MISSED")).unwrap();
    let (_, list) = line.split_once("= [").unwrap();
    let drawn: BTreeSet<&str> =
        list.trim_end_matches("];").split(", ").map(|word| word.trim_matches('"')).collect();
    assert_eq!(drawn, counted, "ui/src/model/outcome.ts");
    // The words of the legends.
    for (word, legend) in [("skipped", "skipped: {{reason}}"), ("missed", "missed: {{reason}}")] {
        assert!(dashboard.contains(&format!("\"{legend}\"")), "{legend}");
        assert!(outcomes.contains(&format!(": \"{word}\"")), "{word} in the page");
    }
    let title = "\"title\": \"Entries behind\"";
    assert!(dashboard.contains(title) && overview.contains("entries behind"));
}
