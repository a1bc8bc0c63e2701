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

#[tokio::test]
async fn connections_past_the_bound_wait_for_their_turn() {
    let options = ServerOptions { connections_max: 1, ..Default::default() };
    let (_node, address, _task) = served(options).await;
    let mut first = ask(address, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_until(&mut first, "ok").await;
    let mut second = ask(address, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let mut piece = [0; 16];
    let early = timeout(Duration::from_millis(200), second.read(&mut piece)).await;
    assert!(early.is_err(), "it was answered beside the first");
    drop(first);
    assert!(read_until(&mut second, "ok").await.starts_with("HTTP/1.1 200"));
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
