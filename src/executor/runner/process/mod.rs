//! One process of the operating system, from start to nothing left of it.
//!
//! **Owns** the order in which a process is started, fed, read, stopped and reaped, and its
//! group cleared. **Does not own** what is started (`shell`, `python`), nor its output.
//!
//! 1. Start: own process group, stdin a file in memory, two pipes.
//! 2. Drive: read output, sample memory, until the process ends. Time-out and cancel send
//!    SIGTERM to the group, and SIGKILL after the grace.
//! 3. Clear: the process has ended but is not reaped, so its number (which is its group's
//!    too) can't belong to anybody else yet. Strays get a moment to finish writing, or the
//!    rest of the grace when the attempt was stopped; then the group gets SIGKILL.
//! 4. Reap: last of all.
//!
//! To add a step: its file here, its place in `drive`, its rule in `tests/runners`.

pub(super) mod account;
pub(super) mod bounds;
mod child;
pub(super) mod group;
mod into_cgroup;
pub(super) mod memory;
pub(super) mod raw;
mod spawn;
pub(super) mod stdin_file;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::account::Account;
use self::child::Child;
use self::memory::MemorySampler;
pub(super) use self::spawn::Program;
use self::spawn::{Cage, Ids};
use super::cgroups::{Group, Told};
use super::limits::{GROUP_POLL, LAST_WORDS, OOM_SCORE, STRAY_MAX, STRAY_QUIET};
use super::node::RunnerEnv;
use super::outcome::{Ended, Outcome};
use super::pump::Pump;
use super::spec::{CancelToken, Limits};
use super::start::{Start, ask};
use super::stop::{Stop, StopSignal};

/// What to start.
pub(super) struct Launch<'a> {
    pub(super) program: Program,
    /// Becomes standard input.
    pub(super) stdin: OwnedFd,
    /// Run as somebody else than the daemon.
    pub(super) account: Option<Account>,
    /// What it may use.
    pub(super) limits: Limits,
    /// Where: its isolation.
    pub(super) node: &'a RunnerEnv,
}

/// How a process ended.
pub(super) struct Exit {
    pub(super) status: ExitStatus,
    pub(super) stop: Option<Stop>,
    pub(super) cpu_ms: u64,
    pub(super) peak_rss_bytes: Option<u64>,
    limits: Limits,
    /// The bound of the whole attempt that was passed.
    breach: Option<String>,
    /// What its cgroup tells.
    told: Told,
}

/// When to stop it.
pub(super) struct Deadlines<'a> {
    pub(super) timeout: Option<Duration>,
    pub(super) kill_grace: Duration,
    pub(super) cancel: &'a mut CancelToken,
}

/// Starts a process and stays with it until nothing of its group is left.
///
/// # Errors
/// A sentence, when it could not be started.
pub(super) async fn drive(
    launch: Launch<'_>,
    deadlines: Deadlines<'_>,
    pump: &mut Pump,
    started: impl Start,
) -> Result<Exit, String> {
    ask(&started)?;
    let (limits, close) = (launch.limits, launch.limits != launch.node.limits);
    let group = group(&launch)?;
    let child = start(launch, group.as_ref(), pump)?;
    started.begun(Some(child.id()));
    // What the system counts itself is not counted again.
    let watched = if group.is_some() { Limits::default() } else { limits };
    let mut memory = MemorySampler::new(child.id(), watched, close);
    let mut breach = None;
    let mut stop = StopSignal::new(deadlines.timeout, deadlines.cancel);
    let mut stopped: Option<Stop> = None;
    let mut kill_at: Option<Instant> = None;
    let grace = deadlines.kill_grace;
    loop {
        let sample_at = memory.due();
        tokio::select! {
            biased;
            () = child.exited() => break,
            // Before the time-out: the nearest timer first wakes the runtime's clock once.
            () = sleep_until(sample_at) => if let Some(found) = memory.sample() {
                child.signal_group(Signal::KILL);
                found.kill();
                breach.get_or_insert(found.why);
            },
            reason = stop.wait(), if stopped.is_none() => {
                stopped = Some(reason);
                kill_at = Instant::now().checked_add(grace);
                child.signal_group(Signal::TERM);
                // A suspended process acts on SIGTERM only once it runs again.
                child.signal_group(Signal::CONT);
                pump.capture.note(&format!("{reason}: SIGTERM, SIGKILL after {grace:?}"));
            }
            () = at(kill_at), if kill_at.is_some() => {
                kill_at = None;
                child.signal_group(Signal::KILL);
                group.iter().for_each(Group::kill);
                pump.capture.note("still running: SIGKILL");
            }
            () = pump.step() => {}
        }
    }
    pump.drain_now();
    clear(&child, group.as_ref(), stopped.is_some().then_some(kill_at).flatten(), pump).await;
    let told = group.map(|group| group.told()).unwrap_or_default();
    let usage = child.reap()?;
    Ok(Exit {
        status: usage.status,
        stop: stopped,
        cpu_ms: u64::try_from(usage.cpu.as_millis()).unwrap_or(u64::MAX),
        peak_rss_bytes: memory.peak(usage.peak_rss),
        limits,
        breach,
        told,
    })
}

