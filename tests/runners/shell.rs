//! Commands: how they are named, found, refused, and what they hand back.

use std::sync::OnceLock;

use cronapi::executor::runner::ShellCommand::{Argv, Line};
use cronapi::executor::runner::{Ended, RunnerEnv, What};
use serde_json::json;

use crate::bench::*;
use crate::skip::skipped;

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

/// Whether some shell here can watch a pipeline; says so loudly when none can.
fn has_pipefail() -> bool {
    let can = |shell: &str| {
        let asked = std::process::Command::new(shell)
            .args(["-o", "pipefail", "-c", "false | true"])
            .output();
        asked.is_ok_and(|said| said.status.code() == Some(1))
    };
    let found = can("/bin/sh") || can("bash");
    if !found {
        skipped("pipefail", "no shell of this machine has pipefail");
    }
    found
}

#[tokio::test]
async fn a_pipeline_fails_with_any_of_its_commands() {
    if !has_pipefail() {
        return;
    }
    let turned_off = |line: &str| {
        let mut asked = shell(line);
        if let cronapi::executor::runner::What::Shell { pipefail, .. } = &mut asked.what {
            *pipefail = false;
        }
        asked
    };
    for (line, code) in [
        ("false | true", 1),
        ("exit 3 | cat", 3),
        ("true | false | true", 1),
        ("pg_dump_that_is_not_there app | gzip > /dev/null", 127),
        ("set -e; false | true; echo not reached", 1),
        ("echo a | { cat; exit 4; }", 4),
    ] {
        let ran = attempt(shell(line)).await;
        assert_eq!(
            (ran.outcome.ended, ran.outcome.exit_code),
            (Ended::Failed, Some(code)),
            "{line}"
        );
        assert_eq!((ran.out().contains("reached"), ran.notes().as_str()), (false, ""));
    }
    for line in [
        "true | true",
        "false || true",
        "false | true || true",
        "echo 'a|b'; case x in x|y) ;; esac",
    ] {
        let ran = attempt(shell(line)).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{line}: {ran:?}");
    }
    for line in ["false | true", "exit 3 | cat"] {
        let ran = attempt(turned_off(line)).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{line}: {ran:?}");
    }
}

#[tokio::test]
async fn a_line_with_a_pipe_means_what_it_means_without() {
    for line in [
        r"echo 'a\tb' | cat",
        "echo -n x | cat",
        r"printf '%s\n' \$HOME | cat",
        "echo $0 | cat",
        "echo $# | cat",
        "read line | cat; echo \"[$line]\"",
        "x=1; x=2 | cat; echo $x",
        "echo ${x:-none} | cat",
    ] {
        let with = attempt(shell(line)).await;
        let plain =
            std::process::Command::new("/bin/sh").args(["-c", line]).output().expect("started");
        assert_eq!(with.out(), String::from_utf8_lossy(&plain.stdout), "{line}");
    }
}

/// The first line of each recipe in docs/runners.md that a shell runs, with the failure in it.
#[tokio::test]
async fn the_recipes_of_the_documentation_fail_when_they_should() {
    if !has_pipefail() {
        return;
    }
    let folder = tempfile::tempdir().expect("made");
    let script = folder.path().join("pg_dump");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let text = include_str!("../../docs/runners.md");
    let recipes = text.lines().filter(|line| line.starts_with("{\"type\": \"shell\""));
    let mut tried = 0;
    for recipe in recipes {
        let recipe: serde_json::Value = serde_json::from_str(recipe).expect(recipe);
        let Some(line) = recipe["command"].as_str() else { continue };
        let line = line.replace("/backup", &folder.path().display().to_string());
        for (ends, ended) in [("echo data; exit 1", Ended::Failed), ("echo data", Ended::Succeeded)]
        {
            // What it dumps goes to the file it is told.
            let text = format!("#!/bin/sh\n[ \"$1\" = --file ] && exec >\"$2\"\n{ends}\n");
            std::fs::write(&script, text).expect("written");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&script, mode).expect("executable");
            let cwd = folder.path().to_str();
            let ran = attempt(shell_with(Line(line.clone()), &[("PATH", &path)], cwd, None)).await;
            assert_eq!(ran.outcome.ended, ended, "{line}: {ran:?}");
            tried += 1;
        }
    }
    assert!(tried >= 2, "there is no recipe");
}

#[tokio::test]
async fn windows_line_ends_are_read_or_named() {
    let ran = attempt(shell("echo one\r\nif true; then\r\n  echo two\r\nfi\r\n")).await;
    assert_eq!(
        (ran.outcome.ended, ran.out().as_str()),
        (Ended::Succeeded, "one\ntwo\n"),
        "{ran:?}"
    );
    let ran = attempt(shell("printf 'a\r\nb'\n")).await;
    assert_eq!(ran.out(), "a\r\nb", "only where all lines end so");
    let folder = tempfile::tempdir().expect("made");
    let script = folder.path().join("job.sh");
    let mode = || std::os::unix::fs::PermissionsExt::from_mode(0o755);
    for (text, told) in [
        (
            "#!/bin/sh\r\necho hello\r\n",
            "its lines end as on Windows, so its first names \"/bin/sh\"",
        ),
        ("#!/usr/bin/env python3\r\nprint()\r\n", "python3"),
        ("#!/no/such/shell\necho\n", "its first line names \"/no/such/shell\", which is not found"),
    ] {
        std::fs::write(&script, text).expect("written");
        std::fs::set_permissions(&script, mode()).expect("executable");
        let ran = attempt(argv(&[script.to_str().expect("UTF-8")])).await;
        assert_eq!(ran.outcome.ended, Ended::Failed);
        let said = format!("{}{}", ran.error(), ran.err());
        assert!(said.contains(told), "{text:?}: {ran:?}");
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
        skipped(
            "another_user_needs_permission_root_and_an_account",
            "running as another user needs root",
        );
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
        (
            "echo '[18446744073709551616]' > $CRONAPI_RESULT",
            None,
            "/0: 18446744073709551616 is larger",
        ),
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

#[tokio::test]
async fn what_it_reads_may_be_given_or_nothing() {
    for (given, expected) in [(Some(""), "0"), (Some("a\nb"), "3"), (None, "2")] {
        let mut spec = shell("wc -c | tr -d ' '");
        if let What::Shell { stdin, .. } = &mut spec.what {
            *stdin = given.map(str::to_owned);
        }
        assert_eq!(attempt(spec).await.out().trim(), expected, "{given:?}");
    }
}
