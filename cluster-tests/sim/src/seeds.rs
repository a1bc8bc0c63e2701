//! Many worlds, each in a process of its own.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Which worlds to run.
#[derive(clap::Args)]
pub struct Many {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// Worlds at a time.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Runs each world twice, and compares the two.
    #[arg(long)]
    check: bool,
    /// The same, but only of one world in so many.
    #[arg(long, value_name = "N", conflicts_with = "check")]
    check_one_in: Option<u64>,
    /// Begins no other world after so many seconds.
    #[arg(long)]
    within: Option<u64>,
}

/// What became of the worlds.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: BTreeSet<u64>,
}

impl Many {
    /// Runs them all.
    pub fn run(&self) -> ExitCode {
        let (next, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
        let began = Instant::now();
        let time_left = || self.within.is_none_or(|most| began.elapsed().as_secs() < most);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(|| {
                    while time_left() {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if at >= self.seeds {
                            return;
                        }
                        let seed = self.from + at;
                        let (well, told) = self.world(seed);
                        // Whole: two worlds must not tell across each other.
                        let Ok(mut tally) = tally.lock() else { return };
                        print!("{told}");
                        if well {
                            tally.passed += 1;
                        } else {
                            println!("  again: make sim-one SEED={seed}");
                            tally.failed.insert(seed);
                        }
                    }
                });
            }
        });
        let Tally { passed, failed } = tally.into_inner().unwrap_or_default();
        let run = passed + failed.len() as u64;
        let each = began.elapsed().checked_div(run.max(1) as u32).unwrap_or(Duration::ZERO);
        println!("{run} worlds, one every {each:.1?}");
        if !failed.is_empty() {
            println!("failed: {failed:?}");
        }
        println!("{passed} passed, {} failed, {} left out", failed.len(), self.seeds - run);
        ExitCode::from(u8::from(!failed.is_empty()))
    }

    /// Runs one; whether all went well, and what it told.
    fn world(&self, seed: u64) -> (bool, String) {
        let (well, told) = child(seed);
        let one_in = self.check_one_in.filter(|one_in| *one_in > 0);
        if !self.check && one_in.is_none_or(|one_in| !seed.is_multiple_of(one_in)) {
            return (well, told);
        }
        let (_, again) = child(seed);
        if told == again {
            return (well, told);
        }
        (false, format!("{told}BROKEN the same seed gives another world:\n{again}"))
    }
}

fn child(seed: u64) -> (bool, String) {
    let program = std::env::current_exe().unwrap_or_default();
    let seed = seed.to_string();
    let mut command = Command::new(program);
    command.args(["one", "--seed", &seed]).stderr(Stdio::piped());
    match command.output() {
        Ok(done) => {
            let mut told = String::from_utf8_lossy(&done.stdout).into_owned();
            if done.status.code().is_none_or(|code| code > 1) {
                let last = String::from_utf8_lossy(&done.stderr);
                told.push_str(&format!("BROKEN seed {seed} ended with {}: {last}\n", done.status));
            }
            (done.status.success(), told)
        }
        Err(error) => (false, format!("BROKEN seed {seed}: {error}\n")),
    }
}
