//! Memory of an idle job, and how long a node takes to start with many.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use crate::Failure;
use crate::node::{Node, create_all, spec};

const JOBS: u64 = 100_000;

/// Creates the jobs, then starts a node on them twice: from a checkpoint, and from the log.
pub fn run(path: &Path) -> Result<(), Failure> {
    let start = |from: &str| -> Result<(), Failure> {
        // A process of its own: what was freed before does not count.
        let me = std::env::current_exe()?;
        let out = std::process::Command::new(me).args(["memory"]).env(CHILD, path).output()?;
        print!("{from}: {}", String::from_utf8_lossy(&out.stdout));
        Ok(())
    };
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let node = Node::open(&path.join("data"), 4).await?;
        let begin = Instant::now();
        create_all(&node.consensus, (0..JOBS).filter_map(|n| definition(n).ok())).await?;
        println!("created {JOBS} jobs in {:.1} s", begin.elapsed().as_secs_f64());
        node.stop().await
    })?;
    start("from a checkpoint")?;
    start("again")
}

const CHILD: &str = "CRONAPI_BENCH_MEMORY_CHILD";

fn definition(n: u64) -> Result<cronapi::model::JobSpec, Failure> {
    spec(json!({
        "name": format!("job-{n:06}"), "expr": format!("{} {} * * *", n % 60, n % 24),
        "runner": {"type": "shell", "command": format!("/usr/local/bin/task --number {n}")},
        "tags": ["bench"], "timeout": "5m",
    }))
}

fn child() -> Result<(), Failure> {
    let Some(path) = std::env::var_os(CHILD) else { return Ok(()) };
    let before = resident()?;
    let begin = Instant::now();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let node = Node::open(&Path::new(&path).join("data"), 4).await?;
        let ready = begin.elapsed();
        let jobs = node.consensus.state().jobs.len();
        let bytes = resident()? - before;
        println!(
            "{jobs} jobs ready in {:.2} s, {} MiB resident, {} bytes a job",
            ready.as_secs_f64(),
            bytes >> 20,
            bytes / jobs.max(1) as u64
        );
        node.stop().await
    })
}

/// Resident memory of this process in bytes.
fn resident() -> Result<u64, Failure> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').nth(1).ok_or("no resident size")?.parse()?;
    Ok(pages * 4096)
}
