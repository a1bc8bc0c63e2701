//! The first admin and its password.

use std::fs;
use std::time::Duration;

use cluster_tests::harness::{Client, Daemon, Launch, Sandbox};

const STOP_MAX: Duration = Duration::from_secs(30);

async fn login(daemon: &Daemon, password: &str) -> u16 {
    let url = daemon.url().expect("it is ready");
    let client = Client::at(&url, "admin", password);
    client.login().await.expect("it answers").0
}

/// The password that the banner shows, if it shows one.
fn shown(daemon: &Daemon) -> Option<String> {
    let said = daemon.stdout();
    let (_, rest) = said.split_once("password ")?;
    rest.split_whitespace().next().map(str::to_string)
}

#[tokio::test]
async fn a_generated_password_is_shown_at_the_first_start_only_and_works() {
    let sandbox = Sandbox::new();
    let launch = Launch::new(&sandbox, "node");
    let mut first = launch.start().await;
    let password = shown(&first).expect("the first start shows a password");
    assert!(password.len() >= 16, "{} characters", password.len());
    assert_eq!(login(&first, &password).await, 200);
    assert_eq!(login(&first, "another password").await, 401);
    assert!(first.terminate(STOP_MAX).await.success());
    let second = launch.start().await;
    assert_eq!(shown(&second), None, "{}", second.stdout());
    assert!(!second.stdout().contains(&password));
    assert_eq!(login(&second, &password).await, 200);
}

#[tokio::test]
async fn a_given_password_is_used_once_and_not_shown() {
    let sandbox = Sandbox::new();
    let launch = Launch::new(&sandbox, "node");
    let given = launch.clone().env("CRONAPI_ADMIN_PASSWORD", "given-by-variable");
    let mut first = given.start().await;
    assert_eq!(login(&first, "given-by-variable").await, 200);
    assert!(!first.stdout().contains("given-by-variable") && shown(&first).is_none());
    assert!(first.terminate(STOP_MAX).await.success());
    // Later starts do not change the password back.
    let second = launch.env("CRONAPI_ADMIN_PASSWORD", "another-password").start().await;
    assert_eq!(login(&second, "another-password").await, 401);
    assert_eq!(login(&second, "given-by-variable").await, 200);
}

#[tokio::test]
async fn a_password_file_loses_its_line_end() {
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("password");
    fs::write(&path, "given-by-file\n").expect("written");
    let path = path.display().to_string();
    let launch = Launch::new(&sandbox, "node").env("CRONAPI_ADMIN_PASSWORD_FILE", &path);
    let daemon = launch.start().await;
    assert_eq!(login(&daemon, "given-by-file").await, 200);
}

#[tokio::test]
async fn a_password_that_is_too_short_is_refused_and_leaves_a_usable_directory() {
    let sandbox = Sandbox::new();
    let launch = Launch::new(&sandbox, "node");
    let exit = launch.clone().env("CRONAPI_ADMIN_PASSWORD", "short").run().await;
    assert!(!exit.status.success());
    assert!(exit.stderr.contains("CRONAPI_ADMIN_PASSWORD"), "{}", exit.stderr);
    assert!(!exit.stderr.contains("short\""), "the password is in the log: {}", exit.stderr);
    let daemon = launch.env("CRONAPI_ADMIN_PASSWORD", "long-enough-now").start().await;
    assert_eq!(login(&daemon, "long-enough-now").await, 200);
}
