//! A started process that is always reaped, and only after its group was cleared.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::spawn::{self, Cage, Fault, Program, Step};

/// The leader of a process group of its own. Until [`Child::reap`] its number can't be
/// given to another process, so signals can't go astray.
pub(super) struct Child {
    pid: Pid,
    reaped: bool,
    pidfd: AsyncFd<OwnedFd>,
}

/// What is known of a process that has ended.
pub(super) struct Reaped {
    pub(super) status: ExitStatus,
    /// User and system.
    pub(super) cpu: Duration,
    /// In bytes; see `memory`.
    pub(super) peak_rss: u64,
}

impl Child {
    /// # Errors
    /// A sentence that names the program and what was wrong.
    pub(super) fn start(
        program: &Program,
        stdio: [BorrowedFd<'_>; 3],
        cage: &Cage<'_>,
    ) -> Result<Self, String> {
        let pid = spawn::spawn(program, stdio, cage).map_err(|fault| refusal(program, &fault))?;
        if let Some(score) = cage.oom_score {
            // A daemon that is not root may not do it from within; from here it may.
            let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), score);
        }
        match watch(pid) {
            Ok(pidfd) => Ok(Self { pid, reaped: false, pidfd }),
            Err(e) => {
                // Its leader is not reaped yet, so the group is still ours.
                let _ = kill_process_group(pid, Signal::KILL);
                std::thread::spawn(move || spawn::wait(pid));
                Err(format!("can't watch the process that was just started: {e}"))
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Resolves when the process has ended (and waits to be reaped).
    pub(super) async fn exited(&self) {
        if self.pidfd.readable().await.is_err() {
            // The runtime is going down and drops this future next.
            std::future::pending::<()>().await;
        }
    }

    /// To every process of the group; harmless when only the ended leader is left.
    pub(super) fn signal_group(&self, signal: Signal) {
        let _ = kill_process_group(self.pid, signal);
    }

    /// Takes the exit status and the resource use of a process that has ended.
    pub(super) fn reap(mut self) -> Result<Reaped, String> {
        let lost = |why: String| format!("lost track of the process: {why}");
        let (status, usage) = match spawn::try_wait(self.pid) {
            Ok(Some(ended)) => ended,
            Ok(None) => return Err(lost("it has not ended".to_owned())),
            Err(e) => {
                self.reaped = true;
                return Err(lost(e.to_string()));
            }
        };
        self.reaped = true;
        let time = |time: libc::timeval| {
            let (secs, micros) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_usec));
            Duration::from_secs(secs.unwrap_or(0)) + Duration::from_micros(micros.unwrap_or(0))
        };
        Ok(Reaped {
            status: ExitStatus::from_raw(status),
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            peak_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
        })
    }
}

/// An attempt whose future is dropped does not live on.
impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            let pid = self.pid;
            let _ = kill_process_group(pid, Signal::KILL);
            // It may take a while to die (in the middle of I/O), and this must not block.
            std::thread::spawn(move || spawn::wait(pid));
        }
    }
}

fn watch(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    // Deprecated because some other type might close its descriptor early; an OwnedFd
    // can't, and the replacement is an unsafe function.
    #[allow(deprecated)]
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

fn refusal(program: &Program, fault: &Fault) -> String {
    let (file, error) = (program.file.display(), &fault.error);
    match (fault.step, error.kind()) {
        (Step::Exec, io::ErrorKind::NotFound) => match interpreter(&program.file) {
            Some(missing) => format!("can't start {file}: {missing}"),
            None => format!("can't start {file}: not found"),
        },
        (Step::Exec, io::ErrorKind::PermissionDenied) => {
            format!("can't start {file}: not permitted")
        }
        (Step::Exec, io::ErrorKind::ArgumentListTooLong) => {
            format!("can't start {file}: its arguments and environment are too large")
        }
        (Step::Folder, _) => {
            let cwd = program.cwd.as_deref().unwrap_or(Path::new("/"));
            format!("working directory {}: {error}", cwd.display())
        }
        (Step::Mounts | Step::Ruleset, _) => {
            format!("can't start {file}: its isolation can't be set up: {error}")
        }
        (Step::Account, _) => format!("can't start {file} as another account: {error}"),
        (Step::Limits, _) => format!("can't start {file} with its limits: {error}"),
        (Step::Exec | Step::Files, _) => format!("can't start {file}: {error}"),
    }
}

/// Of a script whose interpreter is not there: what its first line says.
fn interpreter(program: &Path) -> Option<String> {
    const FIRST_LINE_MAX: u64 = 256;
    let mut start = Vec::new();
    if !std::fs::metadata(program).ok()?.is_file() {
        return None;
    }
    File::open(program).ok()?.take(FIRST_LINE_MAX).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let named = String::from_utf8_lossy(line);
    Some(match named.strip_suffix('\r') {
        Some(named) => format!(
            "its lines end as on Windows, so its first names {:?} with a carriage return, and \
             there is no such program; save it with plain line ends (dos2unix does)",
            named.trim()
        ),
        None => format!("its first line names {:?}, which is not found", named.trim()),
    })
}
