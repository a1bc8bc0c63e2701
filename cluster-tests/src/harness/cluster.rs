//! A cluster of processes: its start, and what is known of its nodes.
//!
//! What is done to them is in `control.rs`.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex as Plain, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::{Instant, sleep};

use super::disk::Disk;
use super::ground::{CLUSTER_PORT, Ground, Place, REST_PORT};
use super::node::Node;
use super::process::{Launch, START_MAX, tail};
use super::shim::Shim;
use super::{Client, Sandbox, client};
use crate::history::{Boot, Disturbance};
use crate::moment::Moment;

/// The password of `admin` in every scenario.
pub const PASSWORD: &str = "correct horse battery staple";
/// The secret of every cluster.
const CLUSTER_KEY: &str = "a cluster key that is only good for tests";

/// What nodes are told to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// All of them the same list; the first of it founds the cluster.
    List,
    /// The first of them nothing; the others the first.
    First,
}

/// What a cluster is made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Nodes that know each other from the start.
    pub nodes: usize,
    /// Nodes that are not started, and may join later.
    pub spares: usize,
    /// What they are told.
    pub join: Join,
    /// Where they live.
    pub place: Place,
    /// Attempts at a time on each.
    pub slots: u32,
    /// Whether clocks and syncs can be tampered with.
    pub shim: bool,
    /// Whether disks have a size.
    pub disks: bool,
    /// Whether nodes prove to each other who they are, and encrypt.
    pub key: bool,
    /// Whether each has a directory for sinks, `node0-sinks` and so on in the sandbox.
    pub sinks: bool,
    /// Whether a leader decides fires ahead of their time where that is safe.
    pub plan_ahead: bool,
}

impl Shape {
    /// So many nodes on the loopback interface.
    pub fn loopback(nodes: usize) -> Shape {
        let (join, place) = (Join::List, Place::Loopback);
        let (slots, shim, disks, key) = (256, false, false, true);
        let (sinks, plan_ahead) = (false, true);
        Shape { nodes, spares: 0, join, place, slots, shim, disks, key, sinks, plan_ahead }
    }
}

/// A cluster of processes on one sandbox.
#[derive(Clone)]
pub struct Cluster(pub(super) Arc<Inner>);

pub(super) struct Inner {
    // Before the ground they stand on: it can't go while they run.
    nodes: Vec<Mutex<Node>>,
    pub(super) ground: Ground,
    shape: Shape,
    urls: Vec<String>,
    bases: watch::Sender<Vec<String>>,
    disturbances: Plain<Vec<Disturbance>>,
    faults: Plain<Vec<String>>,
}

impl Cluster {
    /// Makes a cluster; nothing is started yet.
    ///
    /// # Errors
    /// This machine can't: why.
    pub fn make(sandbox: &Sandbox, shape: Shape) -> Result<Cluster, String> {
        let whole = shape.nodes + shape.spares;
        let ground = Ground::new(shape.place, whole)?;
        let shim = shape.shim.then(|| Shim::compile(sandbox.path())).transpose()?;
        let mut nodes = Vec::new();
        for index in 0..whole {
            nodes.push(node(sandbox, &shape, &ground, shim.as_ref(), index)?);
        }
        let urls: Vec<String> = nodes.iter().map(|node| node.url.clone()).collect();
        // Spares come and go, and are not asked.
        let bases = watch::Sender::new(urls[..shape.nodes].to_vec());
        let nodes = nodes.into_iter().map(Mutex::new).collect();
        let (disturbances, faults) = (Plain::default(), Plain::default());
        let inner = Inner { nodes, ground, shape, urls, bases, disturbances, faults };
        Ok(Cluster(Arc::new(inner)))
    }

    /// Every node has this variable from its next start on.
    pub async fn env(&self, name: &str, value: &str) {
        for node in &self.0.nodes {
            let mut node = node.lock().await;
            node.launch = node.launch.clone().env(name, value);
        }
    }

    /// Starts all but the spares and waits until they are ready.
    ///
    /// # Panics
    /// One is not ready in time.
    pub async fn start(&self) {
        for index in 0..self.0.shape.nodes {
            self.spawn(index).await;
        }
        self.wait_ready().await;
    }

    /// How many nodes there are, without the spares.
    pub fn size(&self) -> usize {
        self.0.shape.nodes
    }

    /// All of them, by number, and the spares after them.
    pub fn indexes(&self) -> std::ops::Range<usize> {
        0..self.0.nodes.len()
    }

