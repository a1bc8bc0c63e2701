//! Becoming another user between fork and exec. The only unsafe code of the runners.

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::account::Account;

/// Makes the command run with the account's user, group and supplementary groups.
///
/// The standard library can set user and group, but then drops all supplementary groups.
#[allow(unsafe_code)]
pub(super) fn run_as(command: &mut Command, account: Account) {
    let Account {
        uid, gid, groups, ..
    } = account;
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
