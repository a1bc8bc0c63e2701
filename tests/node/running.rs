//! A running node: its log, its settings read again, metrics on a listener of their own.

use rustix::process::Signal;

use super::process::{Node, ask, free};

fn started(prepare: impl FnOnce(&mut std::process::Command)) -> (tempfile::TempDir, Node) {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(&folder.path().join("data"), "", prepare);
    node.line("ready");
    (folder, node)
}

#[test]
fn a_normal_start_says_that_it_is_ready_when_it_is_and_warns_of_nothing() {
    let (_folder, node) = started(|_| {});
    assert!(node.ask("GET /readyz HTTP/1.1", "").starts_with("HTTP/1.1 200"));
    node.signal(Signal::TERM);
    let log = node.rest();
    assert!(!log.contains("\"WARN\"") && !log.contains("\"ERROR\""), "{log}");
}

#[test]
fn an_address_that_is_in_use_for_a_moment_is_waited_for() {
    let taken = std::net::TcpListener::bind(free()).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(&folder.path().join("data"), "", |command| {
        command.args(["--metrics-listen", &address]);
    });
    assert_eq!(node.line("the address is in use")["address"], address);
    drop(taken);
    node.line("ready");
}

#[test]
fn a_node_that_can_not_serve_yet_does_not_say_that_it_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(&folder.path().join("data"), "", |command| {
        command.args(["--join", &format!("{},{}", free(), free())]);
        command.env("CRONAPI_CLUSTER_KEY", "the key of a whole cluster");
    });
    let waits = node.line("can't serve yet");
    assert!(waits["lacking"].as_str().unwrap().contains("no leader"), "{waits}");
    assert!(node.ask("GET /readyz HTTP/1.1", "").starts_with("HTTP/1.1 503"));
    let log = node.logged();
    assert!(!log.contains("\"ready\""), "{log}");
}

#[test]
fn a_data_directory_that_must_not_be_used_again_refuses_the_start_and_says_why_and_what_to_do() {
    let (folder, node) = started(|_| {});
    node.signal(Signal::TERM);
    node.rest();
    let data = folder.path().join("data");
    let why = "its history differs from what a majority has at entry 7";
    std::fs::write(data.join("REFUSED"), why).unwrap();
    let files = || {
        let all = std::fs::read_dir(&data).unwrap().flatten();
        let mut all: Vec<_> = all.map(|entry| entry.file_name()).collect();
        all.sort();
        all
    };
    let before = files();
    let mut refused = Node::start(&data, "", |_| {});
    let status = refused.child.wait().unwrap();
    assert!(!status.success(), "{status}");
    let log = refused.rest();
    for told in [why, "Nothing was changed", "restore a backup", "--move-aside-damaged"] {
        assert!(log.contains(told), "{told:?} in {log}");
    }
    assert_eq!(files(), before);
    // What it says to do works.
    let mut anew = Node::start(&data, "", |command| {
        command.arg("--move-aside-damaged");
    });
    anew.line("ready");
    let aside = std::fs::read_dir(folder.path()).unwrap().flatten();
    let aside: Vec<_> = aside.filter(|it| it.path().join("REFUSED").exists()).collect();
    assert_eq!(aside.len(), 1, "every byte is kept");
}

