//! Log, scheduler and executor together, without REST: what is due fires, runs and is recorded.

use std::sync::Arc;
use std::time::Duration;

use cronapi::clock::{self, System};
use cronapi::consensus::{self, Handle, Options};
use cronapi::executor::runner::RunnerEnv;
use cronapi::executor::{Executor, Parts};
use cronapi::machine::history::{self, unpack};
use cronapi::machine::prepare::{Intent, PutMode, prepare};
use cronapi::machine::{Answer, Command, Op};
use cronapi::model::{JobSpec, Run, RunStatus};
use cronapi::scheduler;
use cronapi::storage::{Direction, Scan};
use serde_json::{Value, json};
use tokio::sync::watch;

struct Node {
    consensus: Handle,
    drain: watch::Sender<bool>,
    executor: tokio::task::JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

async fn node(path: &std::path::Path, boot: u128) -> Node {
    let options = Options::new(path, clock::now().millis());
    let consensus = consensus::open(options).await.unwrap();
    let boot = uuid::Uuid::from_u128(boot);
    let up = Op::NodeUp {
        node: consensus.node_id(),
        boot,
        address: "here".into(),
        api: String::new(),
        slots: 4,
        labels: Default::default(),
    };
    submit(&consensus, up).await.unwrap();
    let clock: Arc<System> = Arc::new(System);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(scheduler::run(consensus.clone(), clock.clone(), stopped));
    let parts = Parts {
        consensus: consensus.clone(),
        clock,
        runners: Arc::new(RunnerEnv::detect()),
        node: consensus.node_id(),
        boot,
        node_name: "1".into(),
        boot_tag: format!("test/{boot}"),
    };
    let (drain, drained) = watch::channel(false);
    let executor = tokio::spawn(Executor::new(parts).run(drained, Duration::from_secs(5)));
    Node { consensus, drain, executor, _stop: stop }
}

async fn submit(consensus: &Handle, op: Op) -> Answer {
    let command = Command { at: clock::now(), actor: None, request: None, op };
    consensus.submit(command).await.unwrap().answer
}

async fn put(consensus: &Handle, spec: Value) {
    let Value::Object(map) = spec else { panic!("an object") };
    let spec = Box::new(JobSpec::from_map(map).unwrap());
    let intent = Intent::PutJob { spec, mode: PutMode::Create, expected: None };
    let command = prepare(&consensus.state(), intent, clock::now(), None, None).unwrap();
    consensus.submit(command).await.unwrap().answer.unwrap();
}

async fn runs(consensus: &Handle, job: &str) -> Vec<Run> {
    let no = consensus.state().job(job).unwrap().no;
    let scan = Scan::prefix(&history::runs_prefix(no), Direction::Forward, 1_000);
    let rows = consensus.history().scan(scan).await.unwrap();
    rows.iter().map(|(_, value)| unpack(value).unwrap()).collect()
}

async fn closed(consensus: &Handle, job: &str, count: usize) -> Vec<Run> {
    let mut applied = consensus.applied();
    let wait = async {
        loop {
            applied.borrow_and_update();
            let runs = runs(consensus, job).await;
            if runs.len() >= count {
                return runs;
            }
            applied.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("runs in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_runs_and_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let node = node(folder.path(), 1).await;
    put(
        &node.consensus,
        json!({
            "name": "tick", "expr": "* * * * * *",
            "runner": {"type": "shell", "command": "echo out; echo err >&2; exit 0"},
            "on_success": ["after"],
        }),
    )
    .await;
    put(&node.consensus, json!({"name": "after", "code": "def f():\n    return {'a': 1}\n"})).await;
    put(&node.consensus, json!({"name": "gate", "expr": "* * * * * *"})).await;
    let ticks = closed(&node.consensus, "tick", 3).await;
    for run in &ticks {
        assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
        assert!(run.started_at >= run.nominal_time, "{run:?}");
        assert_eq!(run.log_bytes, 8, "{run:?}");
    }
    let after = closed(&node.consensus, "after", 1).await;
    assert_eq!(after[0].cause, Some(ticks[0].id));
    assert_eq!(after[0].result, Some(json!({"a": 1})), "{:?}", after[0]);
    assert_eq!(closed(&node.consensus, "gate", 2).await[0].attempt, 0);
    node.drain.send_replace(true);
    node.executor.await.unwrap();
    node.consensus.shutdown().await.unwrap();
}
