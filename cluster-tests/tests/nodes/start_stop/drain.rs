//! Stops: what runs may end, what lasts too long is ended and told, a second signal ends all.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster_tests::harness::cluster::PASSWORD;
use cluster_tests::harness::{Client, Cluster, Daemon, Launch, Sandbox, Shape};
use rustix::process::Signal;
use serde_json::{Value, json};

const STOP_MAX: Duration = Duration::from_secs(30);

fn launch(sandbox: &Sandbox) -> Launch {
    Launch::new(sandbox, "node").env("CRONAPI_ADMIN_PASSWORD", PASSWORD)
}

fn client(daemon: &Daemon) -> Client {
    Client::at(&daemon.url().expect("it is ready"), "admin", PASSWORD)
}

/// Starts a run of a shell line by hand and waits until it says that it is under way, by
/// making the file `started`.
async fn under_way(sandbox: &Sandbox, client: &Client, line: &str) -> String {
    let started = sandbox.path().join("started");
    let command = format!("touch '{}'; {line}", started.display());
    let job = json!({"name": "lasting", "runner": {"type": "shell", "command": command},
                     "kill_grace": "500ms"});
    client.create(&job, "create").await.expect("created");
    let path = "/jobs/lasting/run";
    let run = client.write(reqwest::Method::POST, path, Some(&json!({})), "run").await;
    let run = run.expect("accepted").body;
    let appears = async {
        while !started.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(STOP_MAX, appears).await.expect("it starts");
    run["id"].as_str().expect("an id").to_string()
}

async fn run(client: &Client, id: &str) -> Value {
    client.get(&format!("/runs/{id}")).await.expect("the run is there")
}

#[tokio::test]
async fn a_running_job_may_end_before_the_node_stops() {
    let sandbox = Sandbox::new();
    let launch = launch(&sandbox).set("--drain", "20s");
    let mut daemon = launch.start().await;
    let id = under_way(&sandbox, &client(&daemon), "sleep 1.5; echo done").await;
    let status = daemon.terminate(STOP_MAX).await;
    assert_eq!(status.code(), Some(0), "{}", daemon.stderr());
    let daemon = launch.start().await;
    let run = run(&client(&daemon), &id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(run["exit_code"], 0, "{run}");
}

#[tokio::test]
async fn a_job_that_outlives_the_drain_is_ended_and_lost() {
    let sandbox = Sandbox::new();
    let launch = launch(&sandbox).set("--drain", "1s");
    let mut daemon = launch.start().await;
    let id = under_way(&sandbox, &client(&daemon), "sleep 1000").await;
    let status = daemon.terminate(STOP_MAX).await;
    assert_eq!(status.code(), Some(0), "{}", daemon.stderr());
    assert_eq!(sandbox.processes(), [0_u32; 0], "nothing is left running");
    let daemon = launch.start().await;
    let run = run(&client(&daemon), &id).await;
    assert_eq!(run["status"], "lost", "{run}");
    assert!(run["error"].as_str().is_some_and(|error| error.contains("stopped")), "{run}");
}

#[tokio::test]
async fn a_second_signal_ends_the_node_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT)] {
        let sandbox = Sandbox::new();
        let launch = launch(&sandbox).set("--drain", "1000s");
        let mut daemon = launch.start().await;
        let id = under_way(&sandbox, &client(&daemon), "sleep 1000").await;
        daemon.signal(first);
        let told = async {
            while !daemon.stderr().contains("stopping") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(STOP_MAX, told).await.expect("it takes the first signal");
        assert!(daemon.runs(), "the first signal lets the job end");
        daemon.signal(second);
        let status = daemon.ended(Duration::from_secs(5)).await;
        assert_eq!(status.code(), Some(130), "{}", daemon.stderr());
        // What it left is ended, and told as lost, by the next start.
        let daemon = launch.start().await;
        let run = run(&client(&daemon), &id).await;
        assert_eq!(run["status"], "lost", "{run}");
        assert_eq!(sandbox.processes(), [daemon.pid()], "only the new node runs");
    }
}

#[tokio::test]
async fn what_a_killed_node_left_running_is_ended_at_the_next_start() {
    let sandbox = Sandbox::new();
    let launch = launch(&sandbox);
    let daemon = launch.start().await;
    let line = "trap '' TERM; (setsid sleep 1000 &) ; sleep 1000";
    let id = under_way(&sandbox, &client(&daemon), line).await;
    daemon.kill().await;
    assert!(!sandbox.processes().is_empty(), "a kill ends the node only");
    let daemon = launch.start().await;
    let run = run(&client(&daemon), &id).await;
    assert_eq!(run["status"], "lost", "{run}");
    let gone = async {
        while sandbox.processes() != [daemon.pid()] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(STOP_MAX, gone).await.expect("leftovers are ended");
}

#[tokio::test]
async fn a_stop_in_the_middle_of_a_start_is_orderly_too() {
    let sandbox = Sandbox::new();
    let launch = launch(&sandbox);
    for millis in [0, 20, 60, 150] {
        let mut daemon = launch.spawn();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        daemon.terminate(STOP_MAX).await;
    }
    let daemon = launch.start().await;
    let (status, _) = client(&daemon).login().await.expect("it answers");
    assert_eq!(status, 200);
}

/// It leads still, has a run to end, and nobody is left to record that end with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_followers_died_ends_in_time_although_it_runs_something() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).expect("the loopback interface");
    cluster.start().await;
    cluster.wait_whole().await;
    let client = cluster.client();
    let job = json!({"name": "lasting", "overlap": "allow", "kill_grace": "500ms",
        "runner": {"type": "shell", "command": "sleep 600"}});
    client.create(&job, "create").await.expect("created");
    for number in 0..9 {
        let key = format!("run-{number}");
        let path = "/jobs/lasting/run";
        let run = client.write(reqwest::Method::POST, path, Some(&json!({})), &key).await;
        run.expect("accepted");
    }
    let nodes = async {
        loop {
            let runs: Vec<Value> = client.list("/runs?status=running").await.expect("runs");
            let on: BTreeSet<String> = runs.iter().map(|run| run["node"].to_string()).collect();
            if on.len() == 3 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(STOP_MAX, nodes).await.expect("each node runs something");
    let leader = cluster.leader().await.expect("one leads");
    for other in (0..3).filter(|index| *index != leader) {
        cluster.kill(other).await;
    }
    cluster.terminate(leader).await;
    assert!(cluster.faults().is_empty(), "{:?}", cluster.faults());
}