    pub(super) async fn node(&self, index: usize) -> MutexGuard<'_, Node> {
        self.0.nodes[index].lock().await
    }

    /// A client that asks another node each time, as `admin`.
    pub fn client(&self) -> Client {
        Client::new(self.0.bases.subscribe(), "admin", PASSWORD)
    }

    /// A client of one node, as `admin`.
    pub fn client_of(&self, index: usize) -> Client {
        Client::at(&self.0.urls[index], "admin", PASSWORD)
    }

    /// Where a node is.
    pub fn url(&self, index: usize) -> &str {
        &self.0.urls[index]
    }

    /// The number of the node at a URL.
    pub fn index_of(&self, url: &str) -> Option<usize> {
        self.0.urls.iter().position(|known| known == url)
    }

    /// The address of this process, as nodes see it.
    pub fn own_address(&self) -> Ipv4Addr {
        self.0.ground.own_address()
    }

    /// Starts the process of a node; who asks can wait until it is ready.
    pub async fn spawn(&self, index: usize) {
        self.node(index).await.spawn();
        let cluster = self.clone();
        tokio::spawn(async move {
            // Only for the record; whoever needs it waits for it.
            let _ = cluster.ready(index).await;
        });
    }

    /// Waits until a node is ready.
    ///
    /// # Errors
    /// It ended, or was not ready in time: with the last of what it said.
    pub async fn ready(&self, index: usize) -> Result<(), String> {
        let url = format!("{}/readyz", self.0.urls[index]);
        let deadline = Instant::now() + START_MAX;
        loop {
            let answer = client::plain(&url).await;
            let mut node = self.node(index).await;
            if !node.runs() {
                return Err(format!("node {index} has ended:\n{}", tail(node.launch.log())));
            }
            if matches!(answer, Ok(200)) {
                if let Some(boot) = node.boots.last_mut() {
                    boot.ready.get_or_insert(Moment::now());
                }
                return Ok(());
            }
            if Instant::now() >= deadline {
                let log = tail(node.launch.log());
                return Err(format!("node {index} is not ready in {START_MAX:?}:\n{log}"));
            }
            drop(node);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until every node that runs is ready.
    ///
    /// # Panics
    /// One is not in time.
    pub async fn wait_ready(&self) {
        for index in self.indexes() {
            if self.runs(index).await
                && let Err(why) = self.ready(index).await
            {
                panic!("{why}");
            }
        }
    }

    /// Whether the process of a node is there.
    pub async fn runs(&self, index: usize) -> bool {
        self.node(index).await.runs()
    }

    /// What the processes of a node wrote to standard error.
    pub async fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.node(index).await.launch.log()).unwrap_or_default()
    }

    /// The processes so far, in order of time.
    pub async fn boots(&self) -> Vec<Boot> {
        let mut boots = Vec::new();
        for index in self.indexes() {
            boots.extend(self.node(index).await.boots.clone());
        }
        boots.sort_by_key(|boot| boot.spawned);
        boots
    }

    /// Takes down what was done to the cluster, and when.
    pub fn disturbed(&self, what: String, from: Moment, until: Moment) {
        let mut all = self.0.disturbances.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Disturbance { from, until, what });
    }

    /// What was done to it.
    pub fn disturbances(&self) -> Vec<Disturbance> {
        self.0.disturbances.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes down what should not have happened.
    pub fn fault(&self, what: String) {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// What went wrong with processes, apart from what was done to them.
    pub fn faults(&self) -> Vec<String> {
        self.0.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn node(
    sandbox: &Sandbox,
    shape: &Shape,
    ground: &Ground,
    shim: Option<&Shim>,
    index: usize,
) -> Result<Node, String> {
    let name = format!("node{index}");
    let data = sandbox.path().join(&name);
    let address = |node| format!("{}:{CLUSTER_PORT}", ground.address(node));
    let rest = format!("{}:{REST_PORT}", ground.address(index));
    let mut launch = Launch::new(sandbox, &name)
        .within(ground.namespace(index))
        .env("CRONAPI_ADMIN_PASSWORD", PASSWORD)
        // In namespaces of their own addresses are not loopback ones.
        .env("CRONAPI_ALLOW_HTTP", "true")
        .set("--listen", &rest)
        .set("--slots", &shape.slots.to_string())
        .set("--plan-ahead", if shape.plan_ahead { "on" } else { "off" })
        .set("--drain", "3s");
    if shape.sinks {
        let directory = sandbox.path().join(format!("{name}-sinks"));
        launch = launch.env("CRONAPI_SINK_DIR", &directory.display().to_string());
    }
    if shape.nodes + shape.spares > 1 {
        let known = match shape.join {
            Join::List => shape.nodes,
            Join::First => 1,
        };
        let members: Vec<String> = (0..known).map(address).collect();
        if shape.key {
            launch = launch.env("CRONAPI_CLUSTER_KEY", CLUSTER_KEY);
        }
        launch = launch
            .env("CRONAPI_VOTERS", &shape.nodes.to_string())
            .set("--cluster-listen", &address(index))
            .set("--advertise", &address(index));
        if shape.join == Join::List || index > 0 {
            launch = launch.set("--join", &members.join(","));
        }
    }
    let mut control = None;
    if let Some(shim) = shim {
        let (steered, held) = shim.steer(launch, sandbox.path(), &name)?;
        (launch, control) = (steered, Some(held));
    }
    let disk = if shape.disks { Some(Disk::mount(&data)?) } else { None };
    Ok(Node {
        index,
        launch,
        url: format!("http://{rest}"),
        data,
        control,
        disk,
        daemon: None,
        boots: Vec::new(),
    })
}
