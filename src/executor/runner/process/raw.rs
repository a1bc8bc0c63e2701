//! The two things that safe Rust has no call for. The only unsafe code of the runners.

use std::fs;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::account::Account;

/// Makes the command run with the account's user, group and supplementary groups.
///
/// The standard library can set user and group, but then drops all supplementary groups.
#[allow(unsafe_code)]
pub(super) fn run_as(command: &mut Command, account: Account) {
    let Account { uid, gid, groups, .. } = account;
    let switch = move || {
        // Groups first: after the user has changed there is no right left to change them.
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe operations are allowed. The
    // closure makes three plain system calls through rustix (no C library, no locks) on
    // values it owns, allocates nothing, and the conversion of an errno into io::Error does
    // not allocate. The forked child has one thread, so per-thread calls cover the process.
    unsafe {
        command.pre_exec(switch);
    }
}

/// Keeps every file this process has open now, except the first three, from its children.
///
/// What Rust opens is kept from them anyway; this is about what the process was itself
/// handed by whatever started it.
#[allow(unsafe_code)]
pub(in super::super) fn keep_open_files_from_children() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    for number in open.filter(|&number: &RawFd| number > 2) {
        // SAFETY: the descriptor was open a moment ago and is borrowed for two calls that
        // read and set its close-on-exec flag. Should another thread have closed it by now,
        // the calls fail; should it have opened another, that one has the flag already.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(file) {
            let _ = fcntl_setfd(file, flags | FdFlags::CLOEXEC);
        }
    }
}
