//! A job that takes all it can get, on a real node: in a part of the tree of cgroups that was
//! handed to it, and without one.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{XattrFlags, setxattr};
use serde_json::{Value, json};

use crate::process::Node;
use crate::skip::skipped;

const LIMIT: u64 = 64 << 20;

/// A part of the tree of cgroups, handed over as systemd does it. It goes with its value.
struct Handed(PathBuf);

impl Handed {
    /// # Errors
    /// A sentence: why this machine has none to hand over.
    fn over() -> Result<Handed, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|e| e.to_string())?;
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 "));
        let tree = line.and_then(|line| line.split(' ').nth(4)).ok_or("no cgroup v2 is mounted")?;
        let tree = Path::new(tree);
        let has = fs::read_to_string(tree.join("cgroup.controllers")).map_err(|e| e.to_string())?;
        for name in ["memory", "pids"] {
            if !has.split_ascii_whitespace().any(|found| found == name) {
                let shown = tree.display();
                return Err(format!("{shown} has no controller {name:?} (version 1 may have it)"));
            }
            let asked = fs::write(tree.join("cgroup.subtree_control"), format!("+{name}"));
            asked.map_err(|e| format!("{} can't be divided: {e}", tree.display()))?;
        }
        let dir = tree.join(format!("cronapi-test-{}", std::process::id()));
        fs::create_dir(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let handed = Handed(dir);
        setxattr(&handed.0, "trusted.delegate", b"1", XattrFlags::empty())
            .map_err(|e| format!("a cgroup can't be handed over: {e}"))?;
        Ok(handed)
    }

    fn start(&self, data: &Path) -> Node {
        let own = self.0.join("cgroup.procs");
        Node::launch(within(&own), data, "info", |_| {})
    }
}

/// The program, started in a cgroup.
fn within(own: &Path) -> std::process::Command {
    let plain = crate::process::program();
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(own).arg(plain.get_program());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.process_group(0);
    command
}

impl Drop for Handed {
    fn drop(&mut self) {
        // What is left in it is ended, and then its folders go, the innermost first.
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let end = Instant::now() + Duration::from_secs(10);
        while self.0.exists() && Instant::now() < end {
            for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
                let _ = fs::remove_dir(entry.path());
            }
            let _ = fs::remove_dir(&self.0);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn call(node: &Node, token: &str, call: &str, body: &Value) -> Value {
    let head = format!(
        "{call} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json"
    );
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = node.ask(&head, &body);
    let text = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{call}: {answer}"))
}

/// Runs a line with bounds; the run when it has ended.
fn ran(node: &Node, token: &str, name: &str, line: &str, limits: &Value) -> Value {
    let runner = json!({"type": "shell", "command": line});
    let job = json!({"name": name, "runner": runner, "limits": limits, "timeout": "40s"});
    assert_eq!(call(node, token, "POST /jobs", &job)["name"], name);
    call(node, token, &format!("POST /jobs/{name}/run?wait=50s"), &json!({}))
}

/// Four processes that left the attempt's session, and are too large together only.
const HUNGRY: &str = "eat() { setsid sh -c 'head -c 30000000 /dev/zero | tail -c 30000000 | \
                      { sleep 20; cat >/dev/null; }'; }; eat & eat & eat & eat & wait";

/// A job that needs too much memory fails with a text that says so; the node lives on.
fn hungry(node: &Node, token: &str) -> String {
    let run = ran(node, token, "hungry", HUNGRY, &json!({"memory": LIMIT}));
    assert_eq!(run["status"], "failed", "{run}");
    let error = run["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.starts_with("killed: ") && error.contains("limits.memory"), "{run}");
    let after = ran(node, token, "modest", "echo there", &json!({"memory": LIMIT}));
    assert_eq!(after["status"], "succeeded", "{after}");
    error
}

#[test]
fn a_job_over_its_memory_limit_fails_by_its_cgroup_and_the_node_lives() {
    let name = "a_job_over_its_memory_limit_fails_by_its_cgroup_and_the_node_lives";
    let handed = match Handed::over() {
        Ok(handed) => handed,
        Err(why) => return skipped(name, &why),
    };
    let folder = tempfile::tempdir().unwrap();
    let mut node = handed.start(&folder.path().join("data"));
    let pid = node.child.id();
    node.line("ready");
    let token = node.login();
    let status = call(&node, &token, "GET /system/status", &Value::Null);
    assert_eq!(status["bounds"]["by"], "cgroups", "{status}");
    let error = hungry(&node, &token);
    assert_eq!(error, "killed: over its memory limit of 64 MiB (limits.memory)");
    // Processes are counted as a whole too, what left its session with them, and all of them end.
    let swarm = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); setsid sleep 600 & done; exit 1";
    let run = ran(&node, &token, "swarm", swarm, &json!({"processes": 20}));
    assert_eq!(run["status"], "failed", "{run}");
    assert!(run["error"].as_str().unwrap().contains("limits.processes allows 20"), "{run}");
    let end = Instant::now() + Duration::from_secs(10);
    let left = || {
        let entries = fs::read_dir(&handed.0).unwrap().flatten();
        let attempts = entries.filter(|entry| {
            let name = entry.file_name().into_string().unwrap_or_default();
            name.starts_with("cronapi-") && name != "cronapi-node"
        });
        let procs = attempts.map(|it| fs::read_to_string(it.path().join("cgroup.procs")));
        procs.flatten().filter(|procs| !procs.is_empty()).count()
    };
    while left() > 0 {
        assert!(Instant::now() < end, "{} cgroups still have processes", left());
        std::thread::sleep(Duration::from_millis(20));
    }
    let own = fs::read_to_string(handed.0.join("cronapi-node/cgroup.procs")).unwrap();
    assert_eq!(own.trim(), pid.to_string(), "the node is in a cgroup of its own, alone");
    drop(node);
}

#[test]
fn a_job_over_its_memory_limit_fails_without_a_cgroup_and_the_node_lives() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(&folder.path().join("data"), "info", |_| {});
    node.line("ready");
    let token = node.login();
    let status = call(&node, &token, "GET /system/status", &Value::Null);
    if status["bounds"]["by"] == "cgroups" {
        let why = "attempts have cgroups here, which the other test tries";
        return skipped("without a cgroup", why);
    }
    assert!(status["bounds"]["missing"].is_string(), "it says why: {status}");
    hungry(&node, &token);
}
