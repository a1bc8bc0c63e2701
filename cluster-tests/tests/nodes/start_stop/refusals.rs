//! A node that can't start says why and what to do, and changes nothing.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use cluster_tests::harness::{Exit, Launch, Sandbox};

fn refused(exit: &Exit, status: i32, words: &[&str]) {
    let text = format!("{}\n{}", exit.stdout, exit.stderr);
    assert_eq!(exit.status.code(), Some(status), "{text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

/// A data directory that was used and stopped in order.
async fn used(launch: &Launch) {
    let mut daemon = launch.start().await;
    let status = daemon.terminate(std::time::Duration::from_secs(30)).await;
    assert!(status.success(), "{status}: {}", daemon.stderr());
}

/// Every file below a folder, with its bytes.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).expect("a file")));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_directory_in_use_names_the_process_that_uses_it() {
    let sandbox = Sandbox::new();
    let launch = Launch::new(&sandbox, "node");
    let mut daemon = launch.start().await;
    let pid = daemon.pid().to_string();
    refused(&launch.run().await, 1, &["in use", &pid]);
    assert!(daemon.runs(), "the one that was there first goes on");
}

#[tokio::test]
async fn a_directory_that_is_a_file_is_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join("node"), "a file").expect("written");
    let exit = Launch::new(&sandbox, "node").run().await;
    refused(&exit, 1, &["is a file", "must be a directory"]);
}

#[tokio::test]
async fn a_directory_that_cant_be_made_is_refused() {
    let sandbox = Sandbox::new();
    // Not even root can make a folder there.
    let exit = Launch::new(&sandbox, "node").set("--data", "/proc/cronapi-data").run().await;
    refused(&exit, 1, &["/proc/cronapi-data", "can't be written"]);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_untouched() {
    let sandbox = Sandbox::new();
    let launch = Launch::new(&sandbox, "node");
    used(&launch).await;
    let path = sandbox.path().join("node/FORMAT");
    let text = fs::read_to_string(&path).expect("a format");
    // The number is what the cluster had come to by then.
    assert!(text.contains("\"format\": "), "the format file has another shape: {text}");
    fs::write(&path, "{\"format\": 99}").expect("written");
    let before = contents(&sandbox.path().join("node"));
    refused(&launch.run().await, 1, &["format 99", "start the newer version again"]);
    let after = contents(&sandbox.path().join("node"));
    let lockless = |files: Vec<(String, Vec<u8>)>| -> Vec<_> {
        files.into_iter().filter(|(path, _)| !path.ends_with("LOCK")).collect()
    };
    assert!(lockless(before) == lockless(after), "a refused directory was changed");
}

#[tokio::test]
async fn damage_is_refused_and_moved_aside_only_when_told() {
    let sandbox = Sandbox::new();
    let launch = Launch::new(&sandbox, "node");
    used(&launch).await;
    let node = sandbox.path().join("node");
    fs::write(node.join("FORMAT"), "no format at all").expect("written");
    refused(&launch.run().await, 1, &["damaged", "restore a backup", "--move-aside-damaged"]);
    let daemon = launch.clone().arg("--move-aside-damaged").start().await;
    assert!(daemon.stdout().contains("password"), "it begins anew: {}", daemon.stdout());
    let aside = fs::read_dir(sandbox.path()).expect("a folder").flatten();
    let aside =
        aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("node.damaged-"));
    assert_eq!(aside.count(), 1, "what was there is kept");
}

#[tokio::test]
async fn a_port_in_use_says_so_and_leaves_no_directory() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let exit = Launch::new(&sandbox, "node").set("--listen", &address).run().await;
    refused(&exit, 1, &[&address, "--listen"]);
    assert!(!sandbox.path().join("node").exists());
}

#[tokio::test]
async fn bad_settings_are_all_told_at_once_with_status_78() {
    let sandbox = Sandbox::new();
    let file = sandbox.path().join("c.toml");
    fs::write(&file, "lisen = '127.0.0.1:1'\ndrain = 'soon'\n").expect("written");
    let exit = Launch::new(&sandbox, "node")
        .set("--slots", "many")
        .set("--config", &file.display().to_string())
        .env("CRONAPI_LABELS", "region")
        .env("CRONAPI_LISTEN", "ignored, because the flag is there")
        .run()
        .await;
    let words = ["--slots", "did you mean listen", "drain", "soon", "CRONAPI_LABELS"];
    refused(&exit, 78, &words);
    assert!(!sandbox.path().join("node").exists());
}

#[tokio::test]
async fn an_unknown_flag_and_no_command_show_the_usage() {
    let sandbox = Sandbox::new();
    let launch = Launch::new(&sandbox, "node");
    refused(&launch.clone().arg("--lisen").run().await, 2, &["--listen"]);
    let exit = launch.args(&[]).run().await;
    let text = format!("{}{}", exit.stdout, exit.stderr);
    assert!(text.contains("serve"), "{text}");
}
