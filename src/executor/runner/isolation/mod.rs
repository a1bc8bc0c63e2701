//! What keeps an attempt's processes from the daemon, its files and other attempts.
//!
//! **Owns** which means are in force on this machine, and the cage of each attempt. **Does not
//! own** the start itself (`process::spawn`) nor bounds on resources (`process::bounds`).
//!
//! ```text
//! Options ──► Isolation::prepare ──┬─ account   another uid than the daemon's
//!                                  ├─ hidden    a mount namespace without what is kept
//!                                  └─ ruleset   a Landlock domain for each attempt
//!                     cage ◄───────┘   in force: told at start, in status and metrics
//! ```
//!
//! Which of them stands for what:
//!
//! - *Files* that are kept from jobs: the mount namespace where the daemon may make one; else
//!   the rights of files, where jobs have an account of their own; else Landlock, which allows
//!   everything beside the way that leads to them.
//! - *Memory and environment* of the daemon and of other attempts: a Landlock domain looks into
//!   no process outside of it, whoever it runs as.
//! - *Which processes there are*, and with which words they were started: a `/proc` in the mount
//!   namespace that shows only what may be looked into; else the one of the machine, if it does.
//! - *Signals and abstract sockets*: the domain too, from Linux 6.12 on.
//!
//! Invariant: with `require`, nothing is started that lacks one of them.
//!
//! To add a means: a file here, its place in `prepare` and `cage`, its word in `InForce`, an
//! attack in `tests/runners/isolation.rs`.

mod hidden;
mod ruleset;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::geteuid;

use super::process::account::Account;
use super::process::raw;
use hidden::{Hidden, Stamp};

/// How much isolation is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuse to start without all of it.
    Require,
    /// What the machine has.
    #[default]
    BestEffort,
    /// None: jobs are as the daemon is.
    Off,
}

impl Mode {
    /// As in the settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Require => "require",
            Mode::BestEffort => "best-effort",
            Mode::Off => "off",
        }
    }
}

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How much.
    pub mode: Mode,
    /// Files and folders that no job may open. Those that are not there are left out.
    pub keep: Vec<PathBuf>,
    /// The account of jobs that name none; none: [`JOB_ACCOUNTS`], if the daemon may.
    pub user: Option<String>,
}

/// Accounts that jobs get by default: the first that there is.
pub const JOB_ACCOUNTS: [&str; 2] = ["cronapi-job", "nobody"];
/// The domain keeps whole programs working from this version of Landlock on: the first one
/// forbids to move a file to another folder.
const LANDLOCK_LEAST: u32 = 2;
/// Signals and abstract sockets are scoped from here on.
const LANDLOCK_SCOPES: u32 = 6;

/// What keeps files from jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// They are not there: a mount namespace.
    Hidden,
    /// They belong to another account.
    Account,
    /// Landlock.
    Landlock,
    /// Nothing.
    Open,
}

impl Files {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Files::Hidden => "hidden",
            Files::Account => "account",
            Files::Landlock => "landlock",
            Files::Open => "open",
        }
    }
}

/// What is in force, and what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// What was asked for.
    pub mode: Mode,
    /// The account that jobs run as, unless they name another.
    pub account: String,
    /// Whether that is not the daemon's.
    pub own_account: bool,
    /// What keeps the data directory and key files from jobs.
    pub files: Files,
    /// Version of Landlock that is used; 0: none.
    pub landlock: u32,
    /// Memory, environment and files of other processes can't be looked into.
    pub memory: bool,
    /// Other processes can't be signalled.
    pub signals: bool,
    /// `/proc` shows no other processes, nor what they were called with.
    pub processes: bool,
    /// One sentence each.
    pub missing: Vec<String>,
}

/// The means that were found.
pub struct Isolation {
    in_force: InForce,
    account: Option<Account>,
    keep: Vec<PathBuf>,
    allow: Vec<PathBuf>,
    made: Mutex<Arc<Made>>,
}

/// What is made once, and anew when what it depends on has changed.
#[derive(Default)]
struct Made {
    hidden: Option<Hidden>,
    ruleset: Option<OwnedFd>,
    stamps: Vec<Stamp>,
}

