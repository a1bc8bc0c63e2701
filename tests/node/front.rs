//! The front that compose puts before nodes: what it tells a node of who asks.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{Node, PATIENCE};
use crate::skip::skipped;

/// The front's own code, and a client of it whose address is not the front's.
const ASKED: &str = r#"
import asyncio, importlib.util, itertools, sys

spec = importlib.util.spec_from_file_location("front", sys.argv[1])
front = importlib.util.module_from_spec(spec)
spec.loader.exec_module(front)

async def main(port, body="username=nobody-at-all&password=x"):
    turn = itertools.count()
    serve = lambda reader, writer: front.serve(reader, writer, port, ["127.0.0.1"], turn)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(
        *server.sockets[0].getsockname(), local_addr=("127.0.0.9", 0)
    )
    head = (
        "POST /auth/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write((head + body).encode())
    print((await reader.readline()).decode())

asyncio.run(asyncio.wait_for(main(int(sys.argv[2])), 30))
"#;

#[test]
fn a_node_knows_who_asks_through_the_front_if_it_trusts_it() {
    let front = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/front.py");
    // The front needs what Python has since 3.11.
    let new = Command::new("python3").args(["-c", "import asyncio; asyncio.timeout"]).status();
    if !new.is_ok_and(|status| status.success()) {
        let name = "a_node_knows_who_asks_through_the_front_if_it_trusts_it";
        return skipped(name, "there is no python3 of 3.11 or newer");
    }
    let folder = tempfile::tempdir().unwrap();
    for (trusted, taken) in [("127.0.0.1", true), ("192.0.2.1", false)] {
        let mut node = Node::start(&folder.path().join(trusted), "info", |command| {
            command.env("CRONAPI_TRUSTED_PROXIES", trusted);
        });
        node.line("ready");
        let port = node.address.port().to_string();
        let asked = Command::new("python3").args(["-c", ASKED, front, &port]).output().unwrap();
        let told = String::from_utf8_lossy(&asked.stdout).into_owned();
        assert_eq!(told.starts_with("HTTP/1.1 401"), taken, "{trusted}: {told} {asked:?}");
        let head = format!("GET /audit HTTP/1.1\r\nAuthorization: Bearer {}", node.login());
        let end = Instant::now() + PATIENCE;
        // Wrong logins are written down a moment later.
        while taken && !node.ask(&head, "").contains("127.0.0.9") {
            assert!(Instant::now() < end, "{}", node.ask(&head, ""));
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(node.ask(&head, "").contains("127.0.0.9"), taken);
    }
}