/// A cgroup for the attempt, where there are any.
fn group(launch: &Launch<'_>) -> Result<Option<Group>, String> {
    let made = launch.node.cgroups.group(&launch.limits);
    made.map_err(|e| format!("its cgroup can't be made: {e}"))
}

/// Starts something in a cgroup, for the sake of the start: a program that is not there.
pub(super) fn try_out(group: &Group) -> Result<(), String> {
    let refused = |e: std::io::Error| format!("can't start anything in a cgroup: {e}");
    let null = std::fs::File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(refused)?;
    let program = Program {
        file: "/dev/null/none".into(),
        argv: Vec::new(),
        env: std::collections::BTreeMap::new(),
        cwd: None,
        passed: None,
    };
    let cage = Cage { cgroup: Some(group.folder()), ..Cage::default() };
    match spawn::spawn(&program, [null.as_fd(), null.as_fd(), null.as_fd()], &cage) {
        Err(fault) if fault.step == spawn::Step::Exec => Ok(()),
        Err(fault) => Err(refused(fault.error)),
        Ok(_) => Ok(()),
    }
}

/// For the tests of cgroups: a line of a shell in one.
#[cfg(test)]
pub(super) fn start_in(group: &Group, line: &str) -> rustix::process::Pid {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").expect("there");
    let program = Program {
        file: "/bin/sh".into(),
        argv: ["sh", "-c", line].map(Into::into).to_vec(),
        env: std::env::vars_os().filter(|(name, _)| name == "PATH").collect(),
        cwd: None,
        passed: None,
    };
    let cage = Cage { cgroup: Some(group.folder()), ..Cage::default() };
    let stdio = [null.as_fd(), null.as_fd(), null.as_fd()];
    spawn::spawn(&program, stdio, &cage).map_err(|fault| fault.error).expect("started")
}

#[cfg(test)]
pub(super) fn wait_for(pid: rustix::process::Pid) {
    spawn::wait(pid);
}

fn start(launch: Launch<'_>, group: Option<&Group>, pump: &mut Pump) -> Result<Child, String> {
    let Launch { program, stdin, account, limits, node } = launch;
    let pipes = || -> std::io::Result<_> { Ok((std::io::pipe()?, std::io::pipe()?)) };
    let ((out, out_writer), (err, err_writer)) =
        pipes().map_err(|e| format!("no pipes for the output: {e}"))?;
    if let Some(account) = &account {
        account.give(&out_writer).and_then(|()| account.give(&err_writer))?;
        account.give(&stdin)?;
    }
    let isolated = node.isolation.is_on();
    let doors = node.isolation.doors()?;
    let ids = account.as_ref().map(Ids::of);
    let cage = Cage {
        mounts: doors.mounts(),
        ruleset: doors.ruleset(),
        no_new_privileges: isolated,
        limits: bounds::of(&limits, ids.as_ref(), group.is_some()),
        cgroup: group.map(Group::folder),
        ids,
        umask: node.umask,
        oom_score: Some(OOM_SCORE),
    };
    let stdio = [stdin.as_fd(), out_writer.as_fd(), err_writer.as_fd()];
    let child = Child::start(&program, stdio, &cage)?;
    // Without this the pipes would never end.
    drop((out_writer, err_writer));
    pump.attach(out.into(), err.into()).map_err(|e| format!("can't read the output: {e}"))?;
    Ok(child)
}

