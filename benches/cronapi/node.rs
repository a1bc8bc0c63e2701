//! A node without REST: log, scheduler, executor.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cronapi::clock::{self, System};
use cronapi::consensus::{self, Handle, Options};
use cronapi::executor::runner::RunnerEnv;
use cronapi::executor::{Executor, Parts, Work};
use cronapi::machine::prepare::{Intent, PutMode, prepare};
use cronapi::machine::{Command, Op};
use cronapi::model::{Actor, JobSpec};
use cronapi::scheduler;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Failure;

/// A running node.
pub struct Node {
    pub consensus: Handle,
    stop: watch::Sender<bool>,
    drain: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Opens a node on `path` with that many slots.
    pub async fn open(path: &Path, slots: u32) -> Result<Node, Failure> {
        let consensus = consensus::open(Options::new(path, clock::now().millis())).await?;
        let boot = uuid::Uuid::from_u128(clock::now().micros() as u128);
        let node = consensus.node_id();
        let (address, labels) = ("here".to_string(), Default::default());
        let up = Op::NodeUp { node, boot, address, api: String::new(), slots, labels };
        consensus.submit(plain(up)).await?.answer?;
        let clock = Arc::new(System);
        let (stop, stopped) = watch::channel(false);
        let (drain, drained) = watch::channel(false);
        let parts = Parts {
            vault: None,
            locks: None,
            redis_url: None,
            consensus: consensus.clone(),
            clock: clock.clone(),
            work: Work::Runners(Arc::new(RunnerEnv::detect())),
            node,
            boot,
            node_name: node.to_string(),
            boot_tag: format!("bench/{boot}"),
            lease: consensus.lease(),
        };
        let leading = scheduler::Options { plan_ahead: true };
        let tasks = vec![
            tokio::spawn(scheduler::run(consensus.clone(), clock, leading, stopped)),
            tokio::spawn(Executor::new(parts).run(drained, Duration::from_secs(5))),
        ];
        Ok(Node { consensus, stop, drain, tasks })
    }

    /// Stops everything in order.
    pub async fn stop(self) -> Result<(), Failure> {
        self.stop.send_replace(true);
        self.drain.send_replace(true);
        for task in self.tasks {
            task.await?;
        }
        Ok(self.consensus.shutdown().await?)
    }
}

/// A command of the cluster itself.
pub fn plain(op: Op) -> Command {
    Command { at: clock::now(), actor: None, request: None, op }
}

/// A definition from JSON.
pub fn spec(value: Value) -> Result<JobSpec, Failure> {
    let Value::Object(map) = value else { return Err("not an object".into()) };
    read(map)
}

fn read(map: Map<String, Value>) -> Result<JobSpec, Failure> {
    JobSpec::from_map(map).map_err(|faults| format!("{faults:?}").into())
}

/// Creates a job as the API does: prepare, submit.
pub async fn create(consensus: &Handle, spec: JobSpec) -> Result<(), Failure> {
    let intent = Intent::PutJob { spec: Arc::new(spec), mode: PutMode::Create, expected: None };
    // As the interface does, so that the audit is written too.
    let (from, request_id) = (Some("127.0.0.1".into()), Some("bench-1".into()));
    let actor = Actor { name: "admin".into(), from, request_id, trace: None };
    let command = prepare(&consensus.state(), intent, clock::now(), Some(actor), None)?;
    consensus.submit(command).await?.answer?;
    Ok(())
}

/// Creates many jobs, many at a time.
pub async fn create_all(
    consensus: &Handle,
    specs: impl Iterator<Item = JobSpec>,
) -> Result<(), Failure> {
    let mut pending = tokio::task::JoinSet::new();
    for spec in specs {
        if pending.len() >= 1_024
            && let Some(done) = pending.join_next().await
        {
            done??;
        }
        let consensus = consensus.clone();
        pending.spawn(async move { create(&consensus, spec).await });
    }
    while let Some(done) = pending.join_next().await {
        done??;
    }
    Ok(())
}
