//! What jobs on this node are kept from, and where they leave what the node is to find.

use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{Access, Mode};
use rustix::process::{geteuid, umask as set_umask};

use crate::executor::runner::cgroups::{self, Cgroups};
use crate::executor::runner::isolation::{self, Isolation, Options};

use super::config::Config;

/// Rights that files of the node never have.
const CLOSED: Mode = Mode::RWXG.union(Mode::RWXO);
/// A file system in memory that only root writes to.
const RUN: &str = "/run";

/// What new files lacked before, and still do in jobs.
static BEFORE: OnceLock<u32> = OnceLock::new();

/// From here on new files of this process are for its account alone.
pub(super) fn close_new_files() {
    let before = set_umask(CLOSED);
    let _ = BEFORE.set(before.bits());
}

/// What new files of jobs lack.
pub(super) fn umask() -> Option<u32> {
    BEFORE.get().copied()
}

/// What is asked of the isolation: beside the files that settings name, the data directory and
/// the tokens of whoever uses the command line under this account.
pub(super) fn isolation(config: &Config) -> Options {
    let mut options = config.jobs.isolation.clone();
    options.keep.insert(0, config.data.clone());
    options.keep.extend(config.data_pool.clone());
    let named = |name: &str| env::var_os(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    let folder = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|it| it.join(".config")));
    options.keep.extend(folder.map(|folder| folder.join("cronapi")));
    if !geteuid().is_root() {
        // Jobs have this account, and could lift their own bounds.
        options.keep.extend(cgroups::tree());
    }
    options
}

/// Where jobs leave their results: in the data directory; or, where that may be out of their
/// reach, beside it.
pub(super) fn results(config: &Config, tag: &str) -> PathBuf {
    if !geteuid().is_root() {
        return config.data.join("results");
    }
    let writable = rustix::fs::access(RUN, Access::WRITE_OK).is_ok();
    let place = if writable { PathBuf::from(RUN) } else { env::temp_dir() };
    place.join(format!("cronapi-{tag}"))
}

/// Says in the log what is in force.
pub(super) fn tell(isolation: &Isolation) {
    let found = isolation.in_force();
    tracing::info!(
        mode = found.mode.as_str(),
        account = found.account,
        files = found.files.as_str(),
        landlock = found.landlock,
        memory = found.memory,
        signals = found.signals,
        processes = found.processes,
        "isolation of jobs"
    );
    if found.mode != isolation::Mode::Off {
        for missing in &found.missing {
            tracing::warn!("isolation of jobs: {missing}");
        }
    }
    let narrowed = isolation.narrowed();
    if !narrowed.is_empty() {
        let folders: Vec<_> = narrowed.iter().map(|path| path.display().to_string()).collect();
        tracing::info!(
            folders = folders.join(", "),
            "jobs can't make new files directly in these folders, through which the way to the \
             data directory or a key file leads: give --data a place of its own"
        );
    }
}

/// Says in the log what bounds attempts as a whole.
pub(super) fn tell_bounds(cgroups: &Cgroups) {
    let found = cgroups.bounded();
    match &found.missing {
        None => tracing::info!(
            by = "cgroups",
            controllers = found.controllers.join(" "),
            "bounds of jobs"
        ),
        Some(why) => tracing::info!(by = "rlimits", %why, "bounds of jobs"),
    }
}
