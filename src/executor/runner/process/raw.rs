//! What safe Rust has no call for, beside the start of a process (`spawn`).

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// The version of Landlock that the kernel has; 0: none, or it is switched off.
#[allow(unsafe_code)]
pub(in super::super) fn landlock_version() -> u32 {
    const VERSION: u32 = 1;
    let call = libc::SYS_landlock_create_ruleset;
    // SAFETY: with this flag the call reads no memory and makes nothing.
    let version = unsafe { libc::syscall(call, std::ptr::null::<u8>(), 0_usize, VERSION) };
    u32::try_from(version).unwrap_or(0)
}

/// Gives the calling thread mounts of its own. It must end before long: its working directory
/// is its own as well.
///
/// # Errors
/// The system does not allow it.
#[allow(unsafe_code)]
pub(in super::super) fn leave_mounts_of_others() -> io::Result<()> {
    // SAFETY: only leaving a shared table of open files is unsafe, and that is not left.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS)? };
    Ok(())
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
