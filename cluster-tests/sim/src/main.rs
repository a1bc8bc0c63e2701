//! Whole nodes in one process, on virtual time and a virtual network, with faults from a seed.
//!
//! Owns: the world around the nodes (`world`, `network`, `clock`, `script`), what goes wrong
//! in it (`plan`), what clients want of it (`operators`), what is noted of it (`record`,
//! `observer`, `reading`) and what must hold of that (`checks`). Does not own anything of a
//! node: consensus, scheduler, executor and presence are the daemon's own.
//!
//! ```text
//! seed ──> plan ──> world ──steps──> nodes (node.rs): the daemon's parts
//!                     │ faults         │ over the virtual network, on disks in memory
//!                     ▼                ▼
//!                  record <── witness, clients, observers, final readings
//!                     │
//!                   checks ──> what is broken, and the command that shows it again
//! ```
//!
//! A seed is a world: the same seed gives the same trace, byte for byte. One process runs one
//! world, since some libraries keep chance of their own in thread-locals.
//!
//! To add a fault: a variant in `plan`, an arm in `world`. To add a check: a file in `checks`.

mod ahead;
mod chance;
mod checks;
mod clock;
mod floor;
mod history;
mod network;
mod node;
mod observer;
mod operators;
mod plan;
mod reading;
mod record;
mod rule;
mod script;
mod seat;
mod seeds;
mod system;
mod transport;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};

use plan::Plan;
use record::Record;

/// Simulates whole clusters.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs one world.
    One {
        /// The world.
        #[arg(long)]
        seed: u64,
        /// Where to write the trace.
        #[arg(long)]
        trace: Option<PathBuf>,
    },
    /// Runs many worlds, each in a process of its own.
    Many(seeds::Many),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::One { seed, trace } => one(seed, trace),
        Command::Many(many) => many.run(),
    }
}

fn one(seed: u64, trace: Option<PathBuf>) -> ExitCode {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let told = tracing_subscriber::fmt().with_env_filter(filter).without_time();
        told.with_ansi(false).with_writer(std::io::stderr).init();
    }
    system::seed(seed);
    cronapi::chance::seed_this_thread(seed);
    let (plan, record) = (Arc::new(Plan::of(seed)), Record::default());
    end_at_panic(seed, record.clone(), trace.clone());
    world::run(&plan, &record);
    let found = checks::all(&plan, &record);
    for text in &found {
        println!("BROKEN {text}");
    }
    println!("seed {seed}: {}, trace {:016x}", record.summary(), record.digest());
    if let Some(path) = trace {
        record.write(&path);
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// A panic anywhere in a world ends it at once: what a node does after one is of no interest,
/// and its unwinding buries the cause.
fn end_at_panic(seed: u64, record: Record, trace: Option<PathBuf>) {
    std::panic::set_hook(Box::new(move |panic| {
        println!("BROKEN seed {seed}: {panic}");
        if let Some(path) = &trace {
            record.write(path);
        }
        std::process::exit(1);
    }));
}
