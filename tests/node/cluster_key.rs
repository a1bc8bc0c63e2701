//! The key of a cluster: made at the first start, shown to whoever may read it, and asked of
//! everybody who comes to the port for other nodes, on a loopback address too.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::process::{Node, free, program};

fn cronapi(arguments: &[&str]) -> (bool, String, String) {
    let output = program().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_key_is_made_at_the_first_start_and_a_stranger_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut node = Node::start(&data, "", |_| {});
    node.line("ready");
    let head = format!("GET /cluster/nodes HTTP/1.1\r\nAuthorization: Bearer {}", node.login());
    let answer = node.ask(&head, "");
    let body: serde_json::Value =
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).expect(&answer);
    let cluster = body["items"][0]["address"].as_str().unwrap().to_owned();
    let path = data.join("cluster-key");
    let kept = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (good, shown, told) = cronapi(&["cluster", "key", "--data", data.to_str().unwrap()]);
    assert!(good, "{told}");
    assert_eq!(shown, kept);
    let made = || cronapi(&["cluster", "key", "--new"]).1;
    assert!(made().trim().len() >= 64 && made() != made());

    // What a gRPC client says first.
    let mut stranger = TcpStream::connect(cluster).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stranger.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut answer = Vec::new();
    // A TLS alert at most, then the end.
    let _ = stranger.read_to_end(&mut answer);
    assert!(answer.len() <= 7 && (answer.is_empty() || answer[0] == 21), "{answer:?}");
}

#[test]
fn who_is_to_join_others_needs_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let join = free().to_string();
    let node = Node::start(&folder.path().join("data"), "", |command| {
        command.args(["--join", &join]);
    });
    let log = node.rest();
    assert!(log.contains("cronapi cluster key --new"), "{log}");
    // A cluster of a build that needed none can't be upgraded node by node.
    for told in ["stop all of them", "CRONAPI_CLUSTER_KEY", "the same key"] {
        assert!(log.contains(told), "{told:?} in {log}");
    }
}

#[test]
fn a_member_that_makes_a_key_alone_says_that_the_others_do_not_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
    let key = |command: &mut std::process::Command| {
        command.env("CRONAPI_CLUSTER_KEY", "the key of a whole cluster");
    };
    let mut first = Node::start(&one, "", key);
    first.line("ready");
    let head = format!("GET /cluster/nodes HTTP/1.1\r\nAuthorization: Bearer {}", first.login());
    let answer = first.ask(&head, "");
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).expect(&answer);
    let address = body["items"][0]["address"].as_str().unwrap().to_owned();
    let mut second = Node::start(&two, "", |command| {
        key(command);
        command.args(["--join", &address]);
    });
    second.line("ready");
    drop((first, second));
    // As after a build that needed none.
    let mut alone = Node::start(&one, "", |_| {});
    let told = alone.line("had no cluster key");
    assert_eq!((&told["level"], &told["members"]), (&"ERROR".into(), &2.into()), "{told}");
    let text = told["message"].as_str().unwrap();
    assert!(text.contains("Stop all of them") && text.contains("CRONAPI_CLUSTER_KEY"), "{text}");
    drop(alone);
    // A node that was alone made its key, and has nobody to tell.
    let mut single = Node::start(&folder.path().join("three"), "", |_| {});
    single.line("ready");
    assert!(!single.logged().contains("had no cluster key"), "{}", single.logged());
}
