//! More clients than a process has files, clients that send half a request, and clients that do
//! not read: a node goes on, says that it is well, and stops in time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use rustix::process::Signal;

use super::process::{Node, ask, login, program};

/// The program, allowed no more than so many open files.
fn with_files(most: u32) -> Command {
    let program = program();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]);
    shell.arg(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

fn job(node: &Node, token: &str, name: &str) -> String {
    let head = format!(
        "POST /jobs HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}"
    );
    node.ask(&head, &format!(r#"{{"name":"{name}"}}"#))
}

#[test]
fn more_connections_than_files_end_nothing_and_probes_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::launch(with_files(256), &folder.path().join("data"), "", |_| {});
    node.line("ready");
    let token = node.login();
    let half = |_| {
        let mut stream = TcpStream::connect(node.address).unwrap();
        stream.write_all(b"GET /jobs HTTP/1.1\r\nHost: x\r\nX: ").unwrap();
        stream
    };
    let held: Vec<TcpStream> = (0..600).map(half).collect();
    for path in ["/livez", "/readyz"] {
        let began = Instant::now();
        let answer = ask(node.address, &format!("GET {path} HTTP/1.1"), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(began.elapsed() < Duration::from_secs(2), "{path}: {:?}", began.elapsed());
    }
    // Definitions and their checkpoints need files too.
    for n in 0..20 {
        let answer = job(&node, &token, &format!("while-{n}"));
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
    drop(held);
    assert!(job(&node, &token, "after").starts_with("HTTP/1.1 201"));
    node.signal(Signal::TERM);
    let log = node.rest();
    assert!(!log.contains("storage failed") && log.contains("stopped"), "{log}");
}

#[test]
fn the_limit_of_open_files_is_raised_to_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -Sn 64; exec \"$0\" \"$@\""]).arg(program().get_program());
    command.env("CRONAPI_ADMIN_PASSWORD", "correct horse");
    let mut node = Node::launch(command, &folder.path().join("data"), "", |_| {});
    node.line("ready");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.child.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> =
        files.split_whitespace().filter(|w| w.parse::<u64>().is_ok()).collect();
    assert!(numbers.len() == 2 && numbers[0] == numbers[1], "{files}");
}

/// A connection that takes only a few bytes until they are read.
fn narrow(address: SocketAddr) -> TcpStream {
    // Not for the programs that other tests start meanwhile: they may have few files.
    let flags = SocketFlags::CLOEXEC;
    let file = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&file, 2_048).unwrap();
    connect(&file, &address).unwrap();
    TcpStream::from(file)
}

#[test]
fn streams_that_nobody_reads_do_not_hold_up_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(&folder.path().join("data"), "", |_| {});
    node.line("ready");
    let token = node.login();
    let head = |what: &str| format!("{what} HTTP/1.1\r\nAuthorization: Bearer {token}");
    let json = |what: &str| format!("{}\r\nContent-Type: application/json", head(what));
    let loud = r#"{"name":"loud","runner":{"type":"shell","command":"yes | head -c 900000"}}"#;
    assert!(node.ask(&json("POST /jobs"), loud).starts_with("HTTP/1.1 201"));
    let answer = node.ask(&json("POST /jobs/loud/run?wait=30s"), "{}");
    let run: serde_json::Value =
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).expect(&answer);
    let logs = format!("GET /runs/{}/logs?follow=true", run["id"].as_str().unwrap());
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut stream = narrow(node.address);
        stream.write_all(format!("{}\r\nHost: x\r\n\r\n", head(&logs)).as_bytes()).unwrap();
        held.push(stream);
    }
    for stream in &mut held {
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    let began = Instant::now();
    node.signal(Signal::TERM);
    let log = node.rest();
    let took = began.elapsed();
    assert!(log.contains("stopped"), "{log}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    drop(held);
}

/// Memory of a process, in MiB.
fn resident(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn logins_use_the_same_memory_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(&folder.path().join("data"), "", |_| {});
    node.line("ready");
    let address = node.address;
    let crowd = |each: usize| {
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(move || (0..each).for_each(|_| drop(login(address))));
            }
        });
        resident(&node)
    };
    let before = resident(&node);
    let few = crowd(5);
    let many = crowd(45);
    eprintln!("resident before logins: {before} MiB, after 30: {few} MiB, after 300: {many} MiB");
    // Two hashes of 19 MiB, and some for the rest.
    assert!(many < before + 60, "{before} MiB, then {many} MiB");
    assert!(many < few + 16, "{few} MiB after 30 logins, {many} MiB after 300");
    // When nobody logs in any more, what hashes took goes back.
    let deadline = Instant::now() + Duration::from_secs(20);
    while resident(&node) > before + 24 {
        let now = resident(&node);
        assert!(Instant::now() < deadline, "{before} MiB, and {now} MiB long after the logins");
        std::thread::sleep(Duration::from_millis(50));
    }
}
