//! `cronapi demo`, as a person has it: one command, the page, and nothing left.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use super::process::{PATIENCE, ask, program};

struct Demo {
    child: Child,
    /// What it told, up to the last line.
    told: String,
    _temporary: tempfile::TempDir,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn demo(arguments: &[&str]) -> (Command, tempfile::TempDir) {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["demo", "--no-open"]).args(arguments).env("TMPDIR", temporary.path());
    // It must not get to its nodes.
    command.env("CRONAPI_LISTEN", "127.0.0.1:1");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    (command, temporary)
}

impl Demo {
    fn start(arguments: &[&str]) -> Demo {
        let (mut command, temporary) = demo(arguments);
        let mut child = command.spawn().unwrap();
        let mut told = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !told.contains("Ctrl-C ends") {
            if lines.read_line(&mut told).unwrap() == 0 {
                let mut why = String::new();
                child.stderr.take().unwrap().read_to_string(&mut why).unwrap();
                panic!("{told}\n{why}");
            }
        }
        Demo { child, told, _temporary: temporary }
    }

    /// The words of the line that begins so.
    fn words(&self, begin: &str) -> Vec<String> {
        let line = self.told.lines().find(|line| line.trim_start().starts_with(begin));
        line.unwrap_or_else(|| panic!("no {begin} in {}", self.told))
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(&self.words("Folder")[1])
    }

    fn nodes(&self) -> Vec<(SocketAddr, Pid)> {
        let lines = self.told.lines().filter(|line| line.contains("   process "));
        let node = |line: &str| {
            let (_, rest) = line.split_once("http://").unwrap();
            let (address, pid) = rest.split_once("   process ").unwrap();
            (address.parse().unwrap(), Pid::from_raw(pid.trim().parse().unwrap()).unwrap())
        };
        lines.map(node).collect()
    }

    /// The access token that a browser gets which comes through the door.
    fn enter(&self) -> String {
        let url = self.words("Open")[1].clone();
        let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let (address, host): (SocketAddr, &str) = (address.parse().unwrap(), address);
        let wrong = ask_as(address, "GET /guessed HTTP/1.1", host);
        assert!(wrong.starts_with("HTTP/1.1 404 "), "{wrong}");
        let rebound = ask_as(address, &format!("GET /{path} HTTP/1.1"), "evil.example");
        assert!(rebound.starts_with("HTTP/1.1 404 "), "{rebound}");
        let sent = ask_as(address, &format!("GET /{path} HTTP/1.1"), host);
        assert!(sent.starts_with("HTTP/1.1 303 "), "{sent}");
        let header = |name: &str| {
            let found = sent.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("no {name} in {sent}")).to_owned()
        };
        let cookie = header("set-cookie: ");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        assert_eq!(header("location: "), self.words("Page")[1]);
        let cookie = cookie.split(';').next().unwrap();
        let head = format!("PUT /auth/session HTTP/1.1\r\nX-CronAPI-Page: 1\r\nCookie: {cookie}");
        let answer = ask(self.nodes()[0].0, &head, "");
        let body: Value =
            serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).expect(&answer);
        body["access_token"].as_str().expect(&answer).to_owned()
    }

    fn end(mut self, signal: Signal) -> (std::process::ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }
}

fn ask_as(address: SocketAddr, head: &str, host: &str) -> String {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{head}\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str, token: &str) -> Value {
    let head = format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {token}");
    let answer = ask(address, &head, "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{path}: {answer}"))
}

fn until(what: &str, mut come: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !come() {
        assert!(Instant::now() < end, "did not come: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_gone(pid: Pid) -> bool {
    test_kill_process(pid).is_err()
}

#[test]
fn the_demo_shows_a_cluster_with_a_past_and_leaves_nothing() {
    let demo = Demo::start(&["--port", "0"]);
    let (nodes, folder) = (demo.nodes(), demo.folder());
    assert_eq!(nodes.len(), 3, "{}", demo.told);
    assert!(nodes.iter().all(|(address, _)| address.ip().is_loopback()));
    let token = demo.enter();
    let at = nodes[0].0;

    let jobs = get(at, "/jobs?limit=100", &token);
    let names: Vec<&str> =
        jobs["items"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap()).collect();
    assert!(names.len() > 12, "{names:?}");
    // The past: every kind of outcome stands in the strips.
    let strips = get(at, &format!("/strips?jobs={}", names.join(",")), &token);
    let cells = strips["items"].as_array().unwrap().iter();
    let cells = cells.flat_map(|strip| strip["cells"].as_array().unwrap());
    let mut seen = BTreeSet::new();
    for cell in cells {
        let text = |key: &str| cell[key].as_str().unwrap_or_default();
        seen.insert(text("outcome").to_owned());
        seen.insert(text("status").to_owned());
        seen.insert(text("reason").to_owned());
    }
    for kind in ["fired", "skipped", "succeeded", "failed", "overlap", "paused", "misfire"] {
        assert!(seen.contains(kind), "no {kind} among {seen:?}");
    }
    // Now: something runs and writes; digests fail.
    let runs = get(at, "/runs?job=train-recommender&limit=1", &token);
    let run = runs["items"][0]["id"].as_str().unwrap().to_owned();
    until("output of a run", || {
        let head = format!("GET /runs/{run}/logs HTTP/1.1\r\nAuthorization: Bearer {token}");
        ask(at, &head, "").contains("epoch 2 of 240")
    });
    let overview = get(at, "/overview", &token);
    let failing = overview["failing_jobs"].to_string();
    assert!(failing.contains("send-digests"), "{failing}");
    // The page itself knows nothing of a demo.
    assert!(ask(at, "GET /ui/ HTTP/1.1", "").starts_with("HTTP/1.1 200 "));

    let (status, said) = demo.end(Signal::INT);
    assert!(status.success(), "{status}: {said}");
    assert!(!folder.exists(), "{} is left", folder.display());
    until("its nodes end", || nodes.iter().all(|(_, pid)| is_gone(*pid)));
}

#[test]
fn a_demo_that_is_killed_takes_its_nodes_with_it_and_the_next_one_its_folder() {
    let demo = Demo::start(&["--port", "0"]);
    let (nodes, folder) = (demo.nodes(), demo.folder());
    kill_process(Pid::from_child(&demo.child), Signal::KILL).unwrap();
    until("its nodes end", || nodes.iter().all(|(_, pid)| is_gone(*pid)));
    assert!(folder.exists());
    // One that is refused sweeps as well.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (mut command, _temporary) = demo_in(&demo, &["--port", &port]);
    let refused = command.output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains(&format!("port {port}")) && said.contains("--port"), "{said}");
    assert_eq!(std::fs::read_dir(folder.parent().unwrap()).unwrap().count(), 0);
}

/// In the folder for temporary files of that one.
fn demo_in(other: &Demo, arguments: &[&str]) -> (Command, tempfile::TempDir) {
    let (mut command, temporary) = demo(arguments);
    command.env("TMPDIR", other._temporary.path());
    (command, temporary)
}

#[test]
fn many_jobs_may_be_asked_for() {
    let demo = Demo::start(&["--port", "0", "--jobs", "300", "--runs", "1500"]);
    let told = demo.words("CronAPI");
    assert!(told.contains(&"300".to_owned()), "{told:?}");
    let token = demo.enter();
    let found = get(demo.nodes()[1].0, "/jobs?tag=crowd&limit=1000", &token);
    assert!(found["items"].as_array().unwrap().len() > 250);
    let (status, said) = demo.end(Signal::TERM);
    assert!(status.success(), "{status}: {said}");
}
