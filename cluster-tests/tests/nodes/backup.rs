//! A backup of a live cluster of three, restored to one node and to three: what was there at its
//! index is there again, and nothing that either cluster started was started by both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster_tests::harness::cluster::{Join, PASSWORD};
use cluster_tests::harness::{Client, Cluster, Exit, Launch, Sandbox, Shape};
use reqwest::Method;
use serde_json::{Value, json};

const JOBS: usize = 12;

/// Runs the program to its end, as a person would.
async fn cronapi(sandbox: &Sandbox, args: &[&str]) -> Exit {
    let launch = Launch::new(sandbox, "command").args(args).env("CRONAPI_PASSWORD", PASSWORD);
    launch.run().await
}

fn good(exit: Exit) -> String {
    assert_eq!(exit.status.code(), Some(0), "{}{}", exit.stdout, exit.stderr);
    exit.stdout
}

async fn audit_fires(sandbox: &Sandbox, cluster: &Cluster, nodes: usize) {
    let urls: Vec<&str> = (0..nodes).map(|index| cluster.url(index)).collect();
    let urls = urls.join(",");
    good(cronapi(sandbox, &["audit-fires", "--server", &urls, "--user", "admin"]).await);
}

async fn make_jobs(client: &Client) {
    for n in 0..JOBS {
        let job = json!({"name": format!("every-{n}"), "expr": "* * * * * *", "overlap": "allow",
            "runner": {"type": "shell", "command": "echo done"}});
        client.create(&job, &format!("create-{n}")).await.expect("created");
    }
    let slow = json!({"name": "slow", "expr": "*/2 * * * * *", "overlap": "queue_all",
        "on_failure": ["told"], "runner": {"type": "shell", "command": "sleep 600"}});
    client.create(&slow, "slow").await.expect("created");
    let told =
        json!({"name": "told", "overlap": "allow", "runner": {"type": "shell", "command": "true"}});
    client.create(&told, "told").await.expect("created");
    let user = json!({"name": "ann", "password": PASSWORD, "role": "operator"});
    client.write(Method::POST, "/users", Some(&user), "").await.expect("a user");
}

/// Writes until it is told to stop.
fn load(client: Client) -> (Arc<AtomicBool>, tokio::task::JoinHandle<u32>) {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let task = tokio::spawn(async move {
        let mut written = 0;
        while !told.load(Ordering::Relaxed) {
            let body = json!({});
            let key = format!("run-{written}");
            let path = "/jobs/told/run";
            client.write(Method::POST, path, Some(&body), &key).await.expect("accepted");
            written += 1;
        }
        written
    });
    (stop, task)
}

/// Closed runs by id, and definitions without what is live about them.
async fn closed(client: &Client) -> BTreeMap<String, Value> {
    let runs: Vec<Value> = client.list("/runs").await.expect("runs");
    let over = |run: &Value| !run["finished_at"].is_null();
    let runs = runs.into_iter().filter(over);
    runs.map(|run| (run["id"].as_str().unwrap_or_default().to_owned(), run)).collect()
}

async fn definitions(client: &Client) -> Vec<Value> {
    let jobs: Vec<Value> = client.list("/jobs").await.expect("jobs");
    let plain = |job: Value| {
        json!([job["name"], job["uid"], job["version"], job["expr"], job["runner"], job["overlap"]])
    };
    jobs.into_iter().map(plain).collect()
}

/// The run of every nominal time that fired.
async fn fired(client: &Client) -> BTreeMap<(String, String), String> {
    let mut all = BTreeMap::new();
    for n in 0..JOBS {
        let name = format!("every-{n}");
        let rows: Vec<Value> = client.list(&format!("/jobs/{name}/ledger")).await.expect("rows");
        for row in rows.into_iter().filter(|row| row["outcome"] == "fired") {
            let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
            all.insert((name.clone(), text("nominal_time")), text("run_id"));
        }
    }
    all
}

/// Waits until every job has fired so many times more.
async fn until_more_fired(client: &Client, times: usize) {
    let before = fired(client).await.len();
    let goes_on = async {
        while fired(client).await.len() < before + times * JOBS {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), goes_on).await.expect("it fires");
}

