//! The cost of one `plan` step: it grows with what is due, not with what exists.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cronapi::machine::command::{Next, PutJob};
use cronapi::machine::plan::{Around, plan};
use cronapi::machine::prepare::timing::Compiled;
use cronapi::machine::{Command, Op, Output, State, apply_entry};
use cronapi::model::Timestamp;
use serde_json::json;

use crate::Failure;
use crate::node::spec;

const NOW: i64 = 1_800_000_030;

/// Medians of 101 steps.
pub fn run(_: &Path) -> Result<(), Failure> {
    println!("{:>10} {:>14} {:>14} {:>14}", "jobs", "0 due, us", "100 due, us", "1,000 due, us");
    for jobs in [1_000, 10_000, 100_000, 1_000_000] {
        let cells: Result<Vec<String>, Failure> = [0, 100, 1_000]
            .into_iter()
            .map(|due| Ok(format!("{:>14.1}", step(jobs, due)?)))
            .collect();
        println!("{jobs:>10} {}", cells?.join(" "));
    }
    Ok(())
}

fn step(jobs: u32, due: u32) -> Result<f64, Failure> {
    let mut state = State::default();
    let now = Timestamp::from_secs(NOW);
    for n in 0..jobs {
        let at = Timestamp::from_secs(if n < due { NOW - 1 } else { NOW + 3_600 + i64::from(n) });
        let spec = spec(json!({"name": format!("job-{n}"), "expr": "* * * * *"}))?;
        let put = PutJob {
            spec: Arc::new(spec),
            based_on: None,
            pinned: false,
            next: Some(Next { nominal: at, due: at }),
            settled: None,
            verb: "create".into(),
        };
        let at = Timestamp::from_secs(NOW - 60);
        let op = Op::PutJob(Box::new(put));
        let command = Command { at, actor: None, request: None, op };
        apply_entry(&mut state, u64::from(n), &[command], &mut Output::default());
    }
    let compiled = Compiled::default();
    let mut times: Vec<f64> = (0..101)
        .map(|_| {
            let start = Instant::now();
            let found = plan(&state, now, &compiled, &Around::default()).ops.len();
            assert_eq!(found, due as usize);
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
