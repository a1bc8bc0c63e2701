//! Shell runs a second through everything (trigger, log, process, output, end), beside a
//! bare loop of spawn and wait of the same command.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cronapi::consensus::Handle;
use cronapi::machine::prepare::{Intent, prepare};
use cronapi::model::Parameters;
use serde_json::json;

use crate::Failure;
use crate::node::{Node, create, spec};

const PATIENCE: Duration = Duration::from_secs(4);
const ROUNDS: usize = 3;
const COMMAND: &str = "echo done";

/// In turns, so that both meet the same state of the machine; medians.
pub fn run(path: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    for width in [1, 4, 32] {
        let (mut bare, mut full) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            bare.push(spawns(width)?);
            let place = path.join(format!("{width}-{round}"));
            full.push(runtime.block_on(runs(&place, width))?);
        }
        let (bare, full) = (median(bare), median(full));
        println!(
            "{width} at a time: bare spawn+wait {bare:.0}/s, runs {full:.0}/s, {:.0} %",
            100.0 * full / bare
        );
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn spawns(width: u32) -> Result<f64, Failure> {
    let lane = || -> Result<u64, std::io::Error> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < PATIENCE {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", COMMAND]).env_clear().env("PATH", "/usr/bin:/bin");
            command.stdout(Stdio::null()).spawn()?.wait()?;
            count += 1;
        }
        Ok(count)
    };
    let start = Instant::now();
    let counts = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..width).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap_or(Ok(0))).collect::<Vec<_>>()
    });
    let mut total = 0;
    for count in counts {
        total += count?;
    }
    Ok(total as f64 / start.elapsed().as_secs_f64())
}

/// Keeps `4 x width` runs asked for, so that `width` slots are never idle.
async fn runs(path: &Path, width: u32) -> Result<f64, Failure> {
    let node = Node::open(path, width).await?;
    let job = json!({
        "name": "shell", "overlap": "allow", "runner": {"type": "shell", "command": COMMAND},
    });
    create(&node.consensus, spec(job)?).await?;
    let (start, before) = (Instant::now(), node.consensus.state().totals.succeeded);
    let mut applied = node.consensus.applied();
    let mut asked = tokio::task::JoinSet::new();
    while start.elapsed() < PATIENCE {
        let open = node.consensus.state().runs.len() + asked.len();
        for _ in open..4 * width as usize {
            let consensus = node.consensus.clone();
            asked.spawn(async move { trigger(&consensus).await });
        }
        // Every end is an applied entry.
        tokio::select! {
            changed = applied.changed() => changed?,
            Some(done) = asked.join_next() => done??,
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let count = node.consensus.state().totals.succeeded - before;
    node.stop().await?;
    Ok(count as f64 / seconds)
}

async fn trigger(consensus: &Handle) -> Result<(), Failure> {
    let name = cronapi::model::Name::parse("shell")?;
    let parameters = Parameters::default();
    let intent = Intent::Trigger { name, parameters, force: false, cause: None };
    let command = prepare(&consensus.state(), intent, cronapi::clock::now(), None, None)?;
    consensus.submit(command).await?.answer?;
    Ok(())
}
