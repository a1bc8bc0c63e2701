//! Commands: how they are named, found, refused, and what they hand back.

use std::sync::OnceLock;

use cronapi::executor::runner::ShellCommand::{Argv, Line};
use cronapi::executor::runner::{Ended, RunnerEnv};
use serde_json::json;

use crate::bench::*;

#[tokio::test]
async fn a_line_runs_under_sh() {
    let ran = attempt(shell("echo one; echo two >&2; echo three")).await;
    assert_eq!(ran.outcome.ended, Ended::Succeeded);
    assert_eq!((ran.outcome.exit_code, ran.outcome.signal), (Some(0), None));
    assert_eq!((ran.out().as_str(), ran.err().as_str()), ("one\nthree\n", "two\n"));
    assert_eq!((ran.outcome.output_bytes, ran.outcome.output_cut), (14, false));
    assert!(ran.outcome.error.is_none() && ran.outcome.result.is_none());
    assert!(ran.outcome.cpu_ms.is_some() && ran.pid.is_some());
}

#[tokio::test]
async fn a_list_runs_without_a_shell() {
    let ran = attempt(argv(&["echo", "$HOME", "a  b", ""])).await;
    assert_eq!(ran.out(), "$HOME a  b \n");
    let ran = attempt(argv(&["sh", "-c", "echo $0"])).await;
    assert_eq!(ran.out(), "sh\n", "the program keeps the name it was called by");
}

#[tokio::test]
async fn failures_are_told_apart() {
    for (asked, code, signal, error) in [
        (shell("exit 3"), Some(3), None, "exited with status 3"),
        (shell("kill -SEGV $$"), None, Some(11), "killed by signal 11 (SIGSEGV)"),
        (argv(&["no-such-program"]), None, None, "program \"no-such-program\" was not found"),
        (argv(&["/no/such"]), None, None, "can't start /no/such: not found"),
        (argv(&["/etc/passwd"]), None, None, "can't start /etc/passwd: not permitted"),
        (argv(&[]), None, None, "the list of arguments is empty"),
        (argv(&["echo", "a\0b"]), None, None, "NUL"),
        (shell(&"x".repeat(200_000)), None, None, "the command has 200000 bytes"),
    ] {
        let ran = attempt(asked).await;
        assert_eq!(ran.outcome.ended, Ended::Failed);
        assert!(ran.error().starts_with(error) || ran.error().contains(error), "{ran:?}");
        assert_eq!((ran.outcome.exit_code, ran.outcome.signal), (code, signal), "{ran:?}");
    }
}

#[tokio::test]
async fn parameters_are_an_object() {
    let mut asked = shell("cat");
    asked.params = json!(null);
    assert_eq!(attempt(asked.clone()).await.out(), "{}");
    asked.params = json!([1]);
    assert_eq!(attempt(asked).await.error(), "the parameters are not a JSON object");
}

#[tokio::test]
async fn the_working_directory() {
    let folder = tempfile::tempdir().expect("made");
    let path = folder.path().to_str().expect("UTF-8");
    let in_folder = |command, cwd| shell_with(command, &[], Some(cwd), None);
    let pwd = || Line("pwd".to_owned());
    assert_eq!(attempt(in_folder(pwd(), path)).await.out().trim_end(), path);
    let script = folder.path().join("hello");
    std::fs::write(&script, "#!/bin/sh\necho hello").expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("executable");
    let relative = in_folder(Argv(vec!["./hello".to_owned()]), path);
    assert_eq!(attempt(relative).await.out(), "hello\n");
    let ran = attempt(in_folder(pwd(), "/no/such")).await;
    assert_eq!(ran.error(), "working directory /no/such does not exist");
    let ran = attempt(in_folder(pwd(), "/etc/passwd")).await;
    assert_eq!(ran.error(), "working directory /etc/passwd is a file");
}

