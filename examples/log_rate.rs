//! Commands per second through the whole log, beside what the disk and the engine alone can do.
//!
//! Run it with `cargo run --release --example log_rate [directory] [seconds]`. All three are
//! measured in one run, for 1, 64 and 1,024 writers: a file with `fdatasync` after each group,
//! the engine with flush and sync after each group, and `submit` from that many tasks.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cronapi::consensus::{Handle, Options, open};
use cronapi::machine::command::PutJob;
use cronapi::machine::{Command, Op};
use cronapi::model::{JobSpec, Name, Timestamp};
use cronapi::storage::{Kv, Profile, SledKv, Writes};
use hdrhistogram::Histogram;

/// Bytes of a write that stands for a command.
const VALUE_BYTES: usize = 200;
const WRITERS: [u64; 3] = [1, 64, 1024];

type Failure = Box<dyn Error + Send + Sync>;

/// The command that is submitted: a new job, without a schedule.
fn command(n: u64) -> Result<Command, Failure> {
    let name = Name::parse(&format!("job-{n}")).map_err(|_| "a name that is not valid")?;
    let op = Op::PutJob(Box::new(PutJob {
        spec: Arc::new(JobSpec::new(name)),
        based_on: None,
        pinned: false,
        next: None,
        settled: None,
        verb: "create".into(),
    }));
    Ok(Command { at: Timestamp::ZERO, actor: None, request: None, op })
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let place = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let patience = Duration::from_secs(seconds);
    let path = place.join(format!("cronapi-log-rate-{}", std::process::id()));
    std::fs::create_dir_all(&path)?;
    println!("{:>8} {:>14} {:>14} {:>14}", "writers", "fdatasync/s", "engine/s", "submit/s");
    for writers in WRITERS {
        let file = file_rate(&path, writers, patience)?;
        let engine = engine_rate(&path, writers, patience)?;
        let runtime = tokio::runtime::Runtime::new()?;
        let data = path.join(format!("node-{writers}"));
        let (submit, latency) = runtime.block_on(submit_rate(&data, writers, patience))?;
        let ms = |quantile| latency.value_at_quantile(quantile) as f64 / 1000.0;
        println!(
            "{writers:>8} {file:>14.0} {engine:>14.0} {submit:>14.0}   p50 {:.2} ms, p99 {:.2} ms",
            ms(0.5),
            ms(0.99),
        );
    }
    std::fs::remove_dir_all(&path)?;
    Ok(())
}

/// Appends a group of writes and syncs, again and again.
fn file_rate(path: &Path, writers: u64, patience: Duration) -> Result<f64, Failure> {
    let mut file = File::create(path.join("plain"))?;
    let group = vec![7; VALUE_BYTES * writers as usize];
    rate(writers, patience, || {
        file.write_all(&group)?;
        Ok(file.sync_data()?)
    })
}

/// Writes a group of keys to the engine, flushes and syncs, again and again.
fn engine_rate(path: &Path, writers: u64, patience: Duration) -> Result<f64, Failure> {
    let kv = SledKv::open(&path.join(format!("kv-{writers}")), Profile::Log, Arc::new(()))?;
    let mut next = 0_u64;
    rate(writers, patience, || {
        let mut writes = Writes::default();
        for _ in 0..writers {
            writes.put(next.to_be_bytes().to_vec(), vec![next as u8; VALUE_BYTES]);
            next += 1;
        }
        kv.write(writes)?;
        Ok(kv.flush_durable()?)
    })
}

fn rate(
    writers: u64,
    patience: Duration,
    mut group: impl FnMut() -> Result<(), Failure>,
) -> Result<f64, Failure> {
    let start = Instant::now();
    let mut groups = 0;
    while start.elapsed() < patience {
        group()?;
        groups += 1;
    }
    Ok((groups * writers) as f64 / start.elapsed().as_secs_f64())
}

/// Submits from many tasks; each waits for its answer before it goes on.
async fn submit_rate(
    path: &Path,
    writers: u64,
    patience: Duration,
) -> Result<(f64, Histogram<u64>), Failure> {
    let node = open(Options::new(path, 0)).await?;
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| tokio::spawn(submit_until(node.clone(), writer, writers, start + patience)))
        .collect();
    let mut all = Histogram::new(3)?;
    for task in tasks {
        all.add(task.await??)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let status = node.status();
    println!(
        "         {} commands in {} entries, log {} MiB, history {} MiB",
        all.len(),
        status.applied,
        status.log_bytes >> 20,
        status.history_bytes >> 20,
    );
    let stopping = Instant::now();
    node.shutdown().await?;
    println!("         stopped in {} ms", stopping.elapsed().as_millis());
    Ok((all.len() as f64 / seconds, all))
}

async fn submit_until(
    node: Handle,
    writer: u64,
    writers: u64,
    end: Instant,
) -> Result<Histogram<u64>, Failure> {
    let mut latency = Histogram::new(3)?;
    for n in (writer..).step_by(writers as usize) {
        let start = Instant::now();
        if start >= end {
            break;
        }
        node.submit(command(n)?).await?;
        latency.record(start.elapsed().as_micros() as u64)?;
    }
    Ok(latency)
}
