//! What an attempt is given.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Resolves to "stop" when the watched value becomes true. A dropped sender means that the
/// attempt will not be cancelled any more.
pub type CancelToken = tokio::sync::watch::Receiver<bool>;

/// Everything one attempt needs; plain values, nothing of the rest of the node.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What to carry out.
    pub what: What,
    /// What is filled in on this node only.
    pub filled: Filled,
    /// What the attempt is told about itself.
    pub context: Context,
    /// The run's parameters: a JSON object (`null` counts as empty).
    pub params: serde_json::Value,
    /// Whole attempt; `None` is unlimited.
    pub timeout: Option<Duration>,
    /// From SIGTERM to SIGKILL when the attempt is stopped.
    pub kill_grace: Duration,
    /// Bytes of output kept: the first half and the last half of it.
    pub output_max: usize,
    /// Bytes of the JSON result; a larger one is dropped with a note.
    pub result_max: usize,
    /// What its processes may use; see [`Limits::within`].
    pub limits: Limits,
}

impl Spec {
    /// The parameters as the job reads them.
    pub(super) fn given(&self) -> &serde_json::Value {
        self.filled.params.as_ref().unwrap_or(&self.params)
    }
}

/// Bounds on the processes of an attempt; none: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes, of each process and of all together.
    pub memory: Option<u64>,
    /// Processes at a time.
    pub processes: Option<u32>,
    /// Open files of each process.
    pub open_files: Option<u64>,
    /// Bytes of a file that it writes.
    pub file_size: Option<u64>,
    /// Processor time of each process.
    pub cpu: Option<Duration>,
    /// Thousandths of a processor, of all together; where attempts have a cgroup each.
    pub cpus: Option<u32>,
}

impl Limits {
    /// The smaller of each.
    #[must_use]
    pub fn within(self, most: &Limits) -> Limits {
        fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            }
        }
        Limits {
            memory: least(self.memory, most.memory),
            processes: least(self.processes, most.processes),
            open_files: least(self.open_files, most.open_files),
            file_size: least(self.file_size, most.file_size),
            cpu: least(self.cpu, most.cpu),
            cpus: least(self.cpus, most.cpus),
        }
    }
}

/// What a job names and this node knows. No `Debug` text shows it.
#[derive(Clone, Default)]
pub struct Filled {
    /// Added to the environment of a process.
    pub env: BTreeMap<String, String>,
    /// Added to the headers of a request, as they are: no templates.
    pub headers: BTreeMap<String, String>,
    /// The parameters with the values of those that are secrets; none: none is one.
    pub params: Option<serde_json::Value>,
    /// Masked in output, error and result.
    pub masked: Vec<String>,
}

impl fmt::Debug for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.env.keys().chain(self.headers.keys()).collect();
        write!(f, "Filled({names:?})")
    }
}

/// The built-in runners (contract section 6).
#[derive(Debug, Clone)]
pub enum What {
    /// Source run as a module in a child `python3`.
    Python {
        /// The module's text.
        code: String,
    },
    /// A command of the operating system.
    Shell {
        /// One line for `/bin/sh -c`, or a program and its arguments.
        command: ShellCommand,
        /// A pipeline of a line fails when any of its commands does, where the node can.
        pipefail: bool,
        /// Added to the scrubbed environment; `CRONAPI_*` names are refused.
        env: BTreeMap<String, String>,
        /// Working directory; the daemon's own when absent.
        cwd: Option<String>,
        /// Account of this machine to run as; needs [`super::RunnerEnv::allow_user`].
        user: Option<String>,
        /// What it reads; the parameters when absent.
        stdin: Option<String>,
    },
    /// One HTTP request.
    Http {
        /// Any method token; usually `GET` or `POST`.
        method: String,
        /// `http` or `https`; placeholders are allowed after the host.
        url: String,
        /// Added to, or replacing, the default headers; values may hold placeholders.
        headers: BTreeMap<String, String>,
        /// May hold placeholders; `None` sends the parameters with POST, PUT and PATCH.
        body: Option<String>,
        /// Inclusive ranges of good statuses; empty means 200 to 299.
        expect_status: Vec<(u16, u16)>,
        /// Signs the body when present.
        sign: Option<HttpSign>,
    },
}

/// The two ways to name a command.
#[derive(Debug, Clone)]
pub enum ShellCommand {
    /// Run by `/bin/sh -c`.
    Line(String),
    /// Run as it is, no shell between.
    Argv(Vec<String>),
}

/// The key of `X-CronAPI-Signature`.
#[derive(Clone)]
pub struct HttpSign {
    /// Shared with the receiver.
    pub secret: String,
}

impl fmt::Debug for HttpSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpSign(..)")
    }
}

/// What an attempt is told about itself, as `CRONAPI_*` or `X-CronAPI-*`.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Name of the job.
    pub job: String,
    /// Identity of the run, the same for all its attempts.
    pub run_id: String,
    /// Counted from 1.
    pub attempt: u32,
    /// RFC 3339; `None` when the run has no nominal time.
    pub nominal_time: Option<String>,
    /// Grows with every start of the job: receivers may refuse a smaller one.
    pub fence: u64,
    /// The trace that it belongs to, as a W3C `traceparent`.
    pub traceparent: Option<String>,
    /// The node that carries out the attempt.
    pub node: String,
    /// `schedule`, `manual` and so on (contract section 1).
    pub trigger: String,
    /// `<node tag>/<boot>`; see [`super::reap_leftovers`].
    pub boot_tag: String,
    /// Of a task: its name, and the run of the workflow.
    pub task: Option<(String, String)>,
    /// The item that it runs for, if its task has any.
    pub item: Option<serde_json::Value>,
    /// Of an attempt that holds the lock of its job: grows with each holder, in whatever cluster.
    pub lock_fence: Option<u64>,
}