/// The open files of a cage.
pub(super) struct Doors(Arc<Made>);

impl Doors {
    pub(super) fn mounts(&self) -> Option<BorrowedFd<'_>> {
        self.0.hidden.as_ref().map(|hidden| hidden.mounts.as_fd())
    }

    pub(super) fn ruleset(&self) -> Option<BorrowedFd<'_>> {
        self.0.ruleset.as_ref().map(AsFd::as_fd)
    }
}

impl Isolation {
    /// None at all.
    pub(super) fn off() -> Self {
        let missing = vec!["isolation is off: jobs have all rights of the daemon".to_owned()];
        let in_force = InForce {
            mode: Mode::Off,
            account: own_name(),
            own_account: false,
            files: Files::Open,
            landlock: 0,
            memory: false,
            signals: false,
            processes: false,
            missing,
        };
        let made = Mutex::default();
        Self { in_force, account: None, keep: Vec::new(), allow: Vec::new(), made }
    }

    /// Looks for what this machine has. `allow` are folders that jobs need although they are
    /// among what is kept from them.
    ///
    /// # Errors
    /// A sentence, when something that is required is not to be had, or the account is none.
    pub(super) fn prepare(options: &Options, allow: Vec<PathBuf>) -> Result<Self, String> {
        if options.mode == Mode::Off && options.user.is_none() {
            return Ok(Self::off());
        }
        let account = job_account(options)?;
        if options.mode == Mode::Off {
            let mut off = Self::off();
            off.tell_account(account);
            return Ok(off);
        }
        let landlock = raw::landlock_version();
        let landlock = if landlock < LANDLOCK_LEAST { 0 } else { landlock };
        let keep = hidden::present(&options.keep);
        let mut found = Self::off();
        (found.keep, found.allow, found.in_force.mode) = (keep, allow, options.mode);
        found.in_force.landlock = landlock;
        found.tell_account(account);
        let made = found.make_first();
        let hidden = made.hidden.as_ref().is_some_and(|hidden| hidden.processes);
        // Processes of one account are told apart by Landlock alone.
        found.in_force.processes = landlock > 0 && (hidden || hidden::proc_is_hidden());
        found.made = Mutex::new(Arc::new(made));
        found.tell();
        match (options.mode, found.in_force.missing.as_slice()) {
            (Mode::Require, [_, ..]) => Err(format!(
                "isolation is required, and not to be had here: {}",
                found.in_force.missing.join("; ")
            )),
            _ => Ok(found),
        }
    }

    /// What is in force.
    pub fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// Whether jobs can't write to `folder`, which belongs to the daemon's account. Root's jobs,
    /// which nothing keeps from anything, count as if they could not.
    pub(super) fn keeps(&self, folder: Option<PathBuf>) -> bool {
        let it = &self.in_force;
        let ruled = it.files == Files::Landlock
            && folder.is_some_and(|folder| self.keep.iter().any(|kept| folder.starts_with(kept)));
        geteuid().is_root() || it.own_account || ruled
    }

    /// The account of a job that names none; none: the daemon's.
    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Whether there are cages at all.
    pub(super) fn is_on(&self) -> bool {
        self.in_force.mode != Mode::Off
    }

