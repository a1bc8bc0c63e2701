//! Notices: none is lost and each is the same one, whoever is killed; a channel that is down holds
//! up no other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::sink::{Manner, Sink, Told};
use cluster_tests::harness::{Cluster, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// Kills of whoever sends, and as many of whoever leads.
const KILLS: usize = 8;
/// How long a message may take to come, with a fail-over in between.
const PATIENCE: Duration = Duration::from_secs(30);

async fn started(sandbox: &Sandbox, nodes: usize) -> Cluster {
    let cluster = Cluster::make(sandbox, Shape::loopback(nodes)).expect("loopback is everywhere");
    cluster.start().await;
    cluster.wait_whole().await;
    cluster
}

async fn channel(cluster: &Cluster, name: &str, sink: &Sink) {
    let body = json!({"type": "webhook", "config": {"url": sink.url()}});
    let path = format!("/channels/{name}");
    cluster.client().write(Method::PUT, &path, Some(&body), "").await.expect("written");
}

/// A job that fails, and is told to these channels.
async fn failing(cluster: &Cluster, name: &str, channels: &[&str]) {
    let job = json!({"name": name, "runner": {"type": "shell", "command": "exit 3"},
        "notify": {"channels": channels, "on": ["failed", "recovered"]}});
    cluster.client().create(&job, name).await.expect("created");
}

async fn run(cluster: &Cluster, job: &str) {
    let path = format!("/jobs/{job}/runs");
    let key = format!("run-{job}");
    cluster.client().write(Method::POST, &path, Some(&json!({})), &key).await.expect("started");
}

fn of(job: &str) -> impl Fn(&Told) -> bool + '_ {
    move |told| told.body["job"] == job
}

/// The node that sent a message: without `--public-url` its links begin with its own address.
fn sender(cluster: &Cluster, told: &Told) -> usize {
    let link = told.body["link"].as_str().expect("each message has a link");
    let base = link.split("/ui/").next().unwrap_or_default();
    cluster.index_of(base).unwrap_or_else(|| panic!("{link} is of no node"))
}

