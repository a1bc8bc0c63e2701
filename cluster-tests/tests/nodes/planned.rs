//! Starts that are planned ahead of their time: they need no leader when it comes, and an edit
//! takes them back.

use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Sandbox};
use cluster_tests::moment::Moment;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// How often a test looks.
const LOOK: Duration = Duration::from_millis(10);

/// A start that is not due yet.
struct Planned {
    run: String,
    node: String,
    due: Moment,
}

fn planned(run: &Value) -> Option<Planned> {
    // The API gives ids of nodes as numbers.
    let node = run["node"].as_u64()?.to_string();
    let id = run["id"].as_str()?.to_string();
    let due = Moment::parse(run["fired_at"].as_str()?)?;
    let planned = run["status"] == "assigned" && due > Moment::now();
    planned.then_some(Planned { run: id, node, due })
}

/// Waits for a start of `job` that lies at least `left` ahead, on a node that `wanted` names.
async fn next_planned(
    cluster: &Cluster,
    job: &str,
    left: i64,
    wanted: impl Fn(&str) -> bool,
) -> Planned {
    let client = cluster.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let runs = client.get(&format!("/jobs/{job}/runs?limit=5")).await.expect("it answers");
        let items = runs["items"].as_array().cloned().unwrap_or_default();
        let found = items.iter().filter_map(planned);
        let now = Moment::now();
        let mut found = found.filter(|p| p.due.ms_since(now) >= left && wanted(&p.node));
        if let Some(planned) = found.next() {
            return planned;
        }
        assert!(Instant::now() < deadline, "no start of {job} was planned: {runs}");
        sleep(LOOK).await;
    }
}

async fn three(sandbox: &Sandbox) -> Cluster {
    let cluster = Cluster::make(sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    cluster
}

#[tokio::test]
async fn an_edit_takes_a_planned_start_back_without_waiting_for_its_time() {
    let sandbox = Sandbox::new();
    let cluster = three(&sandbox).await;
    let client = cluster.client();
    let job = json!({"name": "p", "expr": "*/3 * * * * *",
        "runner": {"type": "shell", "command": "true"}});
    client.create(&job, "p").await.expect("created");
    let mut in_time = 0;
    for round in 0..6 {
        let start = next_planned(&cluster, "p", 1_500, |_| true).await;
        // Through whichever node; none of them is asked to look at another first.
        let node = cluster.client_of(round % 3);
        let key = format!("pause-{round}");
        node.write(Method::POST, "/jobs/p/pause", None, &key).await.expect("paused");
        let gone = node.attempt(&Method::GET, &format!("/runs/{}", start.run), None, &[]).await;
        if Moment::now() < start.due {
            in_time += 1;
            // It never was.
            assert_eq!(gone.expect("it answers").status, 404, "{}", start.run);
        }
        let key = format!("resume-{round}");
        node.write(Method::POST, "/jobs/p/resume", None, &key).await.expect("resumed");
    }
    assert!(in_time >= 4, "only {in_time} of 6 pauses came before the time");
    // A run by hand need not wait for a planned one either, nor is it refused for it.
    let start = next_planned(&cluster, "p", 1_500, |_| true).await;
    let run = client.run_to_end("p", "by-hand").await.expect("it runs");
    assert_eq!(run["status"], "succeeded", "{run}");
    let began = run["started_at"].as_str().and_then(Moment::parse);
    assert!(began.is_some_and(|began| began < start.due), "{run}");
    // Each time has one outcome, and what is dry writes nothing.
    let start = next_planned(&cluster, "p", 1_500, |_| true).await;
    let body = json!({"description": "dry"});
    client.write(Method::PATCH, "/jobs/p?dry_run=true", Some(&body), "").await.expect("judged");
    if Moment::now() < start.due {
        client.get(&format!("/runs/{}", start.run)).await.expect("it is still planned");
    }
}

#[tokio::test]
async fn what_is_planned_starts_on_time_though_no_majority_is_left() {
    let sandbox = Sandbox::new();
    let cluster = three(&sandbox).await;
    let client = cluster.client();
    let mark = sandbox.path().join("started");
    let command = format!("echo $CRONAPI_RUN_ID >> {}", mark.display());
    let job = json!({"name": "alone", "expr": "*/3 * * * * *",
        "runner": {"type": "shell", "command": command}});
    client.create(&job, "alone").await.expect("created");
    let members = cluster.members().await;
    let leader = cluster.leader().await.expect("it is whole");
    let start = next_planned(&cluster, "alone", 1_500, |_| true).await;
    let index_of = |id: &str| members.iter().find(|(known, _)| known == id).map(|found| found.1);
    let runs_on = index_of(&start.node).expect("it runs on a member");
    assert_ne!(runs_on, leader, "the leader's own node is what is to be outlasted");
    for other in cluster.indexes().filter(|index| *index != runs_on) {
        cluster.kill(other).await;
    }
    assert!(Moment::now() < start.due, "the machine is too busy: the others died too late");
    let deadline = Instant::now() + Duration::from_secs(20);
    let started = || std::fs::read_to_string(&mark).unwrap_or_default().contains(&start.run);
    while !started() {
        assert!(Instant::now() < deadline, "{} did not start", start.run);
        sleep(LOOK).await;
    }
    let late = Moment::now().ms_since(start.due);
    assert!((0..1_000).contains(&late), "started {late} ms after it was due");
    cluster.heal().await;
    let path = format!("/runs/{}", start.run);
    let run = loop {
        let run = client.get(&path).await.expect("it is there");
        if run["finished_at"].is_string() {
            break run;
        }
        assert!(Instant::now() < deadline + Duration::from_secs(40), "{run}");
        sleep(LOOK).await;
    };
    assert_eq!(run["status"], "succeeded", "{run}");
    let text = std::fs::read_to_string(&mark).expect("it is there");
    assert_eq!(text.lines().filter(|line| *line == start.run).count(), 1, "{text}");
}
