//! Connections: slow ones are closed, and a stop ends all of them in time.

use std::net::SocketAddr;
use std::time::Duration;

use cronapi::api::{ServerOptions, serve_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::fixture::Node;

const PATIENCE: Duration = Duration::from_secs(10);

async fn served(options: ServerOptions) -> (Node, SocketAddr, JoinHandle<()>) {
    let node = Node::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (router, stop) = (node.router.clone(), node.stop.subscribe());
    let task = tokio::spawn(serve_with(listener, router, stop, options));
    (node, address, task)
}

async fn ask(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// What comes until the other end closes, or the text is there.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut piece = [0; 4096];
    while wanted.is_empty() || !text.contains(wanted) {
        let read = timeout(PATIENCE, stream.read(&mut piece)).await.expect("nothing came");
        match read {
            Ok(0) | Err(_) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&piece[..count])),
        }
    }
    text
}

#[tokio::test]
async fn a_stop_ends_streams_and_idle_connections_and_lets_the_server_return() {
    let (node, address, task) = served(ServerOptions::default()).await;
    let head = format!("Host: x\r\nAuthorization: Bearer {}\r\n\r\n", node.admin);
    let mut stream = ask(address, &format!("GET /events HTTP/1.1\r\n{head}")).await;
    let started = read_until(&mut stream, "\r\n\r\n").await;
    assert!(started.starts_with("HTTP/1.1 200"), "{started}");
    let mut idle = ask(address, &format!("GET /jobs HTTP/1.1\r\n{head}")).await;
    read_until(&mut idle, "next_cursor").await;

    node.stop.send_replace(true);
    assert!(read_until(&mut stream, "").await.contains("event: end"));
    assert_eq!(read_until(&mut idle, "").await, "");
    timeout(PATIENCE, task).await.expect("the server does not return").unwrap();
}

#[tokio::test]
async fn a_head_that_does_not_come_is_given_up() {
    let options = ServerOptions { head_timeout: Duration::from_millis(100), ..Default::default() };
    let (_node, address, _task) = served(options).await;
    let mut slow = ask(address, "GET /livez HTTP/1.1\r\nHost: x\r\n").await;
    assert!(!read_until(&mut slow, "").await.contains("200 OK"));
    let mut good = ask(address, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(read_until(&mut good, "ok").await.starts_with("HTTP/1.1 200"));
}

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn past_the_bound_an_idle_connection_makes_room() {
    let options = ServerOptions { connections_max: 1, ..Default::default() };
    let (_node, address, _task) = served(options).await;
    let mut first = ask(address, LIVEZ).await;
    read_until(&mut first, "ok").await;
    let mut second = ask(address, LIVEZ).await;
    assert!(read_until(&mut second, "ok").await.starts_with("HTTP/1.1 200"));
    assert_eq!(read_until(&mut first, "").await, "", "it is closed");
}

#[tokio::test]
async fn past_the_bound_of_connections_at_work_health_is_told_and_nothing_else() {
    let options = ServerOptions { connections_max: 4, ..Default::default() };
    let (node, address, _task) = served(options).await;
    let events =
        format!("GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", node.admin);
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = ask(address, &events).await;
        assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
        held.push(stream);
    }
    // Half-sent heads beside them leave at once.
    for _ in 0..50 {
        held.push(ask(address, "GET /jobs HTTP/1.1\r\nHo").await);
    }
    for path in ["/livez", "/readyz", "/healthz", "/health", "/v1/livez"] {
        let mut probe = ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let told = read_until(&mut probe, "").await;
        assert!(told.starts_with("HTTP/1.1 200") && told.contains("connection: close"), "{told}");
    }
    let mut other = ask(address, "GET /jobs HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let told = read_until(&mut other, "").await;
    assert!(told.starts_with("HTTP/1.1 429") && told.contains("application/problem"), "{told}");
    held.clear();
    let mut later = ask(address, LIVEZ).await;
    assert!(read_until(&mut later, "ok").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn heads_that_could_be_read_in_two_ways_are_refused_and_end_the_connection() {
    let (_node, address, _task) = served(ServerOptions::default()).await;
    let long = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(100_000));
    let chunked = "Content-Type: application/json\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let sent = |more: &str| format!("POST /auth/login HTTP/1.1\r\nHost: x\r\n{more}\r\n{chunked}");
    for (head, status) in [
        ("GET /livez HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_owned(), 400),
        (sent("Transfer-Encoding: gzip, chunked"), 400),
        (sent("Content-Length: 2\r\nTransfer-Encoding: chunked"), 400),
        (long, 431),
    ] {
        let mut stream = ask(address, &format!("{head}{LIVEZ}")).await;
        let told = read_until(&mut stream, "").await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{head:.100}: {told}");
        assert_eq!(told.matches("HTTP/1.1").count(), 1, "nothing follows: {told}");
    }
    // The length is dropped unseen when it comes second: then nothing that follows is read.
    for framing in ["Transfer-Encoding: chunked\r\nContent-Length: 2", "Transfer-Encoding: chunked"]
    {
        let mut stream = ask(address, &format!("{}{LIVEZ}", sent(framing))).await;
        let told = read_until(&mut stream, "").await;
        assert_eq!(told.matches("HTTP/1.1").count(), 1, "{framing}: {told}");
    }
    let mut old = ask(address, "GET /livez HTTP/1.0\r\n\r\n").await;
    assert!(read_until(&mut old, "").await.contains("200 OK"));
}

#[tokio::test]
async fn a_trusted_proxy_says_who_asks_and_nobody_else_does() {
    use cronapi::api::Proxies;
    let trusting = Proxies::parse("127.0.0.0/8").unwrap();
    for (proxies, locked_out) in [(Proxies::default(), true), (trusting, false)] {
        let node = Node::start_with(|options| options.proxies = proxies.clone()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = ServerOptions { proxies, ..Default::default() };
        let (router, stop) = (node.router.clone(), node.stop.subscribe());
        tokio::spawn(serve_with(listener, router, stop, options));
        let login = |from: &str, user: &str, password: &str| {
            let body = format!("username={user}&password={password}");
            format!(
                "POST /auth/token HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {from}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        for n in 0..31 {
            let wrong = login("198.51.100.66", &format!("nobody-{n}"), "x");
            read_until(&mut ask(address, &wrong).await, "").await;
        }
        let mut good = ask(address, &login("192.0.2.1", "admin", "correct+horse")).await;
        let told = read_until(&mut good, "").await;
        assert_eq!(told.starts_with("HTTP/1.1 429"), locked_out, "{told}");
        // The address stands before the bytes, too.
        let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x02\x0a\0\0\x01\x12\x67\0\x50";
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(v2).await.unwrap();
        stream.write_all(LIVEZ.as_bytes()).await.unwrap();
        let told = read_until(&mut stream, "\r\n\r\n").await;
        assert_eq!(told.starts_with("HTTP/1.1 200"), !locked_out, "{told}");
    }
}

#[tokio::test]
async fn line_breaks_in_a_head_split_nothing() {
    let (_node, address, _task) = served(ServerOptions::default()).await;
    for head in [
        "GET /jobs HTTP/1.1\r\nHost: x\r\nIf-Match: a\rb\r\n\r\n",
        "GET /jobs HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        "GET /jobs HTTP/1.1\r\nHost: x\r\nBad Name: 1\r\n\r\n",
    ] {
        let mut stream = ask(address, head).await;
        let text = read_until(&mut stream, "").await;
        assert!(text.starts_with("HTTP/1.1 400"), "{head:?}: {text}");
    }
}
