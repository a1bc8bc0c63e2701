//! What nodes hold while many jobs fire.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cluster_tests::harness::{Cluster, Sandbox, Shape};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Failure, conditions};

/// What is measured.
#[derive(clap::Args)]
pub struct Flags {
    /// Jobs, each due every ten seconds, spread over them.
    #[arg(long, default_value_t = 10_000)]
    jobs: usize,
    /// How long they fire.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Definitions in one request.
const CHUNK: usize = 500;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
const NODES: usize = 3;

/// The most that was seen of a node.
#[derive(Clone, Copy, Default)]
struct Most {
    resident: u64,
    log: u64,
}

/// Prints a row for each node.
pub async fn run(flags: &Flags) -> Result<(), Failure> {
    println!("{}", conditions());
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(NODES)).map_err(Failure::NotHere)?;
    cluster.start().await;
    cluster.wait_whole().await;
    let empty = nodes(&sandbox).map(|pid| memory(pid, "VmRSS:"));
    let client = cluster.client();
    let jobs: Vec<Value> = (0..flags.jobs).map(job).collect();
    for chunk in jobs.chunks(CHUNK) {
        client.write(Method::POST, "/apply", Some(&json!(chunk)), "").await?;
    }
    let held = nodes(&sandbox).map(|pid| memory(pid, "VmRSS:"));
    let before = fired(&client.get("/system/status").await?);
    let began = Instant::now();
    let mut most = [Most::default(); NODES];
    while began.elapsed() < Duration::from_secs(flags.seconds) {
        for (node, pid) in nodes(&sandbox).into_iter().enumerate() {
            most[node].resident = most[node].resident.max(memory(pid, "VmRSS:"));
            let log = sandbox.path().join(format!("node{node}/wal"));
            most[node].log = most[node].log.max(bytes_in(&log));
        }
        sleep(LOOK).await;
    }
    let after = fired(&client.get("/system/status").await?);
    let rate = (after - before) / began.elapsed().as_secs_f64();
    println!("{} jobs, {rate:.0} fires/s for {} s; {}", flags.jobs, flags.seconds, conditions());
    println!("| node | empty | with the jobs | most while they fire | peak | wal/ at most |");
    println!("|---|---|---|---|---|---|");
    let leader = cluster.leader().await;
    for (node, pid) in nodes(&sandbox).into_iter().enumerate() {
        let name = if leader == Some(node) { "leader" } else { "follower" };
        let shown = [empty[node], held[node], most[node].resident, memory(pid, "VmHWM:")];
        let shown = shown.map(|bytes| format!("{} MiB", bytes >> 20)).join(" | ");
        println!("| {name} | {shown} | {} MiB |", most[node].log >> 20);
    }
    for node in cluster.indexes() {
        cluster.kill(node).await;
    }
    Ok(())
}

/// Its run succeeds at once: what is held is the node's own.
fn job(number: usize) -> Value {
    json!({"name": format!("job-{number}"), "expr": "*/10 * * * * *", "jitter": "9999ms"})
}

fn fired(status: &Value) -> f64 {
    status["totals"]["fired"].as_f64().unwrap_or_default()
}

/// The processes of the nodes, in order: their command lines tell the folders.
fn nodes(sandbox: &Sandbox) -> [u32; NODES] {
    let mut found = [0; NODES];
    for pid in sandbox.processes() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        for (node, found) in found.iter_mut().enumerate() {
            let data = sandbox.path().join(format!("node{node}"));
            if line.split('\0').any(|word| Path::new(word) == data) {
                *found = pid;
            }
        }
    }
    found
}

/// A figure of a process, in bytes.
fn memory(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let kib = line.trim().trim_end_matches("kB").trim().parse::<u64>();
    kib.unwrap_or_default() * 1024
}

/// What the files of a folder take, as the disk has it.
fn bytes_in(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(of) if of.is_dir() => bytes_in(&entry.path()),
        Ok(of) => of.blocks() * 512,
        Err(_) => 0,
    });
    sizes.sum()
}
