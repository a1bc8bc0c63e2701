//! An operator whose jobs attack the node that runs them: a real one, with real files.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::Node;
use crate::skip::skipped;

/// Whom the daemon of a test runs as when it is not root.
const SOMEBODY: u32 = 12_345;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        set(place.folder.path(), 0o755);
        for name in ["open", "keys", "etc"] {
            std::fs::create_dir(place.at(name)).unwrap();
            set(&place.at(name), 0o755);
        }
        set(&place.at("open"), 0o777);
        // As careless as it gets: everybody may read them.
        std::fs::write(place.at("keys/cluster"), "0123456789abcdef-s3cr3t-cluster").unwrap();
        std::fs::write(place.at("etc/cronapi.toml"), "# s3cr3t\nslots = 8\n").unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the node; `user` is whom it runs as.
    fn start(&self, user: Option<u32>) -> Node {
        let data = self.at("home/data");
        std::fs::create_dir_all(&data).unwrap();
        set(&self.at("home"), 0o755);
        if let Some(uid) = user {
            for path in [self.at("home"), data.clone()] {
                std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
            }
        }
        Node::start(&data, "info", |command: &mut Command| {
            command.env("CRONAPI_CLUSTER_KEY_FILE", self.at("keys/cluster"));
            command.env("CRONAPI_CONFIG", self.at("etc/cronapi.toml"));
            command.env("AWS_SECRET_ACCESS_KEY", "s3cr3t").current_dir("/");
            if let Some(uid) = user {
                command.uid(uid).gid(uid);
            }
        })
    }
}

fn set(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn post(node: &Node, token: &str, path: &str, body: &Value) -> Value {
    let head = format!(
        "POST {path} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json"
    );
    let answer = node.ask(&head, &body.to_string());
    let text = answer.split("\r\n\r\n").nth(1).unwrap();
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{path}: {answer}"))
}

fn get(node: &Node, token: &str, path: &str) -> Value {
    let head = format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {token}");
    let answer = node.ask(&head, "");
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).expect(&answer)
}

/// The token of an operator for jobs named `team-a-*`.
fn operator(node: &Node, admin: &str) -> String {
    let user = json!({"name": "eve", "password": "correct horse", "role": "operator",
                      "scope": {"jobs": ["team-a-*"]}});
    assert_eq!(post(node, admin, "/users", &user)["name"], "eve");
    let head = "POST /auth/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let answer = node.ask(head, "grant_type=password&username=eve&password=correct+horse");
    let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    body["access_token"].as_str().unwrap().to_owned()
}

fn job(node: &Node, token: &str, name: &str, line: &str) {
    let runner = json!({"type": "shell", "command": line, "env": {"TOKEN": "s3cr3t-of-team-b"}});
    let made = post(node, token, "/jobs", &json!({"name": name, "runner": runner}));
    assert_eq!(made["name"], *name, "{made}");
}

/// Waits for a file that a job writes, and reads it.
fn written(path: &Path) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    panic!("nothing in {}", path.display())
}

