//! What the controller of a StatefulSet does, to processes.
//!
//! `pods.json` holds the arguments and the environment of the chart's container, by replicas;
//! `ci/helm.py` writes it. A pod's name is found in a hosts file that all processes share in
//! place of DNS, and every start has a new address.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use cluster_tests::harness::cluster::PASSWORD;
use cluster_tests::harness::{Client, Daemon, Launch, Sandbox, client};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const RENDERED: &str = include_str!("pods.json");
const SET: &str = "cron-cronapi";
const DOMAIN: &str = "cron-cronapi-nodes.jobs.svc.cluster.local";
/// For what has to come, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what must not happen: long enough to find each other several times over.
const WATCHED: Duration = Duration::from_secs(4);
/// Before a pod that stops is killed, as in the chart.
const GRACE: Duration = Duration::from_secs(60);

struct Pod {
    address: Ipv4Addr,
    daemon: Daemon,
}

/// The set.
pub struct Set<'a> {
    sandbox: &'a Sandbox,
    hosts: PathBuf,
    block: [u8; 3],
    addresses: u8,
    replicas: usize,
    pods: BTreeMap<usize, Pod>,
    /// The first nominal time that counts.
    since: String,
}

impl<'a> Set<'a> {
    /// An empty one.
    ///
    /// # Errors
    /// This machine can't: why.
    pub fn new(sandbox: &'a Sandbox) -> Result<Set<'a>, String> {
        static COUNT: AtomicU8 = AtomicU8::new(0);
        if !rustix::process::getuid().is_root() {
            return Err("names of its own for a process take root".into());
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let [.., low] = std::process::id().to_be_bytes();
        let hosts = sandbox.path().join("hosts");
        let key = sandbox.path().join("cluster-key");
        let password = sandbox.path().join("admin-password");
        for (file, text) in [
            (&hosts, "127.0.0.1 localhost\n"),
            (&key, "a cluster key that is only good for tests"),
            (&password, PASSWORD),
        ] {
            fs::write(file, text).map_err(|error| error.to_string())?;
        }
        let (pods, since) = (BTreeMap::new(), String::new());
        let block = [127, 200 + count, low];
        Ok(Set { sandbox, hosts, block, addresses: 0, replicas: 0, pods, since })
    }

    /// How the pod of an ordinal is started, as the chart says it for this many replicas. What
    /// differs is where it listens (a real pod has all addresses for itself) and its files.
    fn launch(&self, ordinal: usize, address: Ipv4Addr) -> Launch {
        let all: Value = serde_json::from_str(RENDERED).expect("it is JSON");
        let pod = &all[self.replicas.to_string()];
        let args = pod["args"].as_array().expect("arguments");
        let args: Vec<&str> = args.iter().filter_map(Value::as_str).collect();
        let name = format!("{SET}-{ordinal}");
        let file = |name: &str| self.sandbox.path().join(name).display().to_string();
        let mut launch = Launch::new(self.sandbox, &name).args(&args).hosts(&self.hosts);
        for (variable, value) in pod["env"].as_object().expect("variables") {
            let value = value.as_str().expect("a text").replace("$(POD_NAME)", &name);
            let value = match variable.as_str() {
                "CRONAPI_LISTEN" | "CRONAPI_CLUSTER_LISTEN" => {
                    value.replace("0.0.0.0", &address.to_string())
                }
                "CRONAPI_CLUSTER_KEY_FILE" => file("cluster-key"),
                "CRONAPI_ADMIN_PASSWORD_FILE" => file("admin-password"),
                "DATABASE_PATH" => file(&format!("{name}-data")),
                _ => value,
            };
            launch = launch.env(variable, &value);
        }
        launch
    }

    /// The names of the pods that run, ready or not.
    fn publish(&self) {
        let mut text = "127.0.0.1 localhost\n".to_owned();
        for (ordinal, Pod { address, .. }) in &self.pods {
            text += &format!("{address} {SET}-{ordinal}.{DOMAIN}\n{address} {DOMAIN}\n");
        }
        // In place: processes see this file, not its name.
        fs::write(&self.hosts, text).expect("the sandbox can be written");
    }

    /// Starts a pod at a new address.
    pub async fn start(&mut self, ordinal: usize) {
        self.addresses += 1;
        let [a, b, c] = self.block;
        let address = Ipv4Addr::new(a, b, c, self.addresses);
        let daemon = self.launch(ordinal, address).spawn();
        self.pods.insert(ordinal, Pod { address, daemon });
        self.publish();
    }

    /// Ends a pod at once, as the loss of its machine does.
    pub async fn kill(&mut self, ordinal: usize) {
        let pod = self.pods.remove(&ordinal).expect("it runs");
        pod.daemon.kill().await;
        self.publish();
    }

    /// Takes a pod's volume away.
    pub async fn wipe(&mut self, ordinal: usize) {
        let data = self.sandbox.path().join(format!("{SET}-{ordinal}-data"));
        fs::remove_dir_all(data).expect("it has data");
    }

    /// Stops pods, all of them at a time.
    pub async fn stop(&mut self, ordinals: &[usize]) {
        let mut ending = Vec::new();
        for ordinal in ordinals {
            let pod = self.pods.remove(ordinal).expect("it runs");
            pod.daemon.signal(rustix::process::Signal::TERM);
            ending.push(pod);
        }
        for mut pod in ending {
            let status = pod.daemon.ended(GRACE).await;
            assert_eq!(status.code(), Some(0), "{}", pod.daemon.stderr());
        }
        self.publish();
    }

    /// What `helm upgrade --set replicas=…` leads to.
    pub async fn scale(&mut self, replicas: usize) {
        self.scale_without(replicas, &[]).await;
        self.wait_ready().await;
    }

    /// The same, while some pods can't be started.
    pub async fn scale_without(&mut self, replicas: usize, missing: &[usize]) {
        let before = std::mem::replace(&mut self.replicas, replicas);
        let surplus: Vec<usize> = self.pods.keys().copied().filter(|n| *n >= replicas).collect();
        self.stop(&surplus).await;
        for ordinal in 0..replicas {
            if !self.pods.contains_key(&ordinal) && !missing.contains(&ordinal) {
                self.start(ordinal).await;
            }
        }
        self.wait_ready().await;
        let all: Value = serde_json::from_str(RENDERED).expect("it is JSON");
        if before > 0 && all[before.to_string()] != all[replicas.to_string()] {
            self.roll_upto(before).await;
        }
    }

    /// Starts every pod again, the last one first, each when the one before is ready.
    pub async fn roll(&mut self) {
        self.roll_upto(self.replicas).await;
    }

    /// Stops one and starts it again.
    pub async fn restart(&mut self, ordinal: usize) {
        self.stop(&[ordinal]).await;
        self.start(ordinal).await;
        self.wait_ready().await;
    }

    async fn roll_upto(&mut self, count: usize) {
        for ordinal in (0..count.min(self.replicas)).rev() {
            self.restart(ordinal).await;
        }
    }

    fn url(&self, ordinal: usize) -> String {
        format!("http://{}:8000", self.pods[&ordinal].address)
    }

    fn client_of(&self, ordinal: usize) -> Client {
        Client::at(&self.url(ordinal), "admin", PASSWORD)
    }

    /// A client of the first pod that runs.
    fn client(&self) -> Client {
        self.client_of(*self.pods.keys().next().expect("one runs"))
    }

    /// Waits until each pod that runs is ready, as its probe asks.
    pub async fn wait_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        for ordinal in self.pods.keys().copied().collect::<Vec<_>>() {
            let ready = format!("{}/readyz", self.url(ordinal));
            while !matches!(client::plain(&ready).await, Ok(200)) {
                let pod = self.pods.get_mut(&ordinal).expect("it runs");
                assert!(pod.daemon.runs(), "{ordinal} has ended:\n{}", pod.daemon.stderr());
                let late = Instant::now() >= deadline;
                assert!(!late, "{ordinal} is not ready:\n{}", pod.daemon.stderr());
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Nothing may come of a pod that is alone.
    pub async fn stays_out(&self, ordinal: usize) {
        let until = Instant::now() + WATCHED;
        let ready = format!("{}/readyz", self.url(ordinal));
        while Instant::now() < until {
            let answer = client::plain(&ready).await.ok();
            assert_ne!(answer, Some(200), "{ordinal} is ready without the others");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until what every pod says of the members holds.
    async fn members_are(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        for ordinal in self.pods.keys() {
            let client = self.client_of(*ordinal);
            loop {
                let nodes = client.get("/cluster/nodes").await.expect("it answers");
                if nodes["items"].as_array().is_some_and(|items| holds(items)) {
                    break;
                }
                assert!(Instant::now() < deadline, "not {what}: {ordinal} says {nodes}");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits until so many vote and are live.
    pub async fn voters(&self, count: usize) {
        let votes = |item: &&Value| {
            let role = item["role"].as_str().unwrap_or_default();
            item["live"] == true && matches!(role, "leader" | "follower" | "voter")
        };
        let holds = |items: &[Value]| items.iter().filter(votes).count() == count;
        self.members_are(&format!("{count} voters"), holds).await;
    }

    /// Waits until there are so many members and no others.
    pub async fn members(&self, count: usize) {
        self.members_are(&format!("{count} members"), |items| items.len() == count).await;
    }

    /// The id of the one cluster that all are of.
    pub async fn only_cluster(&self) -> String {
        let mut clusters = BTreeSet::new();
        for ordinal in self.pods.keys() {
            let status = self.client_of(*ordinal).get("/system/status").await.expect("it answers");
            clusters.insert(status["cluster_id"].as_str().unwrap_or_default().to_owned());
        }
        assert_eq!(clusters.len(), 1, "{clusters:?}");
        clusters.pop_first().filter(|id| !id.is_empty()).expect("a cluster")
    }

    /// The pods that have a vote.
    pub async fn voting(&self) -> Vec<usize> {
        let nodes = self.client().get("/cluster/nodes").await.expect("it answers");
        let items = nodes["items"].as_array().cloned().unwrap_or_default();
        let votes = |id: &Value| {
            let of = items.iter().find(|item| item["id"] == *id);
            of.is_some_and(|item| matches!(item["role"].as_str(), Some("leader" | "follower")))
        };
        let ids = self.node_ids().await;
        self.pods.keys().copied().zip(ids).filter(|(_, id)| votes(id)).map(|(n, _)| n).collect()
    }

    /// Which node each pod is.
    pub async fn node_ids(&self) -> Vec<Value> {
        let mut ids = Vec::new();
        for ordinal in self.pods.keys() {
            let status = self.client_of(*ordinal).get("/system/status").await.expect("it answers");
            ids.push(status["node_id"].clone());
        }
        ids
    }

    /// From now on there is a fire every second. Each is caught up, if late: on a machine that
    /// stands still for longer than the grace of a misfire, none may be missing all the same.
    pub async fn tick(&mut self) {
        let job = json!({
            "name": "tick", "expr": "* * * * * *", "overlap": "allow", "misfire": {"policy": "all"},
        });
        self.client().create(&job, "tick").await.expect("created");
        self.fires_go_on().await;
        self.since = self.rows().await[0]["nominal_time"].as_str().unwrap_or_default().to_owned();
    }

    /// The ledger, oldest first.
    async fn rows(&self) -> Vec<Value> {
        let path = format!("/jobs/tick/ledger?from={}", client::encode(&self.since));
        let path = if self.since.is_empty() { "/jobs/tick/ledger".to_owned() } else { path };
        let mut rows: Vec<Value> = self.client().list(&path).await.expect("the ledger");
        rows.sort_by_key(|row| row["nominal_time"].as_str().unwrap_or_default().to_owned());
        rows
    }

    /// Waits for fires that are not there yet.
    pub async fn fires_go_on(&self) {
        let last = |rows: &[Value]| {
            let fired = rows.iter().filter(|row| row["outcome"] == "fired");
            fired.filter_map(|row| row["nominal_time"].as_str()).max().map(str::to_owned)
        };
        let before = last(&self.rows().await);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = last(&self.rows().await);
            if now > before {
                return;
            }
            assert!(Instant::now() < deadline, "nothing has fired since {before:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// No second since the first is missing, and each has fired.
    pub async fn every_second_fired(&self) {
        let rows = self.rows().await;
        let second = |row: &Value| {
            let text = row["nominal_time"].as_str().expect("a time");
            chrono::DateTime::parse_from_rfc3339(text).expect("RFC 3339").timestamp()
        };
        for pair in rows.windows(2) {
            let gap = second(&pair[1]) - second(&pair[0]);
            assert_eq!(gap, 1, "between {} and {}", pair[0], pair[1]);
        }
        for row in &rows {
            assert_eq!(row["outcome"], "fired", "{row}");
        }
        assert!(rows.len() > 2, "only {} fires", rows.len());
    }

    /// `cronapi audit-fires` finds nothing, asking all.
    pub async fn audited(&self) {
        let urls: Vec<String> = self.pods.keys().map(|ordinal| self.url(*ordinal)).collect();
        let audit = Launch::new(self.sandbox, "audit")
            .args(&["audit-fires", "--user", "admin", "--server", &urls.join(",")])
            .env("CRONAPI_PASSWORD", PASSWORD);
        let exit = audit.run().await;
        assert!(exit.status.success(), "{}{}", exit.stdout, exit.stderr);
        println!("{}", exit.stdout.trim());
    }
}
