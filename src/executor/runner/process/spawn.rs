//! Starting a process in its cage.
//!
//! The standard library starts programs fast only when nothing has to be done between fork and
//! exec; else it copies the page tables of the whole daemon. So this does what its fast path
//! does, by itself: a child that shares the daemon's memory and holds the starting thread until
//! it has become the program. What it does meanwhile are system calls and nothing else.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;

use rustix::process::Pid;

use super::account::Account;
use super::into_cgroup;

/// What to start.
pub(in super::super) struct Program {
    /// Its file.
    pub(in super::super) file: PathBuf,
    /// Its name and its arguments.
    pub(in super::super) argv: Vec<OsString>,
    pub(in super::super) env: BTreeMap<OsString, OsString>,
    /// Working directory; none: the daemon's own where it may be entered, else `/`.
    pub(in super::super) cwd: Option<PathBuf>,
    /// A file that it finds open under the same number.
    pub(in super::super) passed: Option<OwnedFd>,
}

/// Who it runs as.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
}

impl Ids {
    pub(super) fn of(account: &Account) -> Self {
        let groups = account.groups.iter().map(|gid| gid.as_raw()).collect();
        Self { uid: account.uid.as_raw(), gid: account.gid.as_raw(), groups }
    }
}

/// What it is put into, in the order in which that is done.
#[derive(Default)]
pub(super) struct Cage<'a> {
    /// The cgroup that it is started in.
    pub(super) cgroup: Option<BorrowedFd<'a>>,
    /// Files that jobs are kept from are not there.
    pub(super) mounts: Option<BorrowedFd<'a>>,
    /// A Landlock domain of its own.
    pub(super) ruleset: Option<BorrowedFd<'a>>,
    /// No more rights by set-user-id programs.
    pub(super) no_new_privileges: bool,
    pub(super) ids: Option<Ids>,
    /// Bounds of the process: which, soft, hard.
    pub(super) limits: Vec<(u32, u64, u64)>,
    /// Rights of new files; none: as the daemon's.
    pub(super) umask: Option<u32>,
    /// How much sooner than others it dies when memory runs out.
    pub(super) oom_score: Option<&'static str>,
}

/// The steps of a start, to tell which one failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Step {
    Files = 1,
    Mounts,
    Ruleset,
    Account,
    Limits,
    Folder,
    Exec,
}

/// A start that failed, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) step: Step,
    pub(super) error: io::Error,
}

/// Bytes of the stack on which the child makes its calls.
const STACK_BYTES: usize = 128 * 1024;
/// Rust ignores it; programs do not expect that.
const SIGPIPE: c_int = libc::SIGPIPE;
/// The last signal.
const SIGNALS: c_int = 64;
/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITIES_3: u32 = 0x2008_0522;

/// Everything that the child needs, made before it is there.
struct Order<'a> {
    file: CString,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    cwd: Option<CString>,
    here: Option<CString>,
    stdio: [RawFd; 3],
    passed: Option<RawFd>,
    cage: &'a Cage<'a>,
    /// What failed in the child, which shares this memory.
    failed: Option<(Step, i32)>,
}

