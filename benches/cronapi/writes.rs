//! Durable job writes, beside what the disk and the engine alone can do: a file with
//! `fdatasync` after each group, the engine with flush and sync after each group, and job
//! definitions through prepare, log and machine, for 1, 64 and 1,024 clients.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cronapi::consensus::{Handle, Options, open};
use cronapi::model::{JobSpec, Name};
use cronapi::storage::{Kv, Profile, SledKv, Writes};
use hdrhistogram::Histogram;

use crate::Failure;
use crate::node::create;

/// Writes a second through the log, to a file and to the engine; latencies of the first.
type Round = (f64, f64, f64, Histogram<u64>);

/// Bytes of a write that stands for a definition.
const VALUE_BYTES: usize = 200;
const WRITERS: [u64; 3] = [1, 64, 1024];
const PATIENCE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

/// Three rounds of everything; medians.
pub fn run(path: &Path) -> Result<(), Failure> {
    println!(
        "{:>8} {:>14} {:>14} {:>14} {:>9} {:>9} {:>9}",
        "clients", "fdatasync/s", "engine/s", "job writes/s", "of engine", "p50 ms", "p99 ms"
    );
    for writers in WRITERS {
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let place = path.join(format!("{writers}-{round}"));
            std::fs::create_dir_all(&place)?;
            let file = file_rate(&place, writers, PATIENCE)?;
            let engine = engine_rate(&place, writers, PATIENCE)?;
            let runtime = tokio::runtime::Runtime::new()?;
            let (submit, latency) =
                runtime.block_on(submit_rate(&place.join("node"), writers, PATIENCE))?;
            rounds.push((submit, file, engine, latency));
        }
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let median = |pick: fn(&Round) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(pick).collect();
            values.sort_by(f64::total_cmp);
            values[ROUNDS / 2]
        };
        let (file, engine, submit) = (median(|r| r.1), median(|r| r.2), median(|r| r.0));
        let ms = |quantile| rounds[ROUNDS / 2].3.value_at_quantile(quantile) as f64 / 1000.0;
        println!(
            "{writers:>8} {file:>14.0} {engine:>14.0} {submit:>14.0} {:>8.0}% {:>9.2} {:>9.2}",
            100.0 * submit / engine,
            ms(0.5),
            ms(0.99),
        );
    }
    Ok(())
}

/// A small definition; every number is a new job.
fn definition(n: u64) -> Result<JobSpec, Failure> {
    let mut spec = JobSpec::new(Name::parse(&format!("job-{n}"))?);
    spec.expr = Some("*/5 * * * *".into());
    spec.code = Some("def job_function():\n    print('hello')\n".into());
    Ok(spec)
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
    node.shutdown().await?;
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
        create(&node, definition(n)?).await?;
        latency.record(start.elapsed().as_micros() as u64)?;
    }
    Ok(latency)
}
