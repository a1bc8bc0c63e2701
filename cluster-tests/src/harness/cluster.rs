//! Nodes and their restarts.
//!
//! One node today. What is asked of it names the node, so that more of them change the
//! inside only.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::process::{Daemon, Launch};
use super::{Client, Sandbox};
use crate::history::Boot;
use crate::moment::Moment;

/// The password of `admin` in every scenario.
pub const PASSWORD: &str = "correct horse battery staple";
/// How long an orderly stop may take: the drain, and what follows.
const STOP_MAX: Duration = Duration::from_secs(60);

/// A cluster of processes on one sandbox.
#[derive(Clone)]
pub struct Cluster {
    node: Arc<Mutex<Node>>,
    base: watch::Sender<String>,
}

struct Node {
    launch: Launch,
    daemon: Option<Daemon>,
    boots: Vec<Boot>,
    faults: Vec<String>,
}

impl Cluster {
    /// Starts one node with `slots`.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start(sandbox: &Sandbox, slots: u32) -> Cluster {
        let launch = Launch::new(sandbox, "node0")
            .env("CRONAPI_ADMIN_PASSWORD", PASSWORD)
            .set("--slots", &slots.to_string())
            .set("--drain", "3s");
        let node = Node { launch, daemon: None, boots: Vec::new(), faults: Vec::new() };
        let base = watch::Sender::new(String::new());
        let cluster = Cluster { node: Arc::new(Mutex::new(node)), base };
        cluster.up(0).await;
        cluster
    }

    /// A client of the cluster, as `admin`.
    pub fn client(&self) -> Client {
        Client::new(self.base.subscribe(), "admin", PASSWORD)
    }

    /// Where it is now.
    pub fn url(&self) -> String {
        self.base.borrow().clone()
    }

    /// Starts the process of a node and waits until it is ready.
    ///
    /// # Panics
    /// It does not start.
    pub async fn up(&self, index: usize) {
        let mut node = self.node.lock().await;
        let spawned = Moment::now();
        let mut daemon = node.launch.spawn();
        let url = match daemon.ready().await {
            Ok(url) => url,
            Err(why) => panic!("node {index}: {why}"),
        };
        let ready = Some(Moment::now());
        let boot = Boot { node: index, spawned, ready, ended: None, gone: None, how: "" };
        node.boots.push(boot);
        node.daemon = Some(daemon);
        self.base.send_replace(url);
    }

    /// Starts the process of a node and kills it `after`, ready or not.
    pub async fn up_and_kill(&self, index: usize, after: Duration) {
        let mut node = self.node.lock().await;
        let spawned = Moment::now();
        let daemon = node.launch.spawn();
        tokio::time::sleep(after).await;
        let ended = Some(Moment::now());
        daemon.kill().await;
        let (gone, how) = (Some(Moment::now()), "kill in start");
        node.boots.push(Boot { node: index, spawned, ready: None, ended, gone, how });
    }

    /// Ends the process of a node at once.
    pub async fn kill(&self, _index: usize) {
        let mut node = self.node.lock().await;
        node.ending("kill -9");
        if let Some(daemon) = node.daemon.take() {
            daemon.kill().await;
        }
        node.gone();
    }

    /// Asks the process of a node to stop, and waits; a status other than 0 is a fault.
    pub async fn terminate(&self, index: usize) {
        let mut node = self.node.lock().await;
        node.ending("SIGTERM");
        if let Some(mut daemon) = node.daemon.take() {
            let status = daemon.terminate(STOP_MAX).await;
            node.gone();
            if !status.success() {
                let fault = format!("node {index}: SIGTERM ended it with {status}, not 0");
                node.faults.push(fault);
            }
        }
    }

    /// Whether each process that should run does.
    pub async fn runs(&self) -> bool {
        let mut node = self.node.lock().await;
        node.daemon.as_mut().is_none_or(Daemon::runs)
    }

    /// The processes so far.
    pub async fn boots(&self) -> Vec<Boot> {
        self.node.lock().await.boots.clone()
    }

    /// What went wrong with processes, apart from what was done to them.
    pub async fn faults(&self) -> Vec<String> {
        self.node.lock().await.faults.clone()
    }
}

impl Node {
    fn gone(&mut self) {
        if let Some(boot) = self.boots.last_mut() {
            boot.gone = Some(Moment::now());
        }
    }

    fn ending(&mut self, how: &'static str) {
        if let Some(boot) = self.boots.last_mut() {
            boot.ended = Some(Moment::now());
            boot.how = how;
        }
    }
}