/// Starts `program` with its standard files, as the leader of a process group of its own.
///
/// # Errors
/// Where it failed; then there is no process.
pub(super) fn spawn(
    program: &Program,
    stdio: [BorrowedFd<'_>; 3],
    cage: &Cage<'_>,
) -> Result<Pid, Fault> {
    let refuse = |step, error| Fault { step, error };
    let invalid = |_| refuse(Step::Exec, io::Error::from_raw_os_error(libc::EINVAL));
    let text = |text: &OsStr| CString::new(text.as_bytes());
    let argv: Vec<CString> =
        program.argv.iter().map(|word| text(word)).collect::<Result<_, _>>().map_err(invalid)?;
    let pair = |(name, value): (&OsString, &OsString)| {
        let mut pair = name.as_bytes().to_vec();
        pair.push(b'=');
        pair.extend_from_slice(value.as_bytes());
        CString::new(pair)
    };
    let env: Vec<CString> =
        program.env.iter().map(pair).collect::<Result<_, _>>().map_err(invalid)?;
    let pointers = |texts: &[CString]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
    };
    let cwd = program.cwd.as_deref().map(|cwd| text(cwd.as_os_str())).transpose();
    let here = std::env::current_dir().ok().and_then(|here| text(here.as_os_str()).ok());
    let mut order = Order {
        file: text(program.file.as_os_str()).map_err(invalid)?,
        argv: pointers(&argv),
        env: pointers(&env),
        cwd: cwd.map_err(invalid)?,
        here,
        stdio: stdio.map(|file| file.as_raw_fd()),
        passed: program.passed.as_ref().map(AsRawFd::as_raw_fd),
        cage,
        failed: None,
    };
    let pid = clone_and_wait(&mut order).map_err(|error| refuse(Step::Files, error))?;
    if let Some((step, errno)) = order.failed {
        wait(pid);
        return Err(refuse(step, io::Error::from_raw_os_error(errno)));
    }
    Ok(pid)
}

/// Starts the child and waits until it has become the program, or has ended.
#[allow(unsafe_code)]
fn clone_and_wait(order: &mut Order<'_>) -> io::Result<Pid> {
    let mut stack = vec![0u128; STACK_BYTES / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the sets are initialised by the calls before they are used. With all signals
    // blocked no handler of the daemon runs in the child, which shares its memory. The stack
    // is the child's alone, aligned for every architecture, and lives until `clone` returns:
    // CLONE_VFORK holds this thread until the child has called exec or ended. `order` is
    // likewise used by one of the two at a time. `child` keeps to system calls.
    let pid = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let top = stack.as_mut_ptr_range().end.cast::<c_void>();
        let pid = match order.cage.cgroup.map(|folder| folder.as_raw_fd()) {
            None => {
                let pid = libc::clone(child, top, flags, ptr::from_mut(order).cast::<c_void>());
                if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
            }
            Some(cgroup) => into_cgroup::clone(child, &mut stack, order, cgroup),
        };
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        pid
    }?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process number"))
}

/// Waits for a child to end, and forgets it.
pub(super) fn wait(pid: Pid) {
    while let Err(rustix::io::Errno::INTR) =
        rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
    {}
}

/// The child's whole life before it becomes the program.
#[allow(unsafe_code)]
extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: see `clone_and_wait`; the pointer is to an `Order` that nobody else touches now.
    let order = unsafe { &mut *order.cast::<Order<'_>>() };
    let failed = become_program(order);
    order.failed = Some(failed);
    // SAFETY: ends the child without running anything of the daemon's.
    unsafe { libc::_exit(127) }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

/// Returns only when something failed. No allocation, no lock, no panic: system calls.
#[allow(unsafe_code)]
fn become_program(order: &Order<'_>) -> (Step, i32) {
    if let Err(failed) = prepare(order) {
        return failed;
    }
    restore_signals();
    // SAFETY: all three end with a null and live in `order`'s owner.
    unsafe { libc::execve(order.file.as_ptr(), order.argv.as_ptr(), order.env.as_ptr()) };
    (Step::Exec, errno())
}

type Done = Result<(), (Step, i32)>;

fn tried(step: Step, result: libc::c_long) -> Done {
    if result < 0 { Err((step, errno())) } else { Ok(()) }
}

#[allow(unsafe_code)]
fn prepare(order: &Order<'_>) -> Done {
    let cage = order.cage;
    // SAFETY: plain system calls on numbers, and on texts that live in `order` or the program.
    unsafe {
        tried(Step::Files, libc::setpgid(0, 0).into())?;
        for (number, file) in (0..).zip(order.stdio) {
            tried(Step::Files, libc::dup2(file, number).into())?;
        }
        if let Some(file) = order.passed {
            // The child's table of files is its own: here alone it outlives `execve`.
            tried(Step::Files, libc::fcntl(file, libc::F_SETFD, 0).into())?;
        }
        if let Some(score) = cage.oom_score {
            let flags = libc::O_WRONLY | libc::O_CLOEXEC;
            let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), flags);
            if file >= 0 {
                // Where it is refused, the daemon does it a moment later.
                libc::write(file, score.as_ptr().cast(), score.len());
                libc::close(file);
            }
        }
        if let Some(mounts) = cage.mounts {
            tried(Step::Mounts, libc::setns(mounts.as_raw_fd(), libc::CLONE_NEWNS).into())?;
        }
        if let Some(mask) = cage.umask {
            libc::umask(mask);
        }
        if cage.no_new_privileges {
            let set = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            tried(Step::Ruleset, set.into())?;
        }
        if let Some(ruleset) = cage.ruleset {
            let call = libc::SYS_landlock_restrict_self;
            tried(Step::Ruleset, libc::syscall(call, ruleset.as_raw_fd(), 0))?;
        }
    }
    identify(cage)?;
    // SAFETY: as above.
    unsafe {
        for &(which, soft, hard) in &cage.limits {
            let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            tried(Step::Limits, libc::setrlimit(which, &raw const limit).into())?;
        }
        if let Some(cwd) = &order.cwd {
            tried(Step::Folder, libc::chdir(cwd.as_ptr()).into())?;
        } else {
            let here = order.here.as_ref().map_or(-1, |here| libc::chdir(here.as_ptr()));
            if here < 0 {
                tried(Step::Folder, libc::chdir(c"/".as_ptr()).into())?;
            }
        }
    }
    Ok(())
}

