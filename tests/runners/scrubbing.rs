//! What a child sees of the daemon: its environment and its open files.

use std::collections::BTreeSet;

use crate::bench::*;
use crate::skip::skipped;

#[tokio::test]
async fn children_see_what_they_are_told() {
    let mut asked = shell("env; cat");
    asked.params = serde_json::json!({"a": [1, "é"]});
    asked.context.traceparent = Some(TRACE.into());
    let ran = attempt(asked).await;
    let lines = ran.lines();
    for expected in [
        "CRONAPI_JOB=nightly",
        "CRONAPI_RUN_ID=run-1",
        "CRONAPI_ATTEMPT=2",
        "CRONAPI_NOMINAL_TIME=2026-01-02T03:04:05Z",
        "CRONAPI_FENCE=42",
        "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "CRONAPI_NODE=n1",
        "CRONAPI_TRIGGER=schedule",
        "CRONAPI_BOOT=tests/1",
        "CRONAPI_PARAMS={\"a\":[1,\"é\"]}",
        "{\"a\":[1,\"é\"]}",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in {lines:#?}");
    }
}

#[tokio::test]
async fn no_nominal_time_is_an_empty_variable() {
    let mut asked = shell("echo \"[${CRONAPI_NOMINAL_TIME-unset}]\"");
    asked.context.nominal_time = None;
    assert_eq!(attempt(asked).await.out(), "[]\n");
}

#[test]
fn children_do_not_see_the_environment_of_the_daemon() {
    let secrets = [("CRONAPI_CLUSTER_KEY", "s3cr3t"), ("AWS_SECRET_ACCESS_KEY", "s3cr3t")];
    alone("scrubbing::in_a_daemon_with_secrets", &secrets);
}

/// Run by `children_do_not_see_the_environment_of_the_daemon` in a process of its own.
#[tokio::test]
async fn in_a_daemon_with_secrets() {
    if !is_alone() {
        return;
    }
    assert_eq!(std::env::var("CRONAPI_CLUSTER_KEY").as_deref(), Ok("s3cr3t"));
    let ran = attempt(shell("env")).await;
    assert!(ran.out().contains("CRONAPI_JOB=") && !ran.out().contains("s3cr3t"), "{ran:?}");
    let allowed = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "PWD", "OLDPWD", "SHLVL", "_"];
    for line in ran.lines() {
        let name = line.split('=').next().unwrap_or_default();
        let known = allowed.contains(&name);
        assert!(known || name.starts_with("LC_") || name.starts_with("CRONAPI_"), "{line}");
    }
    if has_python() {
        let code = "import os\ndef f(): return sorted(os.environ)";
        let seen = attempt(python(code, serde_json::json!({}))).await.outcome.result;
        let seen = seen.expect("a list").to_string();
        assert!(seen.contains("CRONAPI_RUN_ID") && !seen.contains("KEY"), "{seen}");
    }
}

#[test]
fn children_cannot_look_into_the_daemon() {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new(std::env::current_exe().expect("known"));
    command.args(["--exact", "scrubbing::in_a_daemon_of_nobodys"]).env(ALONE, "yes");
    // Root may look into everything, so the daemon of this test is somebody else's.
    command.uid(65534).gid(65534).current_dir("/").env("CRONAPI_CLUSTER_KEY", "s3cr3t");
    match command.output() {
        Ok(output) => {
            let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
            assert!(output.status.success() && ran, "{output:?}");
        }
        Err(e) => skipped(
            "children_cannot_look_into_the_daemon",
            &format!("can't run as another user: {e}"),
        ),
    }
}

/// Run by `children_cannot_look_into_the_daemon` in a process of its own.
#[tokio::test]
async fn in_a_daemon_of_nobodys() {
    if !is_alone() {
        return;
    }
    let ran = attempt(shell("id -u; cat /proc/$PPID/environ; ls /proc/$PPID/fd")).await;
    assert_eq!(ran.lines(), ["65534"], "{ran:?}");
    assert!(ran.err().contains("ermission denied"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn children_inherit_three_files_and_no_more() {
    // All kinds of attempts start at the same time, with files open in between.
    for _ in 0..5 {
        let python = || python("", serde_json::json!({}));
        let shell = || shell("ls /proc/$$/fd; true");
        let started: Vec<_> = (0..4).flat_map(|_| [start(python()), start(shell())]).collect();
        for (at, running) in started.into_iter().enumerate() {
            let ran = running.end().await;
            assert!(at % 2 == 0 || ran.lines() == ["0", "1", "2"], "{ran:?}");
        }
    }
    if has_python() {
        let code = "import subprocess\ndef f(): subprocess.run(['ls', '/proc/self/fd'])";
        let ran = attempt(python(code, serde_json::json!({}))).await;
        // The fourth is the folder that ls reads.
        assert_eq!(ran.lines(), ["0", "1", "2", "3"]);
    }
}

#[tokio::test]
async fn a_jobs_own_variables_are_checked() {
    use cronapi::executor::runner::ShellCommand::Argv;
    let run = |name: &'static str, value: &'static str| {
        let line = Argv(vec!["env".to_owned()]);
        attempt(shell_with(line, &[("PATH", "/usr/bin:/bin"), (name, value)], None, None))
    };
    let ran = run("Odd name-ä", "x\ny").await;
    assert!(ran.out().contains("Odd name-ä=x\ny\n"), "{ran:?}");
    assert!(ran.lines().contains(&"PATH=/usr/bin:/bin".to_owned()), "{ran:?}");
    let long = "x".repeat(200 * 1024).leak();
    let refused: BTreeSet<_> = [
        ("", "x", "empty name"),
        ("A=B", "x", "can't hold '='"),
        ("A\0", "x", "can't hold '='"),
        ("A", "x\0", "a value can't hold NUL"),
        ("A", &*long, "longer than"),
        ("CRONAPI_FENCE", "99", "reserved"),
    ]
    .into();
    for (name, value, why) in refused {
        let ran = run(name, value).await;
        assert!(ran.error().contains(why), "{name:?}: {ran:?}");
        assert_eq!(ran.pid, None);
    }
}

#[tokio::test]
async fn large_parameters_are_on_stdin_alone() {
    let mut asked = shell("echo ${CRONAPI_PARAMS-unset}; wc -c");
    asked.params = serde_json::json!({"x": "y".repeat(300_000)});
    let ran = attempt(asked).await;
    assert_eq!(ran.lines(), ["unset", "300008"]);
    assert!(ran.notes().contains("CRONAPI_PARAMS is not set"), "{}", ran.notes());
}

#[tokio::test]
async fn a_child_that_never_reads_does_not_matter() {
    let mut asked = shell("exec true");
    asked.params = serde_json::json!({"x": "y".repeat(5_000_000)});
    assert_eq!(attempt(asked).await.outcome.exit_code, Some(0));
}
