//! What else the machine was doing: a figure without it means nothing.

use std::fs;
use std::time::Duration;

use cluster_tests::harness::Sandbox;

/// Clock ticks in a second, as `/proc` counts processor time on Linux.
const TICKS: f64 = 100.0;

/// Prints cores and load.
pub fn tell() {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    println!("{cores} cores, load average {}", load.join(" "));
}

/// Processor time so far of this process and of those that run in a sandbox.
pub fn used(sandbox: &Sandbox) -> (Duration, Duration) {
    let nodes = sandbox.processes().into_iter().map(of).sum();
    (of(std::process::id()), nodes)
}

fn of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may have blanks.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<f64> =
        after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Duration::from_secs_f64(fields.iter().sum::<f64>() / TICKS)
}
