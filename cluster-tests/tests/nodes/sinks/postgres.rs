//! Sinks of the type `postgres`: rows are the runs and the nominal times that there were, whoever
//! is killed, whatever becomes of the database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::DateTime;
use cluster_tests::harness::{Cluster, Postgres, Sandbox, skipped};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::rows::{JOBS, by_hand, jobs, only_one, plain, quiet};
use super::{PATIENCE, Shape, caught_up, caught_up_to_now, fault, holder, kills, of, sink, told};

fn micros(time: &Value) -> String {
    let Some(text) = time.as_str() else { return String::new() };
    let time = DateTime::parse_from_rfc3339(text).expect("a time");
    time.timestamp_micros().to_string()
}

/// A run, as [`RUNS`] has it.
fn run_as_row(run: &Value) -> String {
    let [nominal, fired, started, finished] =
        ["nominal_time", "fired_at", "started_at", "finished_at"].map(|field| micros(&run[field]));
    let [id, job, uid, version, trigger, status] =
        ["id", "job", "job_uid", "version", "trigger", "status"].map(|field| plain(&run[field]));
    let [attempt, node, exit, error, result] =
        ["attempt", "node", "exit_code", "error", "result"].map(|field| plain(&run[field]));
    let n = plain(&run["parameters"]["n"]);
    [
        id,
        job,
        uid,
        version,
        trigger,
        status,
        nominal,
        fired,
        started,
        finished,
        attempt,
        node,
        exit,
        error,
        result.replace(' ', ""),
        n,
    ]
    .join("|")
}

const RUNS: &str = "SELECT id, job, job_uid, version, trigger, status,
    (extract(epoch FROM nominal_time) * 1000000)::bigint,
    (extract(epoch FROM fired_at) * 1000000)::bigint,
    (extract(epoch FROM started_at) * 1000000)::bigint,
    (extract(epoch FROM finished_at) * 1000000)::bigint,
    attempts, node, exit_code, error, replace(result::text, ' ', ''), parameters->>'n'
    FROM cronapi.runs WHERE workflow_run IS NULL";

const LEDGER: &str = "SELECT (extract(epoch FROM nominal_time) * 1000000)::bigint, outcome, reason,
    run_id, (extract(epoch FROM decided_at) * 1000000)::bigint FROM cronapi.ledger WHERE job = ";

/// The rows are what the API tells of. Gives how many there are of runs and nominal times.
async fn same(cluster: &Cluster, postgres: &Postgres) -> (usize, usize) {
    caught_up(cluster, "rows").await;
    let runs = cluster.client().list::<Value>("/runs").await.expect("a list");
    let runs: BTreeSet<String> = runs.iter().map(run_as_row).collect();
    let rows = postgres.told(RUNS);
    let (count, rows): (usize, BTreeSet<String>) = (rows.len(), rows.into_iter().collect());
    assert_eq!(only_one(&runs, &rows), None, "a run that is no row, of {}", runs.len());
    assert_eq!(only_one(&rows, &runs), None, "a row that is no run, of {}", rows.len());
    assert_eq!(count, rows.len());
    let mut times = 0;
    for (job, _) in JOBS {
        let ledger = cluster.client().list::<Value>(&format!("/jobs/{job}/ledger")).await;
        let ledger = ledger.expect("a list").into_iter().filter(|row| row["reason"] != "paused");
        let ledger: BTreeSet<String> = ledger
            .map(|row| {
                let [outcome, reason, run] =
                    ["outcome", "reason", "run_id"].map(|field| plain(&row[field]));
                [micros(&row["nominal_time"]), outcome, reason, run, micros(&row["decided_at"])]
                    .join("|")
            })
            .collect();
        let rows: BTreeSet<String> =
            postgres.told(&format!("{LEDGER}'{job}'")).into_iter().collect();
        assert_eq!(only_one(&ledger, &rows), None, "a time of {job} that is no row");
        assert_eq!(only_one(&rows, &ledger), None, "a row that is no time of {job}");
        times += rows.len();
    }
    (runs.len(), times)
}

