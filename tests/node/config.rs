//! `cronapi config`, and what a node says that can't be started.

use super::process::program;

fn run(arguments: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = program();
    command.env_remove("CRONAPI_ADMIN_PASSWORD");
    let output = command.args(arguments).envs(env.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn settings_are_printed_with_their_source_and_without_secrets() {
    let env = [("CRONAPI_SLOTS", "9"), ("CRONAPI_ADMIN_PASSWORD", "hush hush")];
    let (code, out, err) = run(&["config", "print", "--drain", "2m"], &env);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("slots = 9    # CRONAPI_SLOTS\n"), "{out}");
    assert!(out.contains("drain = \"2m\"    # --drain\n"), "{out}");
    assert!(!out.contains("hush"), "{out}");
}

#[test]
fn bad_settings_are_all_told_and_give_status_78() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cronapi.toml");
    std::fs::write(&path, "lisen = 'x'\nvoters = 9\n").unwrap();
    let path = path.to_str().unwrap();
    for command in [&["config", "check"][..], &["config", "print"], &["serve"]] {
        let arguments = [command, &["--config", path, "--drain", "soon"]].concat();
        let (code, out, err) = run(&arguments, &[("CRONAPI_SLOTS", "none")]);
        assert_eq!((code, out.as_str()), (78, ""), "{command:?}");
        let told = ["cronapi.toml:1: lisen", "cronapi.toml:2: voters", "--drain", "CRONAPI_SLOTS"];
        for want in told {
            assert!(err.contains(want), "{want} in {err}");
        }
        assert!(err.contains("did you mean listen?"), "{err}");
        assert_eq!(err.lines().count(), 4, "{err}");
    }
}

#[test]
fn good_settings_are_good_and_a_misspelt_variable_is_told() {
    let (code, out, err) = run(&["config", "check"], &[("CRONAPI_LOGS", "debug")]);
    assert_eq!((code, out.as_str()), (0, "The settings can be used.\n"));
    assert!(err.contains("did you mean CRONAPI_LOG?"), "{err}");
}
