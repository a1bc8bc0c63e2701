//! What the runners know about the node they are on.

use std::env::{split_paths, var_os};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use ipnet::IpNet;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::cgroups::{self, Cgroups};
use super::environment;
use super::http::{self, Client};
use super::isolation::{self, Isolation};
use super::pipefail::Pipefail;
use super::process;
use super::process::raw::keep_open_files_from_children;
use super::shell_result;
use super::spec::Limits;

/// Found once when the node starts, shared by all attempts.
pub struct RunnerEnv {
    /// The Python interpreter, at least 3.8; `None` when there is none.
    pub python: Option<PathBuf>,
    /// Whether shell jobs may name a `user` (the daemon must be root as well).
    pub allow_user: bool,
    /// Addresses that HTTP attempts never connect to, whatever a name resolves to. Read at
    /// the first HTTP attempt; later changes have no effect.
    pub http_deny: Vec<IpNet>,
    /// What attempts may use at most, and do unless they ask for less.
    pub limits: Limits,
    /// Rights that new files of jobs lack; none: as the daemon's.
    pub umask: Option<u32>,
    pub(super) isolation: Isolation,
    pub(super) cgroups: Cgroups,
    /// Addresses that are reached although they are among the denied ones.
    pub http_allow: Vec<IpNet>,
    /// What a line is run by so that its pipelines fail when any of their commands does.
    pub(super) pipefail: Pipefail,
    pub(super) inherited: Vec<(OsString, OsString)>,
    pub(super) results_dir: Option<PathBuf>,
    pub(super) client: OnceLock<Result<Client, String>>,
}

impl RunnerEnv {
    /// Looks for the interpreter and the shell, and takes the harmless part of the environment.
    /// Blocks for the start of each.
    ///
    /// Also closes two doors of the whole process to its future children: files that it was
    /// itself handed open, and `/proc/<daemon>/environ` (with memory and files), which any
    /// process of the same user could read. The price: no core dumps of the daemon, and no
    /// debugger but root's. Against jobs that run as root themselves nothing helps.
    #[must_use]
    pub fn detect() -> Self {
        keep_open_files_from_children();
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        Self {
            python: find_python(|_| true),
            allow_user: false,
            http_deny: http::default_deny(),
            limits: Limits::default(),
            umask: None,
            isolation: Isolation::off(),
            cgroups: Cgroups::off(),
            http_allow: Vec::new(),
            pipefail: Pipefail::detect(),
            inherited: environment::inherited(),
            results_dir: None,
            client: OnceLock::new(),
        }
    }

    /// Keeps jobs from the daemon, from its files and from each other. Call it last: what jobs
    /// need of what is kept has to be known.
    ///
    /// # Errors
    /// A sentence, when what is required is not to be had.
    pub fn isolated(mut self, options: &isolation::Options) -> Result<Self, String> {
        let allow = self.results_dir.iter().cloned().collect();
        self.isolation = Isolation::prepare(options, allow)?;
        if let Some(account) = self.isolation.account() {
            let theirs = |file: &Path| account.may_run(file);
            if !self.python.as_deref().is_some_and(theirs) {
                self.python = find_python(theirs);
            }
        }
        Ok(self)
    }

    /// Gives each attempt a cgroup of its own, if this process was handed a part of the tree:
    /// then it moves itself to one in it. Call it after [`Self::isolated`], which says whether
    /// jobs could change their own bounds; `tag` is this node's alone.
    #[must_use]
    pub fn bounded(mut self, tag: &str) -> Self {
        let keeps = self.isolation.keeps(cgroups::tree());
        self.cgroups = Cgroups::claim(tag, keeps, process::try_out);
        self
    }

    /// What bounds attempts as a whole.
    pub fn cgroups(&self) -> &Cgroups {
        &self.cgroups
    }

    /// What keeps jobs apart.
    pub fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// Lets shell jobs hand back a result through a file in this folder, which belongs to
    /// this node alone: it is **emptied now**. Without it `CRONAPI_RESULT` is not set.
    ///
    /// # Errors
    /// When the folder can't be made or emptied.
    pub fn with_results_dir(mut self, folder: &Path) -> io::Result<Self> {
        shell_result::prepare_folder(folder)?;
        self.results_dir = Some(folder.canonicalize()?);
        Ok(self)
    }
}

/// The interpreter itself: what `python3` in the path may be is a script that looks for it,
/// and costs several times its start.
fn find_python(may: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    const ASK: &str = "import sys; sys.version_info >= (3, 8) and print(sys.executable)";
    let path = var_os("PATH")?;
    let mut candidates = split_paths(&path).map(|folder| folder.join("python3"));
    candidates.find_map(|file| {
        if !may(&file) {
            return None;
        }
        let asked =
            Command::new(&file).args(["-I", "-c", ASK]).stdin(Stdio::null()).output().ok()?;
        let found = PathBuf::from(String::from_utf8(asked.stdout).ok()?.trim_end());
        (asked.status.success() && found.is_absolute() && may(&found)).then_some(found)
    })
}
