//! The long form: a cluster under load and faults for as long as told, and the verdict.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use cluster_tests::harness::Sandbox;
use cluster_tests::moment::Moment;
use cluster_tests::nemesis::Dose;
use cluster_tests::scenario::Scenario;

/// Violations that are shown; the rest is counted.
const SHOWN: usize = 40;

/// Load and faults on real processes, then the verdict; exit status 1 on violations.
#[derive(Parser)]
struct Flags {
    /// How long jobs fire.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Jobs, besides the examples of the README.
    #[arg(long, default_value_t = 200)]
    jobs: usize,
    /// Kills, one in four twice in a row.
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// Orderly restarts.
    #[arg(long, default_value_t = 2)]
    restarts: usize,
    /// Milliseconds between two operations of each of three operators.
    #[arg(long, default_value_t = 700)]
    pace: u64,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Leaves data, logs and witness where they are.
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let flags = Flags::parse();
    let scenario = Scenario {
        seed: flags.seed.unwrap_or_else(|| Moment::now().0.unsigned_abs() % 1_000_000),
        length: Duration::from_secs_f64(flags.minutes * 60.0),
        jobs: flags.jobs,
        dose: Dose { kills: flags.kills, restarts: flags.restarts },
        pace: Duration::from_millis(flags.pace),
        talk: true,
    };
    let mut sandbox = Sandbox::new();
    println!("sandbox {}", sandbox.path().display());
    let verdict = match scenario.play(&sandbox).await {
        Ok(verdict) => verdict,
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
