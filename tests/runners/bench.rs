//! What the tests share: short ways to a spec, an attempt, and its output as text.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::skip::skipped;
use cronapi::executor::runner::{
    Chunk, Context, Outcome, RunnerEnv, ShellCommand, Spec, What, limits, run,
};
use cronapi::model::LogStream;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

/// Longer than anything takes, shorter than patience.
pub const BOUND: Duration = Duration::from_secs(20);

pub fn node() -> &'static RunnerEnv {
    static NODE: OnceLock<RunnerEnv> = OnceLock::new();
    NODE.get_or_init(RunnerEnv::detect)
}

pub fn now_micros() -> i64 {
    cronapi::clock::now().micros()
}

/// A trace that an attempt may belong to.
pub const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub fn spec(what: What, params: Value) -> Spec {
    Spec {
        filled: Default::default(),
        what,
        context: Context {
            job: "nightly".to_owned(),
            run_id: "run-1".to_owned(),
            attempt: 2,
            nominal_time: Some("2026-01-02T03:04:05Z".to_owned()),
            fence: 42,
            lock_fence: None,
            traceparent: None,
            node: "n1".to_owned(),
            trigger: "schedule".to_owned(),
            boot_tag: "tests/1".to_owned(),
            task: None,
            item: None,
        },
        params,
        timeout: Some(BOUND),
        kill_grace: Duration::from_secs(10),
        output_max: limits::OUTPUT_BYTES_MAX_DEFAULT,
        result_max: limits::RESULT_BYTES_MAX_DEFAULT,
        limits: Default::default(),
    }
}

pub fn shell(line: &str) -> Spec {
    shell_with(ShellCommand::Line(line.to_owned()), &[], None, None)
}

pub fn argv(words: &[&str]) -> Spec {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    shell_with(ShellCommand::Argv(words), &[], None, None)
}

pub fn shell_with(
    command: ShellCommand,
    env: &[(&str, &str)],
    cwd: Option<&str>,
    user: Option<&str>,
) -> Spec {
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let env: BTreeMap<_, _> = env.iter().map(owned).collect();
    let (cwd, user) = (cwd.map(str::to_owned), user.map(str::to_owned));
    spec(What::Shell { command, pipefail: true, env, cwd, user, stdin: None }, json!({}))
}

pub fn python(code: &str, params: Value) -> Spec {
    spec(What::Python { code: code.to_owned() }, params)
}

/// Whether there is an interpreter; says so loudly when there is none.
pub fn has_python() -> bool {
    let found = node().python.is_some();
    if !found {
        skipped("python", "there is no python3 on this machine");
    }
    found
}

/// An attempt that has ended.
#[derive(Debug)]
pub struct Ran {
    pub outcome: Outcome,
    pub chunks: Vec<Chunk>,
    pub pid: Option<u32>,
    pub took: Duration,
}

impl Ran {
    pub fn bytes(&self, stream: LogStream) -> Vec<u8> {
        let of = self.chunks.iter().filter(|chunk| chunk.stream == stream);
        of.flat_map(|chunk| chunk.bytes.to_vec()).collect()
    }

    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.bytes(LogStream::Stdout)).into_owned()
    }

    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.bytes(LogStream::Stderr)).into_owned()
    }

    pub fn notes(&self) -> String {
        String::from_utf8_lossy(&self.bytes(LogStream::System)).into_owned()
    }

    pub fn error(&self) -> &str {
        self.outcome.error.as_deref().unwrap_or_default()
    }

    pub fn lines(&self) -> Vec<String> {
        self.out().lines().map(str::to_owned).collect()
    }
}

/// An attempt on its way.
pub struct Running {
    task: tokio::task::JoinHandle<(Outcome, Option<u32>)>,
    batches: mpsc::Receiver<Vec<Chunk>>,
    cancel: Option<watch::Sender<bool>>,
    chunks: Vec<Chunk>,
    begin: Instant,
}

pub fn start(spec: Spec) -> Running {
    start_on(node(), spec)
}

pub fn start_on(node: &'static RunnerEnv, spec: Spec) -> Running {
    let (cancel, cancelled) = watch::channel(false);
    let (output, batches) = mpsc::channel(2);
    let task = tokio::spawn(async move {
        let mut pid = None;
        let outcome = run(spec, cancelled, output, |id| pid = id, now_micros, node).await;
        (outcome, pid)
    });
    Running { task, batches, cancel: Some(cancel), chunks: Vec::new(), begin: Instant::now() }
}

impl Running {
    /// Reads on until stdout holds `text`.
    pub async fn until(&mut self, text: &str) {
        within(async {
            while !self.out().contains(text) {
                let batch = self.batches.recv().await;
                self.chunks.extend(batch.expect("the attempt ended before it said so"));
            }
        })
        .await;
    }

    pub fn out(&self) -> String {
        let out = self.chunks.iter().filter(|chunk| chunk.stream == LogStream::Stdout);
        String::from_utf8_lossy(&out.flat_map(|c| c.bytes.to_vec()).collect::<Vec<_>>())
            .into_owned()
    }

    pub fn cancel(&self) {
        self.cancel.as_ref().expect("not forgotten").send_replace(true);
    }

    pub fn forget_cancel(&mut self) {
        self.cancel = None;
    }

    pub fn abort(&self) {
        self.task.abort();
    }

    pub async fn end(mut self) -> Ran {
        within(async {
            while let Some(batch) = self.batches.recv().await {
                let bytes: usize = batch.iter().map(|chunk| chunk.bytes.len()).sum();
                assert!(bytes <= 16 * 1024, "a batch of {bytes} bytes");
                self.chunks.extend(batch);
            }
            let (outcome, pid) = self.task.await.expect("run does not panic");
            Ran { outcome, chunks: self.chunks, pid, took: self.begin.elapsed() }
        })
        .await
    }
}

pub async fn attempt(spec: Spec) -> Ran {
    start(spec).end().await
}

pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND * 2, work).await.expect("in time")
}

/// Whether a process is there and running (a zombie is not).
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A kill is done when the process is gone, which takes it a moment.
pub async fn gone(pid: u32) {
    within(async {
        while is_running(pid) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A line for the shell that waits for a file.
pub fn wait_for(file: &Path) -> String {
    format!("while [ ! -e {} ]; do sleep 0.01; done", file.display())
}

/// Set in a process that [`alone`] started.
pub const ALONE: &str = "CRONAPI_TEST_ALONE";

/// Whether this process was started by [`alone`].
pub fn is_alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs one test of this binary in a process of its own, for what concerns a whole process:
/// its environment, its memory. Elsewhere that test does nothing: see [`is_alone`].
pub fn alone(test: &str, env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("known"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(ALONE, test).envs(env.iter().copied());
    let output = command.output().expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test}: {text}{errors}");
    assert!(text.contains("1 passed"), "{test} did not run: {text}");
    output
}
