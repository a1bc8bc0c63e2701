//! A job of the workload, in the terms the checker needs, and as JSON.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::nominal::Schedule;
use crate::witness;

/// What carries an attempt out.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// A shell line.
    Shell,
    /// Python source.
    Python,
    /// A call to the receiver.
    Http,
    /// Given as it is; it leaves no witness.
    Given(Value),
}

/// Which attempts of a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fails {
    /// The first so many.
    UpTo(u32),
    /// All.
    Always,
}

impl Fails {
    /// Whether attempt `attempt` is built to fail.
    pub fn at(self, attempt: u32) -> bool {
        match self {
            Fails::UpTo(most) => attempt <= most,
            Fails::Always => true,
        }
    }

    fn up_to(self) -> u32 {
        match self {
            Fails::UpTo(most) => most,
            Fails::Always => 1_000,
        }
    }
}

/// Overlap policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// `allow`
    Allow,
    /// `skip`
    Skip,
    /// `queue_one`
    QueueOne,
    /// `queue_all`
    QueueAll,
    /// `cancel_running`
    CancelRunning,
}

impl Overlap {
    fn text(self) -> &'static str {
        match self {
            Overlap::Allow => "allow",
            Overlap::Skip => "skip",
            Overlap::QueueOne => "queue_one",
            Overlap::QueueAll => "queue_all",
            Overlap::CancelRunning => "cancel_running",
        }
    }
}

/// Misfire policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `latest`
    Latest,
    /// `all`
    All,
    /// `skip`
    Skip,
}

/// When attempts follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all.
    pub max_attempts: u32,
    /// Whether a lost attempt is retried, besides failed and timed out ones.
    pub lost: bool,
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Nominal times; none: it is started otherwise.
    pub schedule: Option<Schedule>,
    /// False: paused.
    pub enabled: bool,
    /// `jitter`, in seconds.
    pub jitter_s: i64,
    /// What it does.
    pub work: Work,
    /// How long that takes.
    pub lasts_ms: i64,
    /// Whether it fails.
    pub fails: Fails,
    /// `timeout`.
    pub timeout_ms: Option<i64>,
    /// `overlap`.
    pub overlap: Overlap,
    /// `max_concurrent`.
    pub max_concurrent: Option<u32>,
    /// `misfire.policy`.
    pub misfire: Policy,
    /// `misfire.window`, in seconds.
    pub window_s: i64,
    /// `retry`.
    pub retry: Option<Retry>,
    /// `on_success`.
    pub on_success: Vec<String>,
    /// `on_failure`.
    pub on_failure: Vec<String>,
    /// `on_finish`.
    pub on_finish: Vec<String>,
    /// `dependencies`.
    pub dependencies: Vec<String>,
    /// `priority`.
    pub priority: i64,
    /// `queue`.
    pub queue: Option<String>,
    /// Rises with each edit; attempts carry it into their witness.
    pub generation: u32,
}

/// Where attempts leave their witness.
#[derive(Clone, Debug)]
pub struct Sites {
    /// The folder.
    pub folder: PathBuf,
    /// The receiver.
    pub receiver: String,
}

impl Definition {
    /// A shell job that succeeds at once, and is started by hand only.
    pub fn new(name: &str) -> Definition {
        Definition {
            name: name.to_string(),
            schedule: None,
            enabled: true,
            jitter_s: 0,
            work: Work::Shell,
            lasts_ms: 0,
            fails: Fails::UpTo(0),
            timeout_ms: None,
            overlap: Overlap::Skip,
            max_concurrent: None,
            misfire: Policy::Latest,
            window_s: 3_600,
            retry: None,
            on_success: Vec::new(),
            on_failure: Vec::new(),
            on_finish: Vec::new(),
            dependencies: Vec::new(),
            priority: 0,
            queue: None,
            generation: 1,
        }
    }

    /// Whether its attempts testify.
    pub fn testifies(&self) -> bool {
        !matches!(self.work, Work::Given(_))
    }

    /// Runs at a time; none: without bound.
    pub fn most(&self) -> Option<usize> {
        match (self.max_concurrent, self.overlap) {
            (Some(most), _) => usize::try_from(most).ok(),
            (None, Overlap::Allow) => None,
            (None, _) => Some(1),
        }
    }

