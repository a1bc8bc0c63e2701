//! One `cronapi` process.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Sandbox, binary};

/// How long a start may take: machines that test are busy ones.
pub const START_MAX: Duration = Duration::from_secs(60);

/// How to start a process.
#[derive(Clone)]
pub struct Launch {
    binary: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    namespace: Option<PathBuf>,
    hosts: Option<PathBuf>,
    log: PathBuf,
}

/// How a process ended, and all it said.
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Launch {
    /// A node with its data in `data` of the sandbox, at a free port.
    pub fn new(sandbox: &Sandbox, data: &str) -> Launch {
        let mut env = vec![("TMPDIR".into(), sandbox.tmp().display().to_string())];
        if rustix::process::geteuid().is_root() {
            // Attempts are witnessed by files in the sandbox, which is root's.
            env.push(("CRONAPI_JOB_USER".into(), "root".into()));
        }
        let data_path = sandbox.path().join(data).display().to_string();
        Launch {
            binary: binary::path(),
            args: ["serve", "--listen", "127.0.0.1:0", "--data", &data_path]
                .into_iter()
                .chain(["--cluster-listen", "127.0.0.1:0"])
                .map(String::from)
                .collect(),
            env,
            namespace: None,
            hosts: None,
            log: sandbox.path().join(format!("{data}.stderr")),
        }
    }

    /// In a network namespace, given as its file.
    pub fn within(mut self, namespace: Option<PathBuf>) -> Launch {
        self.namespace = namespace;
        self
    }

    /// With a file of its own in place of `/etc/hosts`, which takes root; what is written to it
    /// later counts too.
    pub fn hosts(mut self, file: &Path) -> Launch {
        self.hosts = Some(file.to_owned());
        self
    }

    /// Where standard error goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// With another argument; the last of a kind counts.
    pub fn arg(mut self, arg: &str) -> Launch {
        self.args.push(arg.to_string());
        self
    }

    /// Without the arguments it began with, but with these.
    pub fn args(mut self, args: &[&str]) -> Launch {
        self.args = args.iter().map(ToString::to_string).collect();
        self
    }

    /// With a value in place of the one after `flag`.
    pub fn set(mut self, flag: &str, value: &str) -> Launch {
        match self.args.iter().position(|arg| arg == flag) {
            Some(at) => self.args[at + 1] = value.to_string(),
            None => self.args.extend([flag.to_string(), value.to_string()]),
        }
        self
    }

    /// With a variable.
    pub fn env(mut self, name: &str, value: &str) -> Launch {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_string(), value.to_string()));
        self
    }

    fn command(&self) -> Command {
        let mut command = match (&self.namespace, &self.hosts) {
            // Both become the program, which keeps the number.
            (_, Some(hosts)) => {
                let mount = r#"mount --bind "$0" /etc/hosts && exec "$@""#;
                let mut command = Command::new("unshare");
                command.args(["--mount", "--", "/bin/sh", "-c", mount]).arg(hosts);
                command.arg(&self.binary);
                command
            }
            (Some(namespace), None) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={}", namespace.display())).arg("--").arg(&self.binary);
                command
            }
            (None, None) => Command::new(&self.binary),
        };
        command.args(&self.args).env_clear().stdin(Stdio::null()).kill_on_drop(true);
        // What a job may need, and nothing of this process's own settings.
        for name in ["PATH", "HOME", "LANG"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it; it is not ready yet.
    ///
    /// # Panics
    /// The binary can't be started.
    pub fn spawn(&self) -> Daemon {
        let stderr = OpenOptions::new().create(true).append(true).open(&self.log);
        let stderr = stderr.expect("the sandbox can be written");
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("the binary starts");
        let pid = child.id().expect("it has just started");
        let stdout = child.stdout.take().expect("it is piped");
        let (tell, said) = watch::channel(String::new());
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                tell.send_modify(|said| said.push_str(&format!("{line}\n")));
            }
        });
        Daemon { child, pid, said, log: self.log.clone() }
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// It is not ready in time; the message shows what it said.
    pub async fn start(&self) -> Daemon {
        let mut daemon = self.spawn();
        if let Err(why) = daemon.ready().await {
            panic!("{why}");
        }
        daemon
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// It does not end in time.
    pub async fn run(&self) -> Exit {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = timeout(START_MAX, command.output()).await;
        let output = output.expect("it ends in time").expect("the binary starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Exit { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// A running process; it is killed when this is dropped.
pub struct Daemon {
    child: Child,
    pid: u32,
    said: watch::Receiver<String>,
    log: PathBuf,
}

impl Daemon {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.said.borrow().clone()
    }

    /// Where it can be reached, from its banner.
    pub fn url(&self) -> Option<String> {
        let said = self.said.borrow();
        let line = said.lines().find(|line| line.trim_start().starts_with("REST"))?;
        line.split_whitespace().last().map(str::to_string)
    }

    /// Waits for the banner, and for readiness.
    ///
    /// # Errors
    /// It ended, or was not ready in time: with the last of what it said.
    pub async fn ready(&mut self) -> Result<String, String> {
        let started = async {
            let mut said = self.said.clone();
            // An error says that standard output is closed: the process ends.
            let _ = said.wait_for(|text| text.contains("REST")).await;
            let url = self.url()?;
            let ready = format!("{url}/readyz");
            loop {
                if let Ok(answer) = super::client::plain(&ready).await
                    && answer == 200
                {
                    return Some(url);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match timeout(START_MAX, started).await {
            Ok(Some(url)) => Ok(url),
            Ok(None) => Err(format!("it ended instead of starting:\n{}", tail(&self.log))),
            Err(_) => Err(format!("it was not ready in {START_MAX:?}:\n{}", tail(&self.log))),
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // The child is not waited for yet, so the number is still its own; an error says
            // that it has ended.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it at once, as a power cut would, and waits until it is gone.
    pub async fn kill(mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end in time.
    pub async fn ended(&mut self, most: Duration) -> ExitStatus {
        match timeout(most, self.child.wait()).await {
            Ok(status) => status.expect("a child can be waited for"),
            Err(_) => panic!("it did not end in {most:?}:\n{}", tail(&self.log)),
        }
    }

    /// Asks it to end, and waits.
    ///
    /// # Panics
    /// It does not end in time.
    pub async fn terminate(&mut self, most: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended(most).await
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it wrote to standard error, with what earlier processes of the launch wrote.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// The last lines of a log, for messages.
pub fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// Shows the last of a log on standard error.
pub fn show(log: &Path) {
    let _ = writeln!(std::io::stderr(), "--- {}\n{}", log.display(), tail(log));
}
