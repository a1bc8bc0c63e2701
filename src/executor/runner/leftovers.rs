//! Processes that outlived the daemon which started them.
//!
//! Every child carries `CRONAPI_BOOT=<node tag>/<boot>`, and so does what it starts. After
//! the daemon was killed outright, its next boot finds them by that. The cluster has given
//! their runs up by then, so letting them go on would be running them twice.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::process::group::{pids, stat};

/// SIGKILLs every process that carries the tag of an earlier boot of this node, and returns
/// how many there were. Tags have the form `<node tag>/<boot>`; processes of other nodes,
/// of this boot, and those the daemon itself descends from are left alone. Processes whose
/// environment the daemon may not read are not found.
///
/// Call it before the first attempt starts. Blocks while it reads `/proc`.
pub fn reap_leftovers(node_tag: &str, current_boot_tag: &str) -> usize {
    let own = ancestors();
    let stale = |pid| is_stale(pid, node_tag, current_boot_tag);
    pids().filter(|pid| !own.contains(pid) && stale(*pid) && kill(*pid, stale)).count()
}

/// This process and those above it: a job may have started this very daemon.
fn ancestors() -> Vec<u32> {
    let mut line = vec![std::process::id()];
    while let Some(parent) = line.last().and_then(|pid| stat(*pid)).map(|found| found.parent) {
        if parent == 0 || line.contains(&parent) {
            break;
        }
        line.push(parent);
    }
    line
}

fn is_stale(pid: u32, node_tag: &str, current: &str) -> bool {
    let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else {
        return false;
    };
    environ.split(|&byte| byte == 0).any(|variable| {
        let tag = variable.strip_prefix(b"CRONAPI_BOOT=");
        tag.is_some_and(|tag| {
            let boot = tag.strip_prefix(node_tag.as_bytes());
            boot.is_some_and(|boot| boot.starts_with(b"/")) && tag != current.as_bytes()
        })
    })
}

/// Looks again once the process is held: its number may have passed to another meanwhile.
fn kill(pid: u32, stale: impl Fn(u32) -> bool) -> bool {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    let Ok(held) = pidfd_open(number, PidfdFlags::empty()) else {
        return false;
    };
    stale(pid) && pidfd_send_signal(&held, Signal::KILL).is_ok()
}