/// What the attack could do, a word each.
fn attack(place: &Place, node: &Node) -> Vec<String> {
    let admin = node.login();
    let eve = operator(node, &admin);
    let pid = place.at("open/victim");
    let line = format!("echo $$ > {}; exec sleep 100", pid.display());
    job(node, &admin, "team-b-load", &line);
    post(node, &admin, "/jobs/team-b-load/run", &json!({}));
    let (victim, daemon) = (written(&pid), node.child.id());
    let (victim, data) = (victim.trim(), place.at("home/data"));
    let (data, open) = (data.display(), place.at("open"));
    let (keys, etc) = (place.at("keys/cluster"), place.at("etc/cronapi.toml"));
    let (keys, etc) = (keys.display(), etc.display());
    let mut script =
        String::from("t() { n=$1; shift; if \"$@\" >/dev/null 2>&1; then echo $n; fi; };");
    for attack in [
        format!("t data-content grep -r . {data}"),
        format!("t data-format cat {data}/FORMAT"),
        format!("t data-write sh -c 'echo x > {data}/x'"),
        format!("t data-replace sh -c 'echo x > {data}/FORMAT'"),
        format!("t data-remove rm -r {data}/log"),
        format!("t data-move mv {data} {data}.gone"),
        format!("t key grep s3cr3t {keys}"),
        format!("t config grep s3cr3t {etc}"),
        format!("t daemon-environ cat /proc/{daemon}/environ"),
        format!("t daemon-memory sh -c 'exec 3</proc/{daemon}/mem'"),
        format!("t daemon-files ls /proc/{daemon}/fd/"),
        format!("t daemon-root cat /proc/{daemon}/root{data}/FORMAT"),
        format!("t other-environ cat /proc/{victim}/environ"),
        format!("t other-kill kill -9 {victim}"),
        format!("t daemon-kill kill -9 {daemon}"),
        format!("t daemon-stop kill -STOP {daemon}"),
        "t everything sh -c 'grep -l s3cr3t-of-team-b /proc/[0-9]*/environ | grep -v self | \
         grep -v /$$/'"
            .to_owned(),
        format!("t works sh -c 'date > {}'", open.join("works").display()),
    ] {
        script.push_str(&attack);
        script.push('\n');
    }
    // Its own environment holds no such thing.
    let done = open.join("done");
    let line = format!(
        "unset TOKEN; ({script}) > {0}.part; echo end >> {0}.part; mv {0}.part {0}",
        done.display()
    );
    let runner = json!({"type": "shell", "command": line});
    let made = post(node, &eve, "/jobs", &json!({"name": "team-a-evil", "runner": runner}));
    assert_eq!(made["name"], "team-a-evil", "{made}");
    let ran = post(node, &eve, "/jobs/team-a-evil/run?wait=50s", &json!({}));
    assert_eq!(ran["status"], "succeeded", "{ran}");
    let could = written(&done).lines().map(str::to_owned).collect();
    // Both are alive and well.
    assert!(Path::new(&format!("/proc/{victim}")).exists(), "the other run was ended");
    assert_eq!(get(node, &admin, "/jobs/team-b-load")["name"], "team-b-load");
    could
}

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped("attacks of jobs", "nodes of other accounts need root");
    }
    root
}

/// Whether everything is in force; what is not is told.
fn whole(node: &Node) -> bool {
    let status = get(node, &node.login(), "/system/status");
    let missing = status["isolation"]["missing"].as_array().unwrap().clone();
    if !missing.is_empty() {
        skipped("attacks of jobs", &format!("this machine can't isolate jobs: {missing:?}"));
    }
    missing.is_empty()
}

#[test]
fn jobs_of_a_node_that_is_root_reach_nothing_of_it() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut node = place.start(None);
    let told = node.line("isolation of jobs");
    node.line("ready");
    let status = get(&node, &node.login(), "/system/status");
    assert_eq!(status["isolation"]["files"], told["files"], "{told}");
    assert_eq!(status["isolation"]["own_account"], true, "{status}");
    if whole(&node) {
        assert_eq!(attack(&place, &node), ["works", "end"]);
    }
}

#[test]
fn jobs_of_a_node_with_no_rights_reach_nothing_of_it() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut node = place.start(Some(SOMEBODY));
    node.line("ready");
    if whole(&node) {
        let status = get(&node, &node.login(), "/system/status");
        assert_eq!(status["isolation"]["files"], "landlock", "{status}");
        assert_eq!(attack(&place, &node), ["works", "end"]);
    }
}

#[test]
fn a_node_that_must_isolate_and_cannot_does_not_start() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let node = Node::start(&place.at("data"), "info", |command| {
        command.env("CRONAPI_ISOLATION", "require").env("CRONAPI_JOB_USER", "root");
    });
    let said = node.rest();
    assert!(said.contains("isolation is required") && said.contains("root"), "{said}");
}