    /// What an attempt is put into, made anew if what is kept has changed its place.
    ///
    /// # Errors
    /// A sentence, when it can't be made any more: then nothing is started.
    pub(super) fn doors(&self) -> Result<Doors, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.stamps.iter().any(Stamp::is_old) {
            *made = Arc::new(self.make(self.in_force.files)?);
        }
        Ok(Doors(Arc::clone(&made)))
    }

    fn tell_account(&mut self, account: Option<Account>) {
        if let Some(account) = &account {
            self.in_force.account.clone_from(&account.name);
            self.in_force.own_account = true;
        }
        self.account = account;
    }

    /// The first of the means for files that works here.
    fn make_first(&mut self) -> Made {
        let mut ways = vec![Files::Hidden];
        let theirs = self.account.as_ref();
        if theirs.is_some_and(|account| self.keep.iter().all(|path| !may_read(account, path))) {
            ways.push(Files::Account);
        }
        if self.in_force.landlock > 0 {
            ways.push(Files::Landlock);
        }
        for files in ways {
            match self.make(files) {
                Ok(made) => {
                    self.in_force.files = files;
                    return made;
                }
                Err(why) => tracing::debug!(way = ?files, %why, "not to be had"),
            }
        }
        self.make(Files::Open).unwrap_or_default()
    }

    fn make(&self, files: Files) -> Result<Made, String> {
        let mut made = Made::default();
        let refused = |e: std::io::Error| format!("files can't be kept from jobs: {e}");
        if files == Files::Hidden {
            if !geteuid().is_root() {
                return Err("only root may make a mount namespace".to_owned());
            }
            // A password's file may go once it was read; it is kept again when it is back.
            let there: Vec<PathBuf> = self.keep.iter().filter(|it| it.exists()).cloned().collect();
            made.hidden = Some(hidden::namespace(&there).map_err(refused)?);
            made.stamps = self.keep.iter().map(|path| Stamp::of(path, false)).collect();
        }
        if self.in_force.landlock > 0 {
            let (keep, allow): (&[PathBuf], &[PathBuf]) = match files {
                Files::Landlock => (&self.keep, &self.allow),
                _ => (&[], &[]),
            };
            let (ruleset, way) = ruleset::make(keep, allow).map_err(|e| e.clone())?;
            made.ruleset = Some(ruleset);
            if files == Files::Landlock {
                made.stamps = self.keep.iter().map(|path| Stamp::of(path, false)).collect();
                made.stamps.extend(way.iter().map(|folder| Stamp::of(folder, true)));
            }
        }
        Ok(made)
    }

    fn tell(&mut self) {
        let root = geteuid().is_root() && self.account.is_none();
        let it = &mut self.in_force;
        let ruled = it.landlock > 0;
        (it.memory, it.signals) = (ruled, it.landlock >= LANDLOCK_SCOPES);
        it.missing.clear();
        if root {
            let text = "jobs run as root, which may change the machine itself (CRONAPI_JOB_USER)";
            it.missing.push(text.to_owned());
        }
        if it.files == Files::Open {
            it.missing.push("jobs may read the data directory and key files".to_owned());
        }
        if !ruled {
            let text =
                "jobs may look into other jobs that run: this needs Linux 5.19 with Landlock";
            it.missing.push(text.to_owned());
        }
        if !it.signals {
            let whom = if it.own_account { "other jobs" } else { "other jobs and the daemon" };
            let text = format!("jobs may end {whom}: this needs Linux 6.12 with Landlock");
            it.missing.push(text);
        }
    }

    /// Folders of the daemon's account in which jobs can't make new files, because the way to
    /// what is kept from them leads through.
    pub fn narrowed(&self) -> Vec<PathBuf> {
        if self.in_force.files != Files::Landlock {
            return Vec::new();
        }
        let way = ruleset::way(&self.keep);
        way.into_iter().filter(|folder| rustix::fs::access(folder, WRITE).is_ok()).collect()
    }
}

const WRITE: rustix::fs::Access = rustix::fs::Access::WRITE_OK;

fn own_name() -> String {
    let uid = geteuid();
    Account::name_of(uid).unwrap_or_else(|| uid.as_raw().to_string())
}

/// Another account than the daemon's, if there is one for jobs.
fn job_account(options: &Options) -> Result<Option<Account>, String> {
    let may = geteuid().is_root();
    let chosen = match &options.user {
        Some(name) if *name == own_name() => return Ok(None),
        Some(name) if !may => {
            return Err(format!(
                "jobs can't run as {name:?}: only root may give them another account"
            ));
        }
        Some(name) => Some(Account::find(name)?),
        None if may => JOB_ACCOUNTS.iter().find_map(|name| Account::find(name).ok()),
        None => None,
    };
    Ok(chosen.filter(|account| account.uid != geteuid()))
}

/// Whether the rights of a file or folder let an account in. The folders above are not asked.
fn may_read(account: &Account, path: &Path) -> bool {
    let Ok(found) = std::fs::metadata(path) else { return false };
    [1, 2, 4].into_iter().any(|right| account.has(&found, right))
}
