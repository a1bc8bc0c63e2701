//! A started process that is always reaped, and only after its group was cleared.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, prlimit,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wait4::{ResUse, Wait4};

/// The leader of a process group of its own. Until [`Child::reap`] its number can't be
/// given to another process, so signals can't go astray.
pub(super) struct Child {
    inner: Option<std::process::Child>,
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
}

impl Child {
    /// # Errors
    /// A sentence that names the program and what was wrong.
    pub(super) fn start(command: &mut Command) -> Result<Self, String> {
        command.process_group(0);
        let mut inner = command.spawn().map_err(|e| refusal(command, &e))?;
        match watch(&inner) {
            Ok((pid, pidfd)) => {
                // Best effort: a crash in its first microseconds may still leave a core.
                let none = Rlimit { current: Some(0), maximum: Some(0) };
                let _ = prlimit(Some(pid), Resource::Core, none);
                Ok(Self { inner: Some(inner), pid, pidfd })
            }
            Err(e) => {
                // Its leader is not reaped yet, so the group is still ours.
                if let Some(pid) = pid_of(&inner) {
                    let _ = kill_process_group(pid, Signal::KILL);
                }
                let _ = inner.wait();
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
    pub(super) fn reap(mut self) -> Result<ResUse, String> {
        let lost = |why: String| format!("lost track of the process: {why}");
        let Some(mut inner) = self.inner.take() else {
            return Err(lost("reaped".to_owned()));
        };
        match inner.try_wait4() {
            Ok(Some(usage)) => Ok(usage),
            Ok(None) => {
                self.inner = Some(inner);
                Err(lost("it has not ended".to_owned()))
            }
            Err(e) => Err(lost(e.to_string())),
        }
    }
}

/// An attempt whose future is dropped does not live on.
impl Drop for Child {
    fn drop(&mut self) {
        if let Some(mut inner) = self.inner.take() {
            let _ = kill_process_group(self.pid, Signal::KILL);
            // It may take a while to die (in the middle of I/O), and this must not block.
            std::thread::spawn(move || inner.wait());
        }
    }
}

fn pid_of(child: &std::process::Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn watch(child: &std::process::Child) -> io::Result<(Pid, AsyncFd<OwnedFd>)> {
    let pid = pid_of(child).ok_or_else(|| io::Error::other("no process number"))?;
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    // Deprecated because some other type might close its descriptor early; an OwnedFd
    // can't, and the replacement is an unsafe function.
    #[allow(deprecated)]
    let pidfd = AsyncFd::with_interest(pidfd, Interest::READABLE)?;
    Ok((pid, pidfd))
}

fn refusal(command: &Command, error: &io::Error) -> String {
    let program = command.get_program().to_string_lossy();
    match error.kind() {
        io::ErrorKind::NotFound => format!("can't start {program}: not found"),
        io::ErrorKind::PermissionDenied => format!("can't start {program}: not permitted"),
        io::ErrorKind::ArgumentListTooLong => {
            format!("can't start {program}: its arguments and environment are too large")
        }
        _ => format!("can't start {program}: {error}"),
    }
}
