//! Three nodes of this machine, each a process of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::cli::exit::{Code, Failure};

/// How many there are.
pub(super) const COUNT: u16 = 3;
/// Until all are there, on a slow machine too.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// For an orderly stop.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// A node that ended is started again after this.
const BACK_AFTER: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Lines of a node's log that are shown when it does not start.
const LINES_SHOWN: usize = 8;

/// What all of them are given.
pub(super) struct Shared {
    pub(super) password: String,
    pub(super) cluster_key: String,
    pub(super) secrets_key: String,
}

struct Node {
    number: usize,
    rest: SocketAddr,
    cluster: SocketAddr,
    data: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    back_at: Option<Instant>,
}

pub(super) struct Nodes {
    shared: Shared,
    all: Vec<Node>,
}

fn taken(port: u16, why: &std::io::Error) -> Failure {
    Failure::new(Code::Conflict, format!("port {port} of 127.0.0.1 can't be had: {why}")).advise(
        format!(
            "a node may be running there; `cronapi demo --port N` takes N and the {} after it, \
             --port 0 takes what is free",
            COUNT - 1
        ),
    )
}

impl Nodes {
    /// Finds their addresses; refuses when one is taken. Port 0: any that are free.
    pub(super) fn place(folder: &Path, port: u16, shared: Shared) -> Result<Nodes, Failure> {
        if port > u16::MAX - COUNT {
            return Err(Failure::usage(format!(
                "--port {port}: give at most {}",
                u16::MAX - COUNT
            )));
        }
        // All at once, or two would get the same.
        let mut held = Vec::new();
        let mut listen = |port: u16| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
            let address = listener.as_ref().map_err(|why| taken(port, why))?.local_addr();
            held.extend(listener);
            address.map_err(|why| taken(port, &why))
        };
        let mut all = Vec::new();
        for number in 1..=COUNT {
            let rest = listen(if port == 0 { 0 } else { port + number - 1 })?;
            all.push(Node {
                number: usize::from(number),
                rest,
                cluster: listen(0)?,
                data: folder.join(format!("node-{number}")),
                log: folder.join(format!("node-{number}.log")),
                child: None,
                back_at: None,
            });
        }
        Ok(Nodes { shared, all })
    }

    /// The data directory of the first, which begins the cluster.
    pub(super) fn first_data(&self) -> &Path {
        &self.all[0].data
    }

    pub(super) fn urls(&self) -> Vec<String> {
        self.all.iter().map(|node| format!("http://{}", node.rest)).collect()
    }

    /// Each with its process.
    pub(super) fn pids(&self) -> Vec<(SocketAddr, Option<u32>)> {
        let pid = |node: &Node| node.child.as_ref().and_then(Child::id);
        self.all.iter().map(|node| (node.rest, pid(node))).collect()
    }

    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let join: Vec<String> = self.all.iter().map(|node| node.cluster.to_string()).collect();
        let join = join.join(",");
        self.all.iter_mut().try_for_each(|node| node.start(&join, &self.shared))
    }

    /// Waits until each serves; `cronapi health` asks the same.
    pub(super) async fn ready(&mut self) -> Result<(), Failure> {
        let end = Instant::now() + READY_WITHIN;
        for node in &mut self.all {
            let address = node.rest.to_string();
            loop {
                if let Some(Ok(Some(ended))) = node.child.as_mut().map(Child::try_wait) {
                    return Err(node.failed(&format!("ended with {ended}")));
                }
                let asked = address.clone();
                let ready = move || crate::cli::health::is_ready(&asked);
                if tokio::task::spawn_blocking(ready).await.unwrap_or(false) {
                    break;
                }
                if Instant::now() > end {
                    return Err(node.failed("is not ready"));
                }
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// Starts again whoever was ended; what there is to tell.
    pub(super) fn look_after(&mut self) -> Result<Vec<String>, Failure> {
        let join: Vec<String> = self.all.iter().map(|node| node.cluster.to_string()).collect();
        let join = join.join(",");
        let mut told = Vec::new();
        for node in &mut self.all {
            let number = node.number;
            if let Some(Ok(Some(_))) = node.child.as_mut().map(Child::try_wait) {
                node.child = None;
                node.back_at = Some(Instant::now() + BACK_AFTER);
                let secs = BACK_AFTER.as_secs();
                told.push(format!("node {number} was ended; it comes back in {secs} s"));
            }
            if node.back_at.is_some_and(|at| at <= Instant::now()) {
                node.back_at = None;
                node.start(&join, &self.shared)?;
                let pid = node.child.as_ref().and_then(Child::id).unwrap_or_default();
                told.push(format!("node {number} is back, as process {pid}"));
            }
        }
        Ok(told)
    }

    /// Stops all: in order, and what is left then by force.
    pub(super) async fn stop(&mut self) {
        let children = || self.all.iter().filter_map(|node| node.child.as_ref()?.id());
        for pid in children().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + STOP_WITHIN;
        for node in &mut self.all {
            let Some(mut child) = node.child.take() else { continue };
            let left = end.saturating_duration_since(Instant::now());
            if timeout(left, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}

impl Node {
    fn start(&mut self, join: &str, shared: &Shared) -> Result<(), Failure> {
        let number = self.number;
        let failed = |error| Failure::failed(format!("node {number} can't be started: {error}"));
        let program = std::env::current_exe().map_err(failed)?;
        let log = File::options().append(true).create(true).open(&self.log).map_err(failed)?;
        let mut command = Command::new(program);
        // Nothing that a real node of this machine is told.
        let ours = std::env::vars_os().map(|(name, _)| name);
        for name in ours.filter(|name| name.to_string_lossy().starts_with("CRONAPI_")) {
            command.env_remove(name);
        }
        for name in ["DATABASE_PATH", "REDIS_URL", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY"] {
            command.env_remove(name);
        }
        command
            .env("CRONAPI_ADMIN_PASSWORD", &shared.password)
            .env("CRONAPI_CLUSTER_KEY", &shared.cluster_key)
            .env("CRONAPI_SECRETS_KEY", &shared.secrets_key)
            // Through a step of this command, so that it ends when this process does.
            .args(["demo", "--", "serve", "--drain", "1s", "--slots", "6"])
            .args(["--listen", &self.rest.to_string()])
            .args(["--cluster-listen", &self.cluster.to_string(), "--join", join])
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C is for the demo, which stops its nodes.
            .process_group(0);
        self.child = Some(command.spawn().map_err(failed)?);
        Ok(())
    }

    fn failed(&self, what: &str) -> Failure {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n  ");
        Failure::failed(format!("node {} {what}; the end of its log:\n  {last}", self.number))
    }
}
