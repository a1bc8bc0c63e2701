//! What is done to the nodes of a cluster, and how each of it is undone.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::client;
use super::cluster::Cluster;
use super::lab::Lab;
use crate::history::id;
use crate::moment::Moment;

/// How long an orderly stop may take: the drain, and what follows.
const STOP_MAX: Duration = Duration::from_secs(60);
/// How long a question to one node may take.
const ASK_MAX: Duration = Duration::from_secs(2);
/// How long a cluster that is whole again may take to have a leader and know all its nodes.
const HEAL_MAX: Duration = Duration::from_secs(90);

impl Cluster {
    /// Starts the process of a node and waits until it is ready.
    ///
    /// # Panics
    /// It is not ready in time.
    pub async fn up(&self, index: usize) {
        self.spawn(index).await;
        if let Err(why) = self.ready(index).await {
            panic!("{why}");
        }
    }

    /// Starts the process of a node and kills it `after`, ready or not.
    pub async fn up_and_kill(&self, index: usize, after: Duration) {
        self.spawn(index).await;
        sleep(after).await;
        self.kill(index).await;
    }

    /// Ends the process of a node at once.
    pub async fn kill(&self, index: usize) {
        let mut node = self.node(index).await;
        node.ending("kill -9");
        if let Some(daemon) = node.daemon.take() {
            daemon.kill().await;
        }
        node.gone();
    }

    /// Asks the process of a node to stop, and waits; a status other than 0 is a fault.
    pub async fn terminate(&self, index: usize) {
        let mut node = self.node(index).await;
        node.ending("SIGTERM");
        if let Some(mut daemon) = node.daemon.take() {
            let status = daemon.terminate(STOP_MAX).await;
            node.gone();
            if !status.success() {
                self.fault(format!("node {index}: SIGTERM ended it with {status}, not 0"));
            }
        }
    }

    /// Stops all that run, at the same time.
    pub async fn terminate_all(&self) {
        let stops = self.indexes().map(|index| {
            let cluster = self.clone();
            tokio::spawn(async move { cluster.terminate(index).await })
        });
        for stop in stops.collect::<Vec<_>>() {
            stop.await.expect("a node stops when it is told");
        }
    }

    /// Stops a process in its tracks, or lets it go on.
    pub async fn freeze(&self, index: usize, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        if let Some(daemon) = &self.node(index).await.daemon {
            daemon.signal(signal);
        }
    }

    /// The network.
    ///
    /// # Panics
    /// The nodes live on the loopback interface.
    pub fn lab(&self) -> &Lab {
        self.0.ground.lab().expect("a scenario that cuts links has a lab")
    }

    /// Moves the clock of a node so many seconds from the real time.
    ///
    /// # Panics
    /// The cluster was made without the shim.
    pub async fn set_clock(&self, index: usize, seconds: i64) {
        let mut node = self.node(index).await;
        let control = node.control.as_mut().expect("a scenario that moves clocks has the shim");
        control.set_clock(seconds).expect("the sandbox can be written");
    }

    /// Lets each sync of a node take so much longer.
    ///
    /// # Panics
    /// The cluster was made without the shim.
    pub async fn set_sync_pause(&self, index: usize, pause: Duration) {
        let mut node = self.node(index).await;
        let control = node.control.as_mut().expect("a scenario that slows disks has the shim");
        control.set_sync_pause(pause).expect("the sandbox can be written");
    }

    /// Takes all the room on the disk of a node, or gives it back.
    ///
    /// # Panics
    /// The cluster was made without disks.
    pub async fn fill_disk(&self, index: usize, full: bool) {
        let node = self.node(index).await;
        let disk = node.disk.as_ref().expect("a scenario that fills disks has them");
        if full { disk.fill() } else { disk.free() }
    }

    /// Throws the data of a node away; its process must have ended.
    pub async fn wipe(&self, index: usize) {
        let mut node = self.node(index).await;
        assert!(!node.runs(), "node {index} runs");
        // With a disk, the folder is where it is mounted, and stays.
        for entry in fs::read_dir(&node.data).into_iter().flatten().flatten() {
            let path = entry.path();
            let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            gone.expect("the sandbox can be written");
        }
    }