#[tokio::test]
async fn another_user_needs_permission_root_and_an_account() {
    let line = "id -u; id -g; id -G; echo $HOME $USER; echo x > /dev/stdout; cat /dev/stdin";
    let as_user =
        |user: &'static str| shell_with(Line(line.to_owned()), &[], Some("/"), Some(user));
    let ran = attempt(as_user("nobody")).await;
    assert_eq!(ran.error(), "running as user \"nobody\" is not allowed on this node");
    static NODE: OnceLock<RunnerEnv> = OnceLock::new();
    let results = tempfile::tempdir().expect("made").keep();
    let mut with_users = RunnerEnv::detect().with_results_dir(&results).expect("made");
    with_users.allow_user = true;
    let node = NODE.get_or_init(|| with_users);
    if !rustix_is_root() {
        eprintln!("\n*** SKIPPED: running as another user needs root ***\n");
        return;
    }
    let ran = start_on(node, as_user("no-such")).end().await;
    assert_eq!(ran.error(), "user \"no-such\" does not exist on this node");
    let ran = start_on(node, as_user("nobody")).end().await;
    assert_eq!(ran.outcome.exit_code, Some(0), "{ran:?}");
    let lines = ran.lines();
    assert_eq!(lines[0], "65534");
    assert_eq!(lines[1], lines[2], "no group but its own: {lines:?}");
    assert!(lines[3].ends_with(" nobody"), "{lines:?}");
    assert_eq!(lines[4..], ["x", "{}"]);
    let line = Line("echo '{\"by\": \"nobody\"}' > $CRONAPI_RESULT".to_owned());
    // A folder under a private one is out of another user's reach.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&results, open).expect("set");
    let ran = start_on(node, shell_with(line, &[], None, Some("nobody"))).end().await;
    assert_eq!(ran.outcome.result, Some(json!({"by": "nobody"})), "{ran:?}");
    std::fs::remove_dir_all(results).expect("removed");
}

fn rustix_is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("there");
    let line = status.lines().find(|line| line.starts_with("Uid:")).expect("there");
    line.split_whitespace().nth(2) == Some("0")
}

#[tokio::test]
async fn a_shell_job_writes_its_result_to_a_file() {
    static NODE: OnceLock<RunnerEnv> = OnceLock::new();
    let folder = tempfile::tempdir().expect("made");
    let results = folder.path().join("results");
    std::fs::create_dir(&results).expect("made");
    std::fs::write(results.join("old.json"), "1").expect("written");
    let node = NODE.get_or_init(|| RunnerEnv::detect().with_results_dir(&results).expect("made"));
    assert!(!results.join("old.json").exists(), "results of an earlier boot are gone");
    let secret = folder.path().join("secret.json");
    std::fs::write(&secret, "\"s3cr3t\"").expect("written");
    let link = format!("ln -s {} $CRONAPI_RESULT", secret.display());
    for (line, result, note) in [
        ("echo '{\"n\": 1}' > $CRONAPI_RESULT", Some(json!({"n": 1})), ""),
        ("true", None, ""),
        (": > $CRONAPI_RESULT", None, ""),
        ("echo '{\"n\": 1}' > $CRONAPI_RESULT; false", None, ""),
        ("echo nonsense > $CRONAPI_RESULT", None, "the result was refused: not JSON"),
        ("head -c 40000 /dev/zero > $CRONAPI_RESULT", None, "larger than 32768 bytes"),
        ("mkfifo $CRONAPI_RESULT", None, "not a plain file"),
        (link.as_str(), None, "the result was refused: "),
    ] {
        let ran = start_on(node, shell(line)).end().await;
        assert_eq!(ran.outcome.result, result, "{line}: {ran:?}");
        assert!(ran.notes().contains(note) && note.is_empty() == ran.notes().is_empty());
    }
    let left = std::fs::read_dir(&results).expect("there").count();
    assert_eq!(left, 0, "results do not pile up");
    assert_eq!(attempt(shell("echo [$CRONAPI_RESULT]")).await.out(), "[]\n");
}
