//! Looking into `/proc` for the members of a process group.

use std::fs;

/// Whether a process of the group is running; ended ones that wait to be reaped don't count.
pub(in super::super) fn alive(group: u32) -> bool {
    pids().any(|pid| {
        stat(pid).is_some_and(|stat| stat.group == group && !matches!(stat.state, 'Z' | 'X'))
    })
}

/// The fields of `/proc/<pid>/stat` (see `proc(5)`) that matter here.
pub(in super::super) struct Stat {
    pub(in super::super) state: char,
    pub(in super::super) parent: u32,
    pub(in super::super) group: u32,
}

/// `None` when there is no such process.
pub(in super::super) fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The second field is the program's name in brackets, and may hold anything.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some(Stat {
        state: fields.next()?.chars().next()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}

/// Every process of this machine (or container) at about this moment.
pub(in super::super) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