    /// What is sent to the API.
    pub fn json(&self, sites: &Sites) -> Value {
        let mut map = Map::new();
        if let Work::Given(Value::Object(given)) = &self.work {
            map.clone_from(given);
        } else {
            self.policies(&mut map);
            map.insert("runner".into(), self.runner(sites));
        }
        map.insert("name".into(), json!(self.name));
        map.insert("enabled".into(), json!(self.enabled));
        Value::Object(map)
    }

    fn policies(&self, map: &mut Map<String, Value>) {
        let mut put = |name: &str, value: Value| {
            map.insert(name.to_string(), value);
        };
        if let Some(schedule) = self.schedule {
            put("expr", json!(schedule.expr()));
            let policy = match self.misfire {
                Policy::Latest => "latest",
                Policy::All => "all",
                Policy::Skip => "skip",
            };
            put("misfire", json!({"policy": policy, "window": format!("{}s", self.window_s)}));
        }
        if self.jitter_s > 0 {
            put("jitter", json!(format!("{}s", self.jitter_s)));
        }
        if let Some(retry) = self.retry {
            let on: &[&str] = match retry.lost {
                true => &["failed", "timed_out", "lost"],
                false => &["failed", "timed_out"],
            };
            let most = retry.max_attempts;
            put("retry", json!({"max_attempts": most, "delay": "300ms", "on": on}));
        }
        if let Some(timeout) = self.timeout_ms {
            put("timeout", json!(format!("{timeout}ms")));
            put("kill_grace", json!("500ms"));
        }
        put("overlap", json!(self.overlap.text()));
        put("max_concurrent", json!(self.max_concurrent));
        put("priority", json!(self.priority));
        put("queue", json!(self.queue));
        put("retention", json!({"count": 1_000_000}));
        let lists = [
            ("on_success", &self.on_success),
            ("on_failure", &self.on_failure),
            ("on_finish", &self.on_finish),
            ("dependencies", &self.dependencies),
        ];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            put(name, json!(list));
        }
    }

    fn runner(&self, sites: &Sites) -> Value {
        let path = witness::file(&sites.folder, &self.name);
        let (path, generation) = (path.display(), self.generation);
        let (fails, ms) = (self.fails.up_to(), self.lasts_ms);
        match &self.work {
            Work::Shell => {
                let (seconds, rest) = (ms / 1_000, ms % 1_000);
                let line = format!(
                    "w() {{ printf '%s %s %s %s %s %s {generation} %s %s\\n' \
                     \"$CRONAPI_RUN_ID\" \"$CRONAPI_ATTEMPT\" \"$CRONAPI_FENCE\" \
                     \"${{CRONAPI_NOMINAL_TIME:--}}\" \"$CRONAPI_TRIGGER\" \
                     \"${{CRONAPI_NODE:--}}\" \"$1\" \"$(date +%s%6N)\" >> '{path}'; }}; \
                     w start; sleep {seconds}.{rest:03}; w end; \
                     test \"$CRONAPI_ATTEMPT\" -gt {fails}"
                );
                json!({"type": "shell", "command": line})
            }
            Work::Python => {
                let code = format!(
                    "import os, time\n\ndef mark(word):\n    e = os.environ\n    \
                     line = ' '.join([e['CRONAPI_RUN_ID'], e['CRONAPI_ATTEMPT'], \
                     e['CRONAPI_FENCE'], e.get('CRONAPI_NOMINAL_TIME') or '-', \
                     e['CRONAPI_TRIGGER'], e.get('CRONAPI_NODE') or '-', '{generation}', word, \
                     str(time.time_ns() // 1000)])\n    \
                     fd = os.open('{path}', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)\n    \
                     os.write(fd, (line + '\\n').encode())\n    os.close(fd)\n\n\
                     def job_function():\n    mark('start')\n    time.sleep({ms} / 1000)\n    \
                     mark('end')\n    assert int(os.environ['CRONAPI_ATTEMPT']) > {fails}\n"
                );
                json!({"type": "python", "code": code})
            }
            Work::Http => {
                let url = format!(
                    "{}/work/{}?generation={generation}&ms={ms}&fail_up_to={fails}",
                    sites.receiver, self.name
                );
                json!({"type": "http", "method": "POST", "url": url})
            }
            Work::Given(_) => Value::Null,
        }
    }
}
