//! A server that is away, or is none.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::place::{Node, PASSWORD, Place};

/// Where nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn no_server_is_exit_code_6_and_says_what_to_do() {
    let place = Place::bare();
    let url = nowhere();
    for command in [&["get", "jobs"][..], &["run", "a"], &["logs", "a"], &["top"]] {
        let said = place.run(&[command, &["--server", &url]].concat());
        if command == ["top"] {
            assert_ne!(said.code, 0, "{said:?}");
            continue;
        }
        let said = said.bad(6, "cronapi serve");
        assert!(said.err.contains(&url) && said.out.is_empty(), "{said:?}");
    }
    let several = format!("{url},{}", nowhere());
    place.run(&["get", "jobs", "--server", &several]).bad(6, "no server answers");
    place.run(&["get", "jobs", "--server", "localhost"]).bad(2, "http://host:8000");
    place.run(&["get", "jobs", "--ca", "none.pem"]).bad(2, "none.pem");
}

#[test]
fn the_next_server_is_asked() {
    let mut place = Place::bare();
    place.node = Some(Node::start());
    let servers = format!("{},{}", nowhere(), place.url());
    let login =
        ["login", "--context", "c", "--server", &servers, "--user", "admin", "--password-stdin"];
    place.with_input(&login, PASSWORD).good();
    place.with_input(&["apply", "-f", "-"], "name: a\n").good();
    place.run(&["run", "a", "--wait"]).good();
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "a\n");
}

#[test]
fn something_else_than_cronapi_is_told_as_such() {
    let place = Place::bare();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", other.local_addr().unwrap());
    let answers = std::thread::spawn(move || {
        let (mut connection, _) = other.accept().unwrap();
        let _ = connection.read(&mut [0; 4096]).unwrap();
        let body = "<html>hello</html>";
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        connection.write_all(head.as_bytes()).unwrap();
    });
    place.run(&["get", "jobs", "--server", &url]).bad(1, "is it a CronAPI node?");
    answers.join().unwrap();
}
