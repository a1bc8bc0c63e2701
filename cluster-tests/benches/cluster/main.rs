//! What three nodes do in a second, beside three nodes of etcd, and how soon they go on after one
//! of them has gone: `make bench-cluster PART="writes failover" FULL=1`.
//!
//! Owns: load on real release processes, and the tables it prints. Does not own: the processes
//! (`cluster_tests::harness`), nor what the figures mean (docs/performance.md).
//!
//! Each part starts its own processes on a disk of their own folder (`TMPDIR` says where), runs
//! for a bounded time, and ends them by their numbers. The short form is for a look, the full one
//! for figures that are written down.
//!
//! To add a part: a file with a function from [`Scale`] to its result, a line in `main`.

mod bed;
mod burst;
mod conditions;
mod disk;
mod etcd;
mod failover;
mod fires;
mod handover;
mod jobs;
mod late;
mod load;
mod outage;
mod planned;
mod recovery;
mod rest;
mod stats;
mod versus;

use clap::Parser;

/// Why a part has no figures.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How much is measured.
#[derive(Clone, Copy, Debug, Parser)]
#[command(about = "What three nodes do: writes, reads, fires, and what a loss of one costs")]
pub struct Scale {
    /// As long as figures need that are written down; else a look.
    #[arg(long)]
    pub full: bool,
    /// Nodes prove to each other who they are, and encrypt; etcd does not, here.
    #[arg(long)]
    pub tls: bool,
    /// Leaves data and logs of CronAPI where they are.
    #[arg(long)]
    pub keep: bool,
}

impl Scale {
    /// The one for a look, or the one for figures.
    pub fn pick<T>(self, short: T, full: T) -> T {
        if self.full { full } else { short }
    }
}

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    scale: Scale,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
    /// Some of it; default: all.
    #[arg(value_name = "PART")]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Writes,
    Reads,
    Fires,
    Lateness,
    Burst,
    Failover,
    Handover,
    Planned,
    Recovery,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let Flags { scale, bench: _, mut parts } = Flags::parse();
    if parts.is_empty() {
        parts = <Part as clap::ValueEnum>::value_variants().to_vec();
    }
    for part in parts {
        println!("\n== {}", format!("{part:?}").to_lowercase());
        conditions::tell();
        match part {
            Part::Writes => versus::writes(scale).await?,
            Part::Reads => versus::reads(scale).await?,
            Part::Fires => fires::rate(scale).await?,
            Part::Lateness => fires::lateness(scale).await?,
            Part::Burst => burst::run(scale).await?,
            Part::Failover => failover::run(scale).await?,
            Part::Handover => handover::run(scale).await?,
            Part::Planned => planned::run(scale).await?,
            Part::Recovery => recovery::run(scale).await?,
        }
    }
    Ok(())
}
