//! In a folder that stands for the tree, and in the tree itself where this machine has one.

use std::path::Path;

use super::*;
use skip::skipped;

#[path = "../../../../tests/shared/skip.rs"]
#[allow(clippy::duplicate_mod, reason = "other tests say it by the same words")]
mod skip;

/// A folder with the files of a cgroup.
fn cgroup(controllers: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("made");
    std::fs::write(folder.path().join("cgroup.controllers"), controllers).expect("written");
    folder
}

fn read(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(name)).unwrap_or_default()
}

/// What a real folder does by itself: its files go with it.
fn empty(dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("there").flatten() {
        let _ = std::fs::remove_file(entry.path());
    }
}

fn claimed(dir: &Path) -> Cgroups {
    Cgroups::claim_at(dir, "n1", 42).expect("claimed")
}

#[test]
fn the_node_moves_to_a_cgroup_of_its_own_and_shares_out_the_rest() {
    let folder = cgroup("cpuset cpu io memory pids\n");
    let found = claimed(folder.path());
    assert_eq!(read(&folder.path().join(NODE), "cgroup.procs"), "42");
    // The last one of several that the file was told.
    assert_eq!(read(folder.path(), "cgroup.subtree_control"), "+cpu");
    assert!(found.bounded().cgroups);
    assert_eq!(found.bounded().controllers, ["memory", "pids", "cpu"]);
    // Started anew by itself, it stays where it is.
    let again = Cgroups::claim_at(&folder.path().join(NODE), "n1", 42).expect("claimed");
    assert_eq!(again.base.expect("there").dir, folder.path());
}

#[test]
fn without_what_it_needs_nothing_is_changed() {
    for controllers in ["", "cpu io", "memory cpu"] {
        let folder = cgroup(controllers);
        let why = Cgroups::claim_at(folder.path(), "n1", 42).err().expect("refused");
        assert!(why.contains("Delegate="), "{why}");
        assert!(!folder.path().join(NODE).exists());
    }
    // It may not be divided: as in a folder that is another's.
    let folder = cgroup("memory pids");
    std::fs::create_dir(folder.path().join("cgroup.subtree_control")).expect("made");
    let why = Cgroups::claim_at(folder.path(), "n1", 42).err().expect("refused");
    assert!(why.contains("not this node's to divide"), "{why}");
    assert_eq!(read(folder.path(), "cgroup.procs"), "42", "the node is back where it was");
}

#[test]
fn an_attempt_gets_its_bounds_and_tells_which_one_it_met() {
    let folder = cgroup("cpu memory pids");
    let found = claimed(folder.path());
    let limits = Limits {
        memory: Some(256 << 20),
        processes: Some(9),
        cpus: Some(1_500),
        ..Limits::default()
    };
    let group = found.group(&limits).expect("made").expect("there are cgroups");
    let dir = folder.path().join("cronapi-n1-1");
    let bounds = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"];
    let said = bounds.map(|name| read(&dir, name));
    assert_eq!(said, ["268435456", "0", "1", "9", "150000 100000"]);
    assert_eq!(group.told(), Told::default());
    let events = |text: &str| std::fs::write(dir.join("memory.events"), text).expect("written");
    events("low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n");
    std::fs::write(dir.join("pids.events"), "max 3\n").expect("written");
    assert_eq!(group.told(), Told { memory: true, machine: false, processes: true });
    events("low 0\nhigh 0\nmax 0\noom 0\noom_kill 1\n");
    assert_eq!(group.told(), Told { memory: false, machine: true, processes: true });
    group.kill();
    assert_eq!(read(&dir, "cgroup.kill"), "1");
    empty(&dir);
    drop(group);
    // Here, and here alone, the kill is a file that stands in the way.
    assert!(dir.join("cgroup.kill").exists());
    empty(&dir);
    let other = found.group(&Limits::default()).expect("made").expect("there are cgroups");
    let second = folder.path().join("cronapi-n1-2");
    assert_eq!(read(&second, "memory.max"), "", "no bound was asked for");
    drop(other);
    assert!(!dir.exists(), "what could not go goes with the next one");
}