/// Becomes the account, without any of the daemon's capabilities.
#[allow(unsafe_code)]
fn identify(cage: &Cage<'_>) -> Done {
    // SAFETY: plain system calls; directly, because the C library's would change all threads of
    // what it takes for this process: the daemon.
    unsafe {
        if let Some(ids) = &cage.ids {
            let (uid, gid) = (ids.uid, ids.gid);
            let groups = ids.groups.as_ptr();
            let set = libc::syscall(libc::SYS_setgroups, ids.groups.len(), groups);
            tried(Step::Account, set)?;
            tried(Step::Account, libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
            tried(Step::Account, libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        }
        if cage.no_new_privileges && libc::getuid() != 0 {
            libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
            let head = [CAPABILITIES_3, 0];
            let none = [0u32; 6];
            let set = libc::syscall(libc::SYS_capset, head.as_ptr(), none.as_ptr());
            // A filter may forbid the call; without an account of its own there was nothing.
            if cage.ids.is_some() {
                tried(Step::Account, set)?;
            }
        }
    }
    Ok(())
}

/// What the daemon handles, programs do not; what whoever started the daemon ignores, they do.
#[allow(unsafe_code)]
fn restore_signals() {
    // SAFETY: system calls on structures of this frame. The child has a table of its own.
    unsafe {
        for signal in 1..=SIGNALS {
            let mut action = MaybeUninit::<libc::sigaction>::uninit();
            if libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) != 0 {
                continue;
            }
            let mut action = action.assume_init();
            let handled = ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction);
            if handled || signal == SIGPIPE {
                action.sa_sigaction = libc::SIG_DFL;
                action.sa_flags = 0;
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
        }
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

/// The exit status of a child and what it used; none: it has not ended.
#[allow(unsafe_code)]
pub(super) fn try_wait(pid: Pid) -> io::Result<Option<(i32, libc::rusage)>> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both are written by the call and live as long as it; all zeros is a `rusage`.
    let (ended, usage) = unsafe {
        let pid = pid.as_raw_nonzero().get();
        let ended = libc::wait4(pid, &raw mut status, libc::WNOHANG, usage.as_mut_ptr());
        (ended, usage.assume_init())
    };
    match ended {
        0 => Ok(None),
        n if n < 0 => Err(io::Error::last_os_error()),
        _ => Ok(Some((status, usage))),
    }
}
