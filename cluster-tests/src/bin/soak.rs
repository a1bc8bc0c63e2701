//! The long form: a cluster under load and faults for as long as told, and the verdict.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cluster_tests::harness::{Sandbox, skipped};
use cluster_tests::moment::Moment;
use cluster_tests::nemesis::Kind;
use cluster_tests::scenario::{Failed, Scenario};
use tokio::signal::unix::{SignalKind, signal};

/// Violations that are shown; the rest is counted.
const SHOWN: usize = 40;
/// With `--long`.
const LONG_MINUTES: f64 = 240.0;

/// Load and faults on real processes, then the verdict; exit status 1 on violations.
#[derive(Parser)]
struct Flags {
    /// Nodes, 1 to 7.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=7))]
    nodes: u8,
    /// How long jobs fire.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Hours instead of minutes.
    #[arg(long)]
    long: bool,
    /// Jobs, besides the examples of the README.
    #[arg(long, default_value_t = 60)]
    jobs: usize,
    /// Kinds of faults, each in its turn: `mix` is all but clock, `none` is none.
    #[arg(long, value_delimiter = ',', default_value = "mix")]
    nemesis: Vec<String>,
    /// How many faults; without it, two a minute.
    #[arg(long)]
    faults: Option<usize>,
    /// Milliseconds between two operations of each of three operators; 0: none.
    #[arg(long, default_value_t = 700)]
    pace: u64,
    /// Clients of the register.
    #[arg(long, default_value_t = 5)]
    clients: usize,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Leaves data, logs and witness where they are.
    #[arg(long)]
    keep: bool,
}

/// The kinds that the names stand for, without those that need more nodes.
fn kinds(flags: &Flags) -> Result<Vec<Kind>, String> {
    let mut kinds = Vec::new();
    for name in &flags.nemesis {
        match name.as_str() {
            "mix" => kinds.extend(Kind::MIX),
            "none" => {}
            name => kinds.push(<Kind as clap::ValueEnum>::from_str(name, true)?),
        }
    }
    kinds.retain(|kind| flags.nodes > 1 || !kind.needs_others());
    Ok(kinds)
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let minutes = if flags.long { LONG_MINUTES.max(flags.minutes) } else { flags.minutes };
    let nemesis = match kinds(&flags) {
        Ok(nemesis) => nemesis,
        Err(error) => {
            eprintln!("--nemesis: {error}");
            return ExitCode::from(2);
        }
    };
    let by_time = ((minutes * 2.0).ceil() as usize).max(1);
    let steady = nemesis.contains(&Kind::Clock);
    let scenario = Scenario {
        seed: flags.seed.unwrap_or_else(|| Moment::now().0.unsigned_abs() % 1_000_000),
        nodes: flags.nodes.into(),
        length: Duration::from_secs_f64(minutes * 60.0),
        jobs: flags.jobs,
        faults: if nemesis.is_empty() { 0 } else { flags.faults.unwrap_or(by_time) },
        nemesis,
        // What an edit made at a wrong time should do is nobody's to say.
        pace: (flags.pace > 0 && !steady).then(|| Duration::from_millis(flags.pace)),
        clients: flags.clients,
        talk: true,
    };
    let mut sandbox = Sandbox::new();
    println!("sandbox {}", sandbox.path().display());
    let mut term = match signal(SignalKind::terminate()) {
        Ok(term) => term,
        Err(error) => panic!("SIGTERM can't be waited for: {error}"),
    };
    let played = tokio::select! {
        played = scenario.play(&sandbox) => played,
        // What was made goes as this ends: processes, networks, disks.
        _ = tokio::signal::ctrl_c() => return ExitCode::from(130),
        _ = term.recv() => return ExitCode::from(143),
    };
    let verdict = match played {
        Ok(verdict) => verdict,
        Err(Failed::NotHere(why)) => {
            skipped("soak", &why);
            return ExitCode::from(77);
        }
        Err(error) => {
            eprintln!("seed {}: {error}", scenario.seed);
            sandbox.keep();
            return ExitCode::from(2);
        }
    };
    println!("{}", verdict.figures);
    for violation in verdict.violations.iter().take(SHOWN) {
        println!("VIOLATION {violation}");
    }
    let count = verdict.violations.len();
    println!("seed {}: {count} violations", scenario.seed);
    if count > 0 || flags.keep {
        sandbox.keep();
        println!("kept for a look: {}", sandbox.path().display());
    }
    if count > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