/// Waits until nothing waits any more.
async fn all_sent(cluster: &Cluster) -> Vec<Value> {
    let client = cluster.client();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let waiting: Vec<Value> = client.list("/notices?state=pending").await.expect("it answers");
        if waiting.is_empty() {
            return client.list("/notices?state=sent").await.expect("it answers");
        }
        assert!(Instant::now() < deadline, "these still wait: {waiting:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_notice_outlives_whoever_sends_it_and_whoever_leads() {
    let sandbox = Sandbox::new();
    let cluster = started(&sandbox, 3).await;
    let sink = Sink::start(cluster.own_address()).await;
    channel(&cluster, "ops", &sink).await;
    let mut again = 0;
    for round in 0..KILLS {
        // Whoever sends dies between the message and its record.
        let job = format!("sends-{round}");
        failing(&cluster, &job, &["ops"]).await;
        sink.answer(Manner::Held);
        run(&cluster, &job).await;
        let told = sink.next(0, PATIENCE, of(&job)).await.expect("it is told");
        let (node, seen) = (sender(&cluster, &told), sink.told().len());
        cluster.kill(node).await;
        sink.answer(Manner::Taken);
        cluster.up(node).await;
        let second = sink.next(seen, PATIENCE, of(&job)).await.expect("it is told again");
        assert_eq!(second.key, told.key, "it is the same one");
        again += 1;
        // Whoever leads dies as a run fails.
        let job = format!("leads-{round}");
        failing(&cluster, &job, &["ops"]).await;
        let leader = cluster.leader().await.expect("it is whole");
        run(&cluster, &job).await;
        cluster.kill(leader).await;
        cluster.up(leader).await;
        sink.next(0, PATIENCE, of(&job)).await.expect("it is told");
    }
    let sent = all_sent(&cluster).await;
    let told = sink.told();
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for told in &told {
        let job = told.body["job"].as_str().unwrap_or_default().to_owned();
        keys.entry(job).or_default().insert(told.key.clone());
    }
    assert_eq!(keys.len(), 2 * KILLS, "one message a job at least");
    assert!(keys.values().all(|keys| keys.len() == 1), "one key a notice: {keys:#?}");
    let all: BTreeSet<&String> = keys.values().flatten().collect();
    assert_eq!(all.len(), 2 * KILLS, "each notice has its own key");
    assert_eq!(sent.len(), 2 * KILLS, "{sent:#?}");
    let doubled = told.len() - 2 * KILLS;
    assert!(doubled <= 2 * KILLS, "{doubled} doubles with {} kills", 2 * KILLS);
    println!("{} kills: {doubled} doubles, {again} of them made on purpose", 2 * KILLS);
    let open: Vec<Value> = cluster.client().list("/incidents").await.expect("it answers");
    assert_eq!(open.len(), 2 * KILLS);
}

#[tokio::test]
async fn a_channel_that_is_down_for_a_while_is_told_once_and_holds_up_no_other() {
    let sandbox = Sandbox::new();
    let cluster = started(&sandbox, 1).await;
    let (down, up) =
        (Sink::start(cluster.own_address()).await, Sink::start(cluster.own_address()).await);
    channel(&cluster, "down", &down).await;
    channel(&cluster, "up", &up).await;
    down.answer(Manner::Refused(500));
    failing(&cluster, "j", &["down", "up"]).await;
    run(&cluster, "j").await;
    let soon = Duration::from_secs(4);
    up.next(0, soon, of("j")).await.expect("the other one is told at once");
    down.next(0, PATIENCE, of("j")).await.expect("it is tried");
    // The second try comes after 5 s.
    down.next(1, PATIENCE, of("j")).await.expect("it is tried again");
    down.answer(Manner::Taken);
    let sent = all_sent(&cluster).await;
    let told = down.told();
    let keys: BTreeSet<&str> = told.iter().map(|told| told.key.as_str()).collect();
    let taken = told.iter().filter(|told| told.status == 200).count();
    assert_eq!((keys.len(), taken), (1, 1), "{told:#?}");
    assert_eq!((up.told().len(), sent.len()), (1, 2));
    // Well again: its end is told, and the incident is over.
    let client = cluster.client();
    let well = json!({"runner": {"type": "shell", "command": "true"}});
    client.write(Method::PATCH, "/jobs/j", Some(&well), "").await.expect("changed");
    client.run_to_end("j", "well").await.expect("it runs");
    let over = |told: &Told| told.body["kind"] == "recovered";
    for sink in [&down, &up] {
        sink.next(0, PATIENCE, over).await.expect("the end is told");
    }
    let open: Vec<Value> = client.list("/incidents").await.expect("it answers");
    let over: Vec<Value> = client.list("/incidents?state=resolved").await.expect("it answers");
    assert_eq!((open.len(), over.len()), (0, 1));
}

#[tokio::test]
async fn a_node_that_dies_is_told_and_so_is_that_it_is_back() {
    let sandbox = Sandbox::new();
    let cluster = started(&sandbox, 3).await;
    let sink = Sink::start(cluster.own_address()).await;
    channel(&cluster, "ops", &sink).await;
    let rule = json!({"on": ["node_lost", "recovered"], "channels": ["ops"]});
    let path = "/rules/cluster";
    cluster.client().write(Method::PUT, path, Some(&rule), "").await.expect("written");
    let dies = (cluster.leader().await.expect("it is whole") + 1) % 3;
    cluster.kill(dies).await;
    let lost = sink.next(0, PATIENCE, |told| told.body["kind"] == "node_lost").await;
    let lost = lost.expect("it is told").body;
    assert!(lost["node"].is_u64() && lost["job"].is_null(), "{lost}");
    assert!(lost["link"].as_str().is_some_and(|link| link.ends_with("/ui/cluster")), "{lost}");
    cluster.up(dies).await;
    let back = sink.next(1, PATIENCE, |told| told.body["kind"] == "recovered").await;
    assert_eq!(back.expect("so is its end").body["node"], lost["node"]);
    all_sent(&cluster).await;
    assert_eq!(sink.told().len(), 2, "{:#?}", sink.told());
}

#[tokio::test]
async fn what_a_window_puts_off_comes_in_one_message_at_its_end() {
    let sandbox = Sandbox::new();
    let cluster = started(&sandbox, 1).await;
    let sink = Sink::start(cluster.own_address()).await;
    channel(&cluster, "ops", &sink).await;
    let client = cluster.client();
    let now = DateTime::<Utc>::from(SystemTime::now());
    let at = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let (from, to) = (now - TimeDelta::minutes(1), now + TimeDelta::hours(1));
    let window = |to| json!({"from": at(from), "to": at(to), "mode": "defer"});
    let path = "/windows/quiet";
    client.write(Method::PUT, path, Some(&window(to)), "").await.expect("written");
    let jobs = ["a", "b", "c"];
    for job in jobs {
        failing(&cluster, job, &["ops"]).await;
        let run = client.run_to_end(job, job).await.expect("it ends");
        assert_eq!(run["status"], "failed");
    }
    let waiting: Vec<Value> = client.list("/notices?state=pending").await.expect("it answers");
    assert!(waiting.iter().all(|notice| notice["window"] == "quiet"), "{waiting:#?}");
    assert_eq!((waiting.len(), sink.told().len()), (3, 0));
    // It ends earlier than it was to.
    let soon = now + TimeDelta::milliseconds(1);
    client.write(Method::PUT, path, Some(&window(soon)), "").await.expect("written");
    let told = sink.next(0, PATIENCE, |_| true).await.expect("it is told").body;
    assert_eq!(told["kind"], "digest", "{told}");
    let text = told["reason"].as_str().expect("a text");
    for job in jobs {
        assert!(text.contains(&format!("- {job}: failed")), "{text}");
    }
    all_sent(&cluster).await;
    assert_eq!(sink.told().len(), 1, "{:#?}", sink.told());
}