    /// What a node says at a path; none when it does not answer soon, or not with a 200.
    pub async fn tells(&self, index: usize, path: &str) -> Option<Value> {
        let client = self.client_of(index);
        let answer = timeout(ASK_MAX, client.attempt(&Method::GET, path, None, &[])).await;
        let answer = answer.ok()?.ok()?;
        (answer.status == 200).then_some(answer.body)
    }

    /// The node that leads, as most recently known by those that answer.
    pub async fn leader(&self) -> Option<usize> {
        let mut newest: Option<(u64, usize)> = None;
        for index in self.indexes() {
            if !self.runs(index).await {
                continue;
            }
            let Some(status) = self.tells(index, "/system/status").await else { continue };
            let leads = !status["node_id"].is_null() && status["node_id"] == status["leader_id"];
            let term = status["term"].as_u64().unwrap_or_default();
            if leads && newest.is_none_or(|(known, _)| known < term) {
                newest = Some((term, index));
            }
        }
        newest.map(|(_, index)| index)
    }

    /// The ids of members, with the number of the node that each is.
    pub async fn members(&self) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        for index in self.indexes() {
            if !self.runs(index).await {
                continue;
            }
            if let Some(status) = self.tells(index, "/system/status").await
                && let Some(id) = id(&status["node_id"])
            {
                found.push((id, index));
            }
        }
        found
    }

    /// Takes a member out of the cluster, by the word of those that are left.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn remove(&self, member: &str) -> Result<(), client::Error> {
        let path = format!("/cluster/nodes/{member}");
        let key = format!("remove-{member}");
        self.client().write(Method::DELETE, &path, None, &key).await.map(drop)
    }

    /// Asks that leadership pass on.
    ///
    /// # Errors
    /// The cluster refuses.
    pub async fn transfer(&self) -> Result<(), client::Error> {
        let body = serde_json::json!({});
        let path = "/cluster/transfer";
        self.client().write(Method::POST, path, Some(&body), "").await.map(drop)
    }

    /// Undoes all that may still be done to it, starts what is down, and waits until the
    /// cluster is whole.
    ///
    /// # Panics
    /// It does not become whole in time.
    pub async fn heal(&self) {
        if let Some(lab) = self.0.ground.lab() {
            lab.heal().expect("links can be healed as they were cut");
        }
        for index in self.indexes() {
            self.freeze(index, false).await;
            let mut node = self.node(index).await;
            if let Some(disk) = &node.disk {
                disk.free();
            }
            if let Some(control) = &mut node.control {
                let undone =
                    control.set_clock(0).and_then(|()| control.set_sync_pause(Duration::ZERO));
                undone.expect("the sandbox can be written");
            }
        }
        for index in 0..self.size() {
            self.spawn(index).await;
        }
        self.wait_ready().await;
        self.wait_whole().await;
    }

    /// Waits until every node that runs knows the same leader and is live to it.
    ///
    /// # Panics
    /// That takes too long.
    pub async fn wait_whole(&self) {
        let begin = Moment::now();
        let deadline = Instant::now() + HEAL_MAX;
        loop {
            let last = match self.whole().await {
                Ok(()) => return,
                Err(why) => why,
            };
            assert!(Instant::now() < deadline, "since {begin} the cluster is not whole: {last}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn whole(&self) -> Result<(), String> {
        let leader = self.leader().await.ok_or("no node says that it leads")?;
        let members = self.members().await;
        let listed = self.tells(leader, "/cluster/nodes").await.ok_or("the leader is silent")?;
        let live: Vec<String> = listed["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|item| item["live"] == Value::Bool(true))
            .filter_map(|item| id(&item["id"]))
            .collect();
        for index in self.indexes() {
            if !self.runs(index).await {
                continue;
            }
            let Some((member, _)) = members.iter().find(|(_, at)| *at == index) else {
                return Err(format!("node {index} is silent"));
            };
            if !live.contains(member) {
                return Err(format!("node {index}, {member}, is not live: {listed}"));
            }
        }
        Ok(())
    }
}
