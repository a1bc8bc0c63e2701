//! Figures of three nodes that no test asserts, as rows of tables for the documentation.
//!
//! Owns: what is measured, and the rows. Does not own: the processes
//! (`cluster_tests::harness`), nor what the figures mean (docs/performance.md, docs/sizing.md).
//!
//! ```text
//! measure alerts --kills 40       failures that are told while senders and leaders are killed
//! measure failover --kills 10     the leader is killed over slow links and on slow disks
//! measure memory --seconds 60     what nodes hold while jobs fire
//! measure triggers                runs that entries of a stream start, beside those asked for
//! measure flow --items 10000      workflows beside plain jobs, items and backfills beside fires
//! measure sinks                   fires beside sinks that are up and frozen; what they take
//! measure queues --kills 10       rates while leaders are killed, quiet tenants beside a busy one
//! ```
//!
//! It measures the `cronapi` of its own build, or the one that `CRONAPI_BIN` names. Each part
//! starts its own processes, runs for a bounded time, and ends them.
//!
//! To add a part: a file with its flags and a function, a line in `Part`.

mod alerts;
mod failover;
mod flow;
mod lateness;
mod memory;
mod queues;
mod sinks;
mod triggers;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use cluster_tests::harness::skipped;
use tokio::time::Instant;

/// Why there are no figures.
enum Failure {
    /// This machine can't.
    NotHere(String),
    /// Something that was waited for did not come.
    Failed(String),
}

impl From<cluster_tests::harness::client::Error> for Failure {
    fn from(error: cluster_tests::harness::client::Error) -> Failure {
        Failure::Failed(error.to_string())
    }
}

/// Figures of three nodes, as rows of tables.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Failures that are told while whoever sends and whoever leads is killed.
    Alerts(alerts::Flags),
    /// From kill -9 of the leader to the next fire, over slow links and on slow disks.
    Failover(failover::Flags),
    /// Workflows beside plain jobs; items and a backfill beside live fires.
    Flow(flow::Flags),
    /// Resident memory and log of each node while jobs fire.
    Memory(memory::Flags),
    /// Rates of a queue while leaders are killed; shares of tenants.
    Queues(queues::Flags),
    /// Live fires beside sinks that are up and frozen, and what sinks take in a second.
    Sinks(sinks::Flags),
    /// Runs that entries of a stream start, beside those that are asked for.
    Triggers(triggers::Flags),
}

/// What else the machine was doing: a figure without it means nothing.
fn conditions() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(2).collect();
    format!("{cores} cores, load average {}", load.join(" "))
}

/// The longest that anything takes.
const PATIENCE: Duration = Duration::from_secs(240);

fn late(deadline: Instant, what: &str) -> Result<(), Failure> {
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(Failure::Failed(format!("{what} did not come within {PATIENCE:?}")))
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Flags::parse().part {
        Part::Alerts(flags) => alerts::run(&flags).await,
        Part::Failover(flags) => failover::run(&flags).await,
        Part::Flow(flags) => flow::run(&flags).await,
        Part::Memory(flags) => memory::run(&flags).await,
        Part::Queues(flags) => queues::run(&flags).await,
        Part::Sinks(flags) => sinks::run(&flags).await,
        Part::Triggers(flags) => triggers::run(&flags).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::NotHere(why)) => {
            skipped("measure", &why);
            ExitCode::from(77)
        }
        Err(Failure::Failed(why)) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