/// Step 3: nothing of the group survives its leader. `kill_at`: the attempt was stopped, and
/// its processes have until then.
async fn clear(child: &Child, group: Option<&Group>, kill_at: Option<Instant>, pump: &mut Pump) {
    if kill_at.is_some() {
        // Strays got SIGTERM as well and have the same time to act on it.
        while group::alive(child.id()) {
            let look_again = Instant::now() + GROUP_POLL;
            if kill_at.is_some_and(|kill_at| kill_at <= look_again) {
                break;
            }
            pump_until(look_again, pump).await;
        }
    } else {
        let ended = Instant::now();
        while !pump.at_end() {
            let quiet = pump.last_read().max(ended) + STRAY_QUIET;
            let until = quiet.min(ended + STRAY_MAX);
            if until <= Instant::now() {
                break;
            }
            let _ = timeout_at(until, pump.step()).await;
        }
    }
    child.signal_group(Signal::KILL);
    group.iter().for_each(|group| group.kill());
    let last_words = Instant::now() + LAST_WORDS;
    pump.drain_now();
    while !pump.at_end() && Instant::now() < last_words {
        let _ = timeout_at(last_words, pump.step()).await;
    }
    pump.close();
}

async fn pump_until(until: Instant, pump: &mut Pump) {
    while timeout_at(until, pump.step()).await.is_ok() && Instant::now() < until {}
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

impl Exit {
    /// The outcome as far as the operating system knows it.
    pub(super) fn outcome(&self, timeout: Option<Duration>) -> Outcome {
        let (ended, error) = match (self.stop, self.status.code(), self.status.signal()) {
            (Some(stop), ..) => (stop.ended(), Some(stop.sentence(timeout))),
            (None, Some(0), _) => (Ended::Succeeded, None),
            (None, Some(code), _) => (Ended::Failed, Some(format!("exited with status {code}"))),
            (None, None, Some(signal)) => {
                (Ended::Failed, Some(format!("killed by signal {}", signal_name(signal))))
            }
            (None, None, None) => (Ended::Failed, Some(format!("ended: {}", self.status))),
        };
        let (ended, error) = match (&self.breach, self.stop) {
            (Some(why), None) => (Ended::Failed, Some(format!("killed: {why}"))),
            (None, None) if ended == Ended::Failed => match self.killed() {
                Some(why) => (ended, Some(format!("killed: {why}"))),
                None => (ended, error),
            },
            _ => (ended, error),
        };
        let mut outcome = Outcome::ended(ended, error);
        outcome.exit_code = self.status.code();
        outcome.signal = self.status.signal();
        outcome.cpu_ms = Some(self.cpu_ms);
        outcome.peak_rss_bytes = self.peak_rss_bytes;
        let refused = self.limits.processes.filter(|_| self.told.processes);
        let refused = refused.map(|most| format!("limits.processes allows {most}"));
        if outcome.ended == Ended::Failed
            && let Some(why) = bounds::blame(&self.limits, &outcome).or(refused)
        {
            outcome.error = outcome.error.map(|error| format!("{error}: {why}"));
        }
        outcome
    }

    /// What ended its processes, as its cgroup tells.
    fn killed(&self) -> Option<String> {
        match (self.told, self.limits.memory) {
            (Told { memory: true, .. }, Some(most)) => {
                Some(format!("over its memory limit of {} (limits.memory)", bounds::size(most)))
            }
            (Told { memory: true, .. } | Told { machine: true, .. }, _) => {
                Some("the machine, or all that the node may use, was out of memory".to_owned())
            }
            _ => None,
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return signal.to_string(),
    };
    format!("{signal} ({name})")
}
