//! Starting a child in a cgroup, rather than moving it there.
//!
//! A move waits for every processor of the machine to have been idle or to have changed its task:
//! some 20 ms, half a second now and then. `clone3` puts the child where it belongs at once, but
//! the C library has no call for it that gives the child a stack of its own.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::RawFd;

/// What the child does; it never returns.
pub(super) type Life = extern "C" fn(*mut c_void) -> c_int;

/// `struct clone_args`.
#[cfg(target_arch = "x86_64")]
#[repr(C)]
#[derive(Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `CLONE_INTO_CGROUP`.
#[cfg(target_arch = "x86_64")]
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// As `libc::clone` with `CLONE_VM | CLONE_VFORK`, for a child in the cgroup whose folder is open
/// as `cgroup`.
///
/// # Safety
/// As with `libc::clone`: the child shares this process's memory, uses `stack` and `order` while
/// this call waits for it, and `life` must not return.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
pub(super) unsafe fn clone<T>(
    life: Life,
    stack: &mut [u128],
    order: &mut T,
    cgroup: RawFd,
) -> io::Result<c_int> {
    let shared = libc::CLONE_VM | libc::CLONE_VFORK;
    let arguments = Arguments {
        flags: u64::from(shared.cast_unsigned()) | INTO_CGROUP,
        exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
        stack: stack.as_mut_ptr() as u64,
        stack_size: size_of_val(stack) as u64,
        cgroup: u64::from(cgroup.cast_unsigned()),
        ..Arguments::default()
    };
    let mut result: i64 = libc::SYS_clone3;
    // SAFETY: the kernel reads `arguments` only. The parent comes back with all registers but
    // rax, rcx and r11 as they were. The child goes on here too, at the top of its own stack,
    // which is aligned as a call wants it, and leaves this code at once, for good.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") result,
            in("rdi") &raw const arguments,
            in("rsi") size_of::<Arguments>(),
            in("r12") std::ptr::from_mut(order),
            in("r13") life,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    let refused = || io::Error::from_raw_os_error(i32::try_from(-result).unwrap_or(libc::EINVAL));
    if result < 0 { Err(refused()) } else { c_int::try_from(result).map_err(|_| refused()) }
}

/// Not on this processor: no cgroups are used here.
///
/// # Safety
/// Does nothing.
#[cfg(not(target_arch = "x86_64"))]
#[allow(unsafe_code)]
pub(super) unsafe fn clone<T>(_: Life, _: &mut [u128], _: &mut T, _: RawFd) -> io::Result<c_int> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}