#[test]
fn what_a_boot_before_left_is_ended() {
    let folder = cgroup("memory pids");
    for name in ["cronapi-n1-7", "cronapi-n2-7", "cronapi-n1-x", "other"] {
        std::fs::create_dir(folder.path().join(name)).expect("made");
    }
    let found = claimed(folder.path());
    assert_eq!(read(&folder.path().join("cronapi-n1-7"), "cgroup.kill"), "1");
    for name in ["cronapi-n2-7", "cronapi-n1-x", "other"] {
        assert_eq!(read(&folder.path().join(name), "cgroup.kill"), "", "{name} is not its own");
    }
    assert_eq!(found.bounded().controllers, ["memory", "pids"], "no cpu, no matter");
}

#[test]
fn the_own_cgroup_is_found_in_what_the_system_says() {
    let v2 = "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let at = |own: &str, mounts: &str| place::locate(own, mounts);
    let unit = at("0::/system.slice/cronapi.service\n", v2).expect("found");
    assert_eq!(unit, ("/sys/fs/cgroup/system.slice/cronapi.service".into(), false));
    assert_eq!(at("0::/\n", v2).expect("found"), ("/sys/fs/cgroup".into(), true));
    // Beside version 1, and with a part of the tree mounted only.
    let hybrid =
        "41 31 0:38 /pod rw /x\n41 31 0:38 /pod /sys/fs/cgroup/unified rw - cgroup2 c rw\n";
    let found = at("9:pids:/\n0::/pod/a\n", hybrid).expect("found");
    assert_eq!(found, ("/sys/fs/cgroup/unified/a".into(), false));
    assert!(at("0::/elsewhere\n", hybrid).is_err());
    assert!(at("9:pids:/\n", v2).expect_err("version 1").contains("no cgroup v2"));
    assert!(at("0::/\n", "").expect_err("none").contains("mounted"));
}

/// The tree of this machine, in which this test makes a cgroup.
fn real(test: &str) -> Option<PathBuf> {
    let tree = place::tree();
    let dir = tree.map(|tree| tree.join(format!("cronapi-test-{}", std::process::id())));
    match dir.map(|dir| std::fs::create_dir(&dir).map(|()| dir)) {
        Some(Ok(dir)) => Some(dir),
        Some(Err(e)) => {
            skipped(test, &format!("no cgroup can be made here: {e}"));
            None
        }
        None => {
            skipped(test, "there is no cgroup v2 here");
            None
        }
    }
}

#[test]
fn a_process_begins_in_its_cgroup_and_ends_with_it() {
    let name = "a_process_begins_in_its_cgroup_and_ends_with_it";
    if !cfg!(target_arch = "x86_64") {
        skipped(name, "not on this processor");
        return;
    }
    let Some(dir) = real(name) else { return };
    let base = Base {
        dir: dir.clone(),
        tag: "t".into(),
        cpu: false,
        next: AtomicU64::new(1),
        left: Mutex::default(),
    };
    let base = Arc::new(base);
    let group = Group::make(&base, &Limits::default()).expect("made");
    super::super::process::try_out(&group).expect("a start in it");
    let inside = dir.join("cronapi-t-1");
    let child = super::super::process::start_in(&group, "setsid sleep 600 & exec sleep 600");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let count = || read(&inside, "cgroup.procs").lines().count();
    while count() < 2 && std::time::Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(count(), 2, "the one that left its group is in it too");
    drop(group);
    super::super::process::wait_for(child);
    while inside.exists() && std::time::Instant::now() < deadline {
        base.remove(inside.clone());
    }
    assert!(!inside.exists(), "it is gone, and all that was in it");
    // It was named more than once above, and went between two of its names.
    base.remove(inside);
    assert!(base.left.lock().expect("held by nobody").is_empty());
    std::fs::remove_dir(&dir).expect("empty");
}
