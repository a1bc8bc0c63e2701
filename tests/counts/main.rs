//! What a write and a fire cost, in counts that are the same on every machine: entries of the
//! log, flushes, bytes, allocations. A limit that is passed is a cost that somebody added: take
//! it out again, or raise the limit and say why. docs/performance.md has the figures.

mod allocations;
mod costs;
#[path = "../api/fixture.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod fixture;

use std::sync::Arc;
use std::time::Duration;

use cronapi::clock::System;
use cronapi::scheduler;
use serde_json::{Value, json};
use tokio::sync::watch;

use costs::Costs;
use fixture::Node;

/// Writes that are counted, after as many that are not: what is made once is there then.
const WRITES: u64 = 200;
/// Jobs that fire every second.
const JOBS: u64 = 200;

/// A definition as people write them.
fn definition(n: u64) -> Value {
    json!({
        "name": format!("job-{n:06}"), "expr": format!("{} {} * * *", n % 60, n % 24),
        "runner": {"type": "shell", "command": format!("/usr/local/bin/task --number {n}")},
        "tags": ["counts"], "timeout": "5m",
    })
}

/// A node on a disk.
async fn node(folder: &std::path::Path) -> Node {
    let on_disk = |options: &mut cronapi::consensus::Options| {
        options.in_memory = None;
        options.data_dir = folder.join("data");
        options.clock = Arc::new(System);
    };
    let mut node = Node::open(on_disk, |_| {}).await;
    node.bootstrap(cronapi::machine::state::FORMAT).await;
    node
}

async fn write(node: &Node, n: u64) {
    node.post("/jobs", definition(n)).await.expect(201);
}

/// One after the other, and what each cost.
async fn one_by_one(node: &Node) -> Costs {
    for n in 0..WRITES {
        write(node, n).await;
    }
    let before = Costs::now(&node.consensus);
    for n in WRITES..2 * WRITES {
        write(node, n).await;
    }
    let costs = Costs::now(&node.consensus).since(&before);
    costs.tell("a write", WRITES);
    costs
}

/// By many clients at once.
async fn together(node: &Arc<Node>) -> Costs {
    let before = Costs::now(&node.consensus);
    let client = |client: u64| {
        let node = Arc::clone(node);
        tokio::spawn(async move {
            for n in 0..20 {
                write(&node, 10_000 + client * 20 + n).await;
            }
        })
    };
    for done in (0..32).map(client).collect::<Vec<_>>() {
        done.await.unwrap();
    }
    let costs = Costs::now(&node.consensus).since(&before);
    costs.tell("a write of 32 clients", 32 * 20);
    costs
}

/// Jobs that fire every second, over some seconds.
async fn fires(node: &Node) -> (Costs, u64) {
    for n in 0..JOBS {
        let job = json!({ "name": format!("fires-{n}"), "expr": "* * * * * *" });
        node.post("/jobs", job).await.expect(201);
    }
    let (_stop, stopped) = watch::channel(false);
    let leading = scheduler::Options { plan_ahead: true };
    let consensus = node.consensus.clone();
    tokio::spawn(scheduler::run(consensus.clone(), Arc::new(System), leading, stopped));
    let fired = |least: u64| {
        let consensus = consensus.clone();
        async move {
            let mut applied = consensus.applied();
            loop {
                let fired = consensus.state().totals.fired;
                if fired >= least {
                    return fired;
                }
                let more = tokio::time::timeout(Duration::from_secs(20), applied.changed());
                more.await.expect("they fire").unwrap();
            }
        }
    };
    let warm = fired(JOBS).await;
    let before = Costs::now(&consensus);
    let done = fired(warm + 3 * JOBS).await - warm;
    let costs = Costs::now(&consensus).since(&before);
    costs.tell("a fire", done);
    (costs, done)
}

/// One test: what is counted is of the whole process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_and_a_fire_cost_what_they_did() {
    let folder = tempfile::tempdir().unwrap();
    let node = Arc::new(node(folder.path()).await);

    let alone = one_by_one(&node).await;
    assert_eq!(alone.entries, WRITES, "an entry a write");
    assert!(alone.flushes <= WRITES + 2, "a flush a write: {alone:?}");
    assert!(alone.log_bytes <= WRITES * 400, "{alone:?}");
    assert!(alone.allocations <= WRITES * 650, "{alone:?}");
    assert!(alone.allocated <= WRITES * 100_000, "{alone:?}");

    let many = together(&node).await;
    assert!(many.entries <= 32 * 20 / 4, "what waits together shares an entry: {many:?}");
    assert!(many.flushes <= many.entries + 2, "{many:?}");
    assert!(many.allocations <= 32 * 20 * 600, "{many:?}");

    let (fires, count) = fires(&node).await;
    assert!(fires.entries <= 30, "what is due together shares an entry: {fires:?}");
    assert!(fires.flushes <= fires.entries + 2, "{fires:?}");
    assert!(fires.log_bytes <= count * 150, "{fires:?}");
    assert!(fires.allocations <= count * 65, "{fires:?}");
}