#[tokio::test]
async fn rows_are_the_runs_that_there_were_whoever_is_killed() {
    let Some(mut postgres) = Postgres::start() else {
        return skipped("sinks of the type postgres", "there is no PostgreSQL");
    };
    let (sandbox, kills) = (Sandbox::new(), kills(6));
    let cluster = of(&sandbox, Shape::loopback(3)).await;
    jobs(&cluster).await;
    let stop = Arc::new(AtomicBool::new(false));
    let load = by_hand(&cluster, &stop);
    // What ended before there was a sink is copied.
    cluster.client().run_to_end("odd", "").await.expect("it is run");
    let config = json!({ "url": postgres.url() });
    sink(&cluster, "rows", json!({ "type": "postgres", "config": config })).await;
    for round in 0..kills {
        let node = holder(&cluster, "rows").await;
        // Now in the middle of a transaction, now just before a position is recorded.
        sleep(Duration::from_millis(137 * (round as u64 % 7))).await;
        cluster.kill(node).await;
        cluster.up(node).await;
        if round == kills / 2 {
            postgres.crash();
            fault(&cluster, "rows", "refused").await;
            postgres.again();
            caught_up_to_now(&cluster, "rows").await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    load.await.expect("it ends");
    quiet(&cluster).await;
    let (runs, times) = same(&cluster, &postgres).await;
    println!("{kills} kills of the holder, a crash of PostgreSQL: {runs} runs, {times} times");
}

#[tokio::test]
async fn an_old_holder_is_refused_and_tables_that_are_gone_are_filled_again() {
    let Some(postgres) = Postgres::start() else {
        return skipped("sinks of the type postgres", "there is no PostgreSQL");
    };
    let sandbox = Sandbox::new();
    let cluster = of(&sandbox, Shape::loopback(3)).await;
    jobs(&cluster).await;
    let config = json!({ "url": postgres.url() });
    sink(&cluster, "rows", json!({ "type": "postgres", "config": config })).await;
    caught_up_to_now(&cluster, "rows").await;
    // A holder that stands still for longer than its lease wakes up to find another one.
    let old = holder(&cluster, "rows").await;
    cluster.freeze(old, true).await;
    let deadline = Instant::now() + PATIENCE;
    while holder(&cluster, "rows").await == old {
        assert!(Instant::now() < deadline, "nobody else takes it");
        sleep(Duration::from_millis(50)).await;
    }
    caught_up_to_now(&cluster, "rows").await;
    cluster.freeze(old, false).await;
    cluster.wait_whole().await;
    // Somebody with a newer fence than any here: whoever holds the sink is the old one.
    let fence = postgres.told("UPDATE cronapi.positions SET fence = fence + 1000 RETURNING fence");
    fault(&cluster, "rows", "a newer holder writes this sink").await;
    let moved = postgres.told("SELECT fence, entry, sub FROM cronapi.positions");
    assert!(moved[0].starts_with(&fence[0]), "{moved:?}");
    postgres.told("UPDATE cronapi.positions SET fence = 0");
    caught_up_to_now(&cluster, "rows").await;
    quiet(&cluster).await;
    let (runs, times) = same(&cluster, &postgres).await;
    assert!(runs > 5 && times > 5, "{runs} runs, {times} times");
    queries(&postgres);
    // All of it is dropped: what the history has is written again, and that is told.
    postgres.told("DROP SCHEMA cronapi CASCADE");
    refilled(&cluster, &postgres, runs).await;
    assert_eq!(same(&cluster, &postgres).await, (runs, times));
    // Rows that are deleted are not missed, until the sink is set back.
    postgres.told("TRUNCATE cronapi.runs, cronapi.ledger");
    let rewind = cluster.client().write(Method::POST, "/sinks/rows/rewind", None, "").await;
    rewind.expect("it is set back");
    refilled(&cluster, &postgres, runs).await;
    assert_eq!(same(&cluster, &postgres).await, (runs, times));
}

async fn refilled(cluster: &Cluster, postgres: &Postgres, runs: usize) {
    let deadline = Instant::now() + PATIENCE;
    let count = "SELECT count(*) FROM cronapi.runs WHERE workflow_run IS NULL
        AND EXISTS (SELECT FROM cronapi.positions WHERE filling IS NULL)";
    while postgres.ask(count).unwrap_or_default() != [runs.to_string()] {
        let sink = told(cluster, "rows").await;
        assert!(Instant::now() < deadline, "{:?} of {runs}, {sink}", postgres.ask(count));
        sleep(Duration::from_millis(100)).await;
    }
}

/// Those of docs/sinks.md answer, and with something.
fn queries(postgres: &Postgres) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/sinks.md");
    let page = std::fs::read_to_string(page).expect("it is there");
    let queries: Vec<&str> =
        page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(queries.len(), 5);
    for query in queries {
        assert!(!postgres.told(query).is_empty(), "nothing: {query}");
    }
}

/// How many rows a second: `CRONAPI_TEST_SINK_ROWS` says of how many runs.
#[tokio::test]
async fn rows_that_waited_are_written_at_once() {
    let Some(postgres) = Postgres::start() else {
        return skipped("sinks of the type postgres", "there is no PostgreSQL");
    };
    let wanted = std::env::var("CRONAPI_TEST_SINK_ROWS").ok();
    let wanted: usize = wanted.and_then(|wanted| wanted.parse().ok()).unwrap_or(100);
    let sandbox = Sandbox::new();
    let cluster = of(&sandbox, Shape::loopback(3)).await;
    let config = json!({ "url": postgres.url() });
    sink(&cluster, "rows", json!({ "type": "postgres", "config": config })).await;
    cluster.client().write(Method::POST, "/sinks/rows/pause", None, "").await.expect("paused");
    let flow = json!({ "name": "many", "tasks": [{ "name": "one", "over": { "count": wanted },
        "max_parallel": 64, "runner": { "type": "shell", "argv": ["true"] } }] });
    cluster.client().create(&flow, "").await.expect("made");
    cluster.client().write(Method::POST, "/jobs/many/run", None, "").await.expect("it is run");
    let deadline = Instant::now() + PATIENCE * 5;
    while cluster.client().list::<Value>("/runs?status=succeeded").await.expect("a list").is_empty()
    {
        assert!(Instant::now() < deadline, "they do not end");
        sleep(Duration::from_millis(200)).await;
    }
    let begun = Instant::now();
    cluster.client().write(Method::POST, "/sinks/rows/resume", None, "").await.expect("resumed");
    let count = "SELECT count(*) FROM cronapi.runs";
    while postgres.ask(count).unwrap_or_default() != [(wanted + 1).to_string()] {
        assert!(Instant::now() < deadline, "{:?} of {wanted}", postgres.ask(count));
        sleep(Duration::from_millis(20)).await;
    }
    let took = begun.elapsed();
    println!("{wanted} rows in {took:?}: {:.0} a second", wanted as f64 / took.as_secs_f64());
}