/// What the new cluster holds, against what the old one held.
async fn compare(new: &Client, old: &Old) {
    assert_eq!(definitions(new).await, old.definitions);
    let users = new.get("/users").await.expect("users");
    let names = users["items"].as_array().into_iter().flatten().map(|user| &user["name"]);
    assert!(names.into_iter().any(|name| name == "ann"), "{users}");
    let runs = closed(new).await;
    let mut same = 0;
    for (id, run) in &runs {
        match old.closed.get(id) {
            Some(before) if run["error"].as_str().is_none_or(|why| !why.contains("backup")) => {
                assert_eq!(run, before);
                same += 1;
            }
            _ => {}
        }
    }
    assert!(same > 100, "only {same} runs are the same");
    // What both clusters say was fired is one run, from before the backup.
    for (time, run) in fired(new).await {
        if let Some(before) = old.fired.get(&time) {
            assert_eq!(run, *before, "{time:?} was started by both clusters");
        }
    }
    let lost = runs.values().filter(|run| run["status"] == "lost");
    let lost: BTreeSet<&str> = lost.filter_map(|run| run["job"].as_str()).collect();
    assert!(lost.contains("slow"), "what ran when the backup was taken is lost: {lost:?}");
}

struct Old {
    definitions: Vec<Value>,
    closed: BTreeMap<String, Value>,
    fired: BTreeMap<(String, String), String>,
}

async fn old_cluster(sandbox: &Sandbox, file: &Path) -> Old {
    let cluster = Cluster::make(sandbox, Shape::loopback(3)).expect("the loopback interface");
    cluster.start().await;
    let client = cluster.client();
    make_jobs(&client).await;
    let (stop, task) = load(cluster.client());
    until_more_fired(&client, 10).await;
    let leader = cluster.leader().await.unwrap_or_default();
    let other = cluster.url((leader + 1) % 3).to_owned();
    let name = file.display().to_string();
    let began = std::time::Instant::now();
    let said =
        good(cronapi(sandbox, &["backup", &name, "--server", &other, "--user", "admin"]).await);
    println!("backup in {:?}: {said}", began.elapsed());
    let said = good(cronapi(sandbox, &["backup", "verify", &name]).await);
    assert!(said.contains("sound"), "{said}");
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The old cluster goes on for a while, which the backup knows nothing of.
    until_more_fired(&client, 4).await;
    stop.store(true, Ordering::Relaxed);
    assert!(task.await.expect("the load ends") > 50);
    let definitions = definitions(&client).await;
    let (closed, fired) = (closed(&client).await, fired(&client).await);
    cluster.terminate_all().await;
    Old { definitions, closed, fired }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_cluster_is_backed_up_and_restored_to_one_node_and_to_three() {
    let sandbox = Sandbox::new();
    let file = sandbox.path().join("cluster.backup");
    let old = old_cluster(&sandbox, &file).await;
    let name = file.display().to_string();
    for nodes in [1, 3] {
        let place = Sandbox::new();
        let data = place.path().join("node0").display().to_string();
        let said = good(cronapi(&place, &["restore", &name, "--data", &data]).await);
        println!("{said}");
        let found = good(cronapi(&place, &["doctor", "--data", &data]).await);
        assert!(found.contains("0 faults"), "{found}");
        let shape = Shape { join: Join::First, ..Shape::loopback(nodes) };
        let cluster = Cluster::make(&place, shape).expect("the loopback interface");
        cluster.start().await;
        cluster.wait_whole().await;
        compare(&cluster.client(), &old).await;
        // Fires go on, on all of it.
        until_more_fired(&cluster.client(), 3).await;
        audit_fires(&place, &cluster, nodes).await;
        cluster.terminate_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_the_old_cluster_is_not_taken_into_the_restored_one() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(1)).expect("the loopback interface");
    cluster.start().await;
    let file = sandbox.path().join("one.backup").display().to_string();
    let url = cluster.url(0).to_owned();
    good(cronapi(&sandbox, &["backup", &file, "--server", &url, "--user", "admin"]).await);
    let again = cronapi(&sandbox, &["backup", &file, "--server", &url, "--user", "admin"]).await;
    assert_eq!(again.status.code(), Some(1), "a backup is not written over another");
    let client = cluster.client_of(0);
    let before = client.get("/system/status").await.expect("a status");
    cluster.terminate_all().await;
    let place = Sandbox::new();
    let data = place.path().join("node0").display().to_string();
    good(cronapi(&place, &["restore", &file, "--data", &data, "--as-of", "backup"]).await);
    let refused = cronapi(&place, &["restore", &file, "--data", &data]).await;
    assert_ne!(refused.status.code(), Some(0), "and no data over other data");
    let restored = Cluster::make(&place, Shape::loopback(1)).expect("the loopback interface");
    restored.start().await;
    let after = restored.client_of(0).get("/system/status").await.expect("a status");
    assert_ne!(before["cluster_id"], after["cluster_id"]);
    assert_ne!(before["node_id"], after["node_id"]);
    restored.terminate_all().await;
}