#[test]
fn a_line_of_the_log_names_request_run_node_and_term_and_no_secret() {
    let (_folder, mut node) = started(|command| {
        command.args(["--log", "cronapi=debug"]);
    });
    let token = node.login();
    let head = format!(
        "POST /jobs HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n\
         X-Request-Id: mine-1"
    );
    let job = r#"{"name":"a","runner":{"type":"shell","command":"echo said; exit 3"}}"#;
    assert!(node.ask(&head, job).starts_with("HTTP/1.1 201"));
    let line = loop {
        let line = node.line("answered");
        if line["request_id"] == "mine-1" {
            break line;
        }
    };
    assert_eq!((&line["method"], &line["path"]), (&"POST".into(), &"/jobs".into()));
    assert_eq!(line["status"], 201);
    assert!(line["node"].as_u64().unwrap() > 0 && line["term"].as_u64().unwrap() > 0);
    let run = head.replace("POST /jobs", "POST /jobs/a/run?wait=30s");
    let answer = node.ask(&run, "{}");
    let body: serde_json::Value =
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).expect(&answer);
    let ended = node.line("ended");
    assert_eq!((&ended["run_id"], &ended["job"]), (&body["id"], &"a".into()));
    assert_eq!((&ended["attempt"], &ended["status"]), (&1.into(), &"failed".into()));
    node.signal(Signal::TERM);
    let log = node.rest();
    for secret in [token.as_str(), "correct horse", "correct+horse"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn the_level_of_the_log_changes_with_sighup_and_faulty_settings_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "log = 'info'\n").unwrap();
    let mut node = Node::start(&folder.path().join("data"), "", |command| {
        command.arg("--config").arg(&path);
    });
    node.line("ready");
    std::fs::write(&path, "log = 'cronapi=debug'\nslots = 5\n").unwrap();
    node.signal(Signal::HUP);
    assert_eq!(node.line("takes effect at the next start")["setting"], "slots");
    node.ask("GET /livez HTTP/1.1", "");
    assert_eq!(node.line("answered")["path"], "/livez");
    std::fs::write(&path, "log = 'info'\nslots = 'many'\n").unwrap();
    node.signal(Signal::HUP);
    let told = node.line("the settings stay as they were");
    assert!(told["fault"].as_str().unwrap().contains("c.toml:2: slots"), "{told}");
    node.ask("GET /livez HTTP/1.1", "");
    node.line("answered");
}

#[test]
fn metrics_have_a_listener_of_their_own_when_it_is_asked_for() {
    let address = free();
    let (_folder, node) = started(|command| {
        command.args(["--metrics-listen", &address.to_string()]);
    });
    let page = ask(address, "GET /metrics HTTP/1.1", "");
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains("cronapi_disk_free_bytes "),
        "{page}"
    );
    assert!(ask(address, "GET /jobs HTTP/1.1", "").starts_with("HTTP/1.1 404"));
    assert!(node.ask("GET /metrics HTTP/1.1", "").starts_with("HTTP/1.1 401"));
}

/// What a node applies again after a start was counted before.
#[test]
fn a_start_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let counted = |node: &Node| {
        let head = format!("GET /metrics HTTP/1.1\r\nAuthorization: Bearer {}", node.login());
        let page = node.ask(&head, "");
        let series = "cronapi_runs_total{result=\"succeeded\",trigger=\"manual\"} ";
        let line = page.lines().find_map(|line| line.strip_prefix(series)).expect(&page);
        line.trim().to_string()
    };
    let trigger = |node: &Node, path: &str, body: &str| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer {}",
            node.login()
        );
        let answer = node.ask(&head, body);
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    };
    let mut node = Node::start(folder.path(), "", |_| {});
    node.line("ready");
    trigger(&node, "/jobs", r#"{"name":"a"}"#);
    trigger(&node, "/jobs/a/run", "{}");
    assert_eq!(counted(&node), "1");
    // Without a checkpoint at the end: the log is applied again.
    node.signal(Signal::KILL);
    drop(node);
    let mut node = Node::start(folder.path(), "", |_| {});
    node.line("ready");
    assert_eq!(counted(&node), "0");
    trigger(&node, "/jobs/a/run", "{}");
    assert_eq!(counted(&node), "1");
}

#[test]
fn a_trace_goes_from_the_request_to_the_process_it_starts() {
    let (_folder, node) = started(|_| {});
    let head = format!("Content-Type: application/json\r\nAuthorization: Bearer {}", node.login());
    let job = r#"{"name":"a","runner":{"type":"shell","command":"echo $TRACEPARENT"}}"#;
    node.ask(&format!("POST /jobs HTTP/1.1\r\n{head}"), job);
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let run = format!("POST /jobs/a/run?wait=30s HTTP/1.1\r\nTraceparent: {given}\r\n{head}");
    let answer = node.ask(&run, "{}");
    assert!(answer.contains(&format!("\"traceparent\":\"{given}\"")), "{answer}");
    let body: serde_json::Value =
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let id = body["id"].as_str().unwrap();
    let logs = node.ask(&format!("GET /runs/{id}/logs HTTP/1.1\r\n{head}"), "");
    assert!(logs.contains(given), "{logs}");
}
