//! What the service manager hears: ready, alive, stopping.

use std::os::unix::net::UnixDatagram;
use std::time::Instant;

use rustix::process::Signal;

use super::process::{Node, PATIENCE};

/// The messages that come, until one has `wanted` in it.
fn until(socket: &UnixDatagram, wanted: &str) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    let mut all = Vec::new();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no {wanted:?} in {all:?}");
        socket.set_read_timeout(Some(left)).unwrap();
        let mut message = [0; 4096];
        let Ok(length) = socket.recv(&mut message) else { continue };
        all.push(String::from_utf8_lossy(&message[..length]).into_owned());
        if all.last().unwrap().contains(wanted) {
            return all;
        }
    }
}

#[test]
fn systemd_hears_that_the_node_is_ready_alive_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let node = Node::start(&folder.path().join("data"), "info", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    });
    let ready = until(&socket, "READY=1").pop().unwrap();
    // Ready means ready.
    let answer = node.ask("GET /readyz HTTP/1.1", "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(ready.contains("STATUS=node ") && ready.contains(" leads in term "), "{ready}");
    for _ in 0..3 {
        until(&socket, "WATCHDOG=1");
    }
    node.signal(Signal::TERM);
    until(&socket, "STOPPING=1");
    let log = node.rest();
    assert!(log.contains("\"stopped\""), "{log}");
}

#[test]
fn a_node_that_hangs_is_not_alive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let node = Node::start(&folder.path().join("data"), "info", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    });
    until(&socket, "WATCHDOG=1");
    node.signal(Signal::STOP);
    socket.set_nonblocking(true).unwrap();
    // What was under way; then nothing, for as long as systemd would wait.
    while socket.recv(&mut [0; 4096]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_millis(400))).unwrap();
    let _ = socket.recv(&mut [0; 4096]);
    assert!(socket.recv(&mut [0; 4096]).is_err(), "a stopped process said that it lives");
    node.signal(Signal::CONT);
    until(&socket, "WATCHDOG=1");
}
