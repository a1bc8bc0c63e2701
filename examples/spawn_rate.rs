//! How many shell attempts a second this machine makes, beside bare spawns of the same
//! command: `cargo run --example spawn_rate [attempts]`.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cronapi::executor::runner::{Context, Ended, RunnerEnv, ShellCommand, Spec, What, limits, run};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// The order of magnitude of what a job's shell really does: start, print, end.
const COMMAND: &str = "echo done";

fn main() -> std::io::Result<()> {
    let count = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(500);
    let runtime = Runtime::new()?;
    let env = Arc::new(RunnerEnv::detect());
    let (mut bare, mut full) = (Vec::new(), Vec::new());
    let (mut bare_cpu, mut full_cpu) = (0, 0);
    // In turns, so that both meet the same state of the machine.
    for _ in 0..5 {
        let begin = cpu_ticks();
        bare.push(rate(count, || bare_spawns(count)));
        bare_cpu += cpu_ticks() - begin;
        let begin = cpu_ticks();
        full.push(rate(count, || on(&runtime, attempts(count, env.clone()))));
        full_cpu += cpu_ticks() - begin;
    }
    let (bare, full) = (median(bare), median(full));
    let cpu = full_cpu as f64 / bare_cpu as f64;
    println!("processor time of an attempt: {cpu:.2} of a bare spawn");
    println!("one at a time: bare spawn+wait {bare:.0}/s, attempts {full:.0}/s");
    println!("an attempt costs {:.2} of a bare spawn (bound: 1.25)", bare / full);
    let wide = rate(count, || on(&runtime, side_by_side(count, env.clone())));
    println!("4 at a time: attempts {wide:.0}/s");
    Ok(())
}

fn rate(count: usize, work: impl FnOnce()) -> f64 {
    let begin = Instant::now();
    work();
    count as f64 / begin.elapsed().as_secs_f64()
}

/// Processor time so far, of this process and the children it waited for.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    fields.split(' ').skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn bare_spawns(count: usize) {
    for _ in 0..count {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", COMMAND]).env_clear().env("PATH", "/usr/bin:/bin");
        let child = command.stdout(Stdio::null()).spawn();
        let ended = child.and_then(|mut child| child.wait());
        assert!(ended.is_ok_and(|status| status.success()));
    }
}

/// As the daemon does it: in a task, on the runtime's own threads.
fn on(runtime: &Runtime, work: impl Future<Output = ()> + Send + 'static) {
    let done = runtime.block_on(runtime.spawn(work));
    assert!(done.is_ok());
}

async fn attempts(count: usize, env: Arc<RunnerEnv>) {
    for _ in 0..count {
        attempt(&env).await;
    }
}

async fn side_by_side(count: usize, env: Arc<RunnerEnv>) {
    let lane = || attempts(count / 4, env.clone());
    tokio::join!(lane(), lane(), lane(), lane());
}

async fn attempt(env: &RunnerEnv) {
    let (_cancel, cancelled) = watch::channel(false);
    let (output, mut batches) = mpsc::channel(8);
    let spec = Spec {
        what: What::Shell {
            command: ShellCommand::Line(COMMAND.to_owned()),
            env: Default::default(),
            cwd: None,
            user: None,
        },
        context: Context::default(),
        params: serde_json::json!({}),
        timeout: Some(Duration::from_secs(30)),
        kill_grace: Duration::from_secs(10),
        output_max: limits::OUTPUT_BYTES_MAX_DEFAULT,
        result_max: limits::RESULT_BYTES_MAX_DEFAULT,
    };
    let read = async { while batches.recv().await.is_some() {} };
    let (outcome, ()) = tokio::join!(run(spec, cancelled, output, |_| {}, || 0, env), read);
    assert_eq!(outcome.ended, Ended::Succeeded, "{outcome:?}");
}
