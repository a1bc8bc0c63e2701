//! What goes to standard output, in each format; exit codes of what can't be done.

use serde_json::Value;

use super::place::{Place, said};

fn place() -> Place {
    let place = Place::logged_in();
    let jobs = "name: backup\nexpr: '0 2 * * *'\ntags: [nightly]\n---\n\
                name: report\nexpr: '@hourly'\nenabled: false\n";
    place.with_input(&["apply", "-f", "-"], jobs).good();
    place
}

#[test]
fn formats_of_a_list() {
    let place = place();
    let table = place.run(&["get", "jobs"]).good();
    let lines: Vec<&str> = table.out.lines().collect();
    assert!(lines[0].starts_with("NAME    STATE   SCHEDULE"), "{table:?}");
    assert!(lines[1].starts_with("backup  active  0 2 * * *"), "{table:?}");
    assert!(lines[1].contains("T02:00:00Z") && !table.out.contains('\u{1b}'), "{table:?}");
    assert!(table.err.is_empty());
    let wide = place.run(&["get", "jobs", "-o", "wide"]).good();
    assert!(wide.out.contains("TAGS") && wide.out.contains("nightly"));
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "backup\nreport\n");
    let json = place.run(&["get", "jobs", "-o", "json"]).good().json();
    let raw = place.run(&["api", "GET", "/jobs"]).good().json();
    assert_eq!(json, raw, "json is what the API says");
    let lines = place.run(&["get", "jobs", "-o", "jsonl"]).good().out;
    let items: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&Value::from(items), &raw["items"]);
    let yaml = place.run(&["get", "job", "backup", "-o", "yaml"]).good();
    assert!(yaml.out.contains("name: backup") && yaml.out.contains("uid:"), "{yaml:?}");
    // What was shown can be applied, and changes nothing.
    let again = place.with_input(&["apply", "-f", "-"], &yaml.out).good();
    assert!(again.err.contains("1 unchanged"), "{again:?}");
}

#[test]
fn filters_and_what_does_not_fit() {
    let place = place();
    let names = |more: &[&str]| {
        let arguments = [&["get", "jobs", "-o", "name"], more].concat();
        place.run(&arguments).good().out
    };
    assert_eq!(names(&["--paused"]), "report\n");
    assert_eq!(names(&["--active"]), "backup\n");
    assert_eq!(names(&["-l", "nightly"]), "backup\n");
    assert_eq!(names(&["-q", "epo"]), "report\n");
    assert_eq!(names(&["--sort", "-name", "--limit", "1"]), "report\n");
    let none = place.run(&["get", "jobs", "-l", "none"]).good();
    assert!(none.err.contains("no job fits"), "{none:?}");
    place.run(&["get", "jobs", "--sort", "colour"]).bad(2, "sort");
    assert_eq!(place.run(&["get", "users", "-o", "name"]).good().out, "admin\n");
    place.run(&["get", "user", "nobody"]).bad(3, "nobody");
    place.run(&["get", "nodes", "-o", "wide"]).good();
    place.run(&["get", "queues"]).good();
    place.run(&["get", "tokens"]).good();
}

#[test]
fn what_is_not_there_or_typed_wrongly_comes_with_what_to_do() {
    let place = place();
    for command in [
        &["get", "job", "bakcup"][..],
        &["run", "bakcup"],
        &["logs", "bakcup"],
        &["pause", "bakcup"],
        &["delete", "bakcup", "--yes"],
        &["next", "bakcup"],
        &["explain", "bakcup"],
        &["ledger", "bakcup"],
        &["describe", "job", "bakcup"],
        &["edit", "bakcup"],
    ] {
        let said = place.run(command).bad(3, "did you mean backup?");
        assert!(said.out.is_empty(), "{said:?}");
    }
    place.run(&["aply", "-f", "a"]).bad(2, "apply");
    place.run(&["get", "jbos"]).bad(2, "jobs");
    place.run(&["run", "backup", "--folow"]).bad(2, "--follow");
    place.run(&["cancel", "backup"]).bad(2, "cronapi runs backup");
    place.run(&["logs", "backup"]).bad(3, "no run yet");
    place.run(&["api", "GET", "/nothing"]).bad(1, "");
    place.run(&["api", "POST", "/jobs", "-F", "name=backup"]).bad(5, "");
}

#[test]
fn colour_only_where_it_is_wanted() {
    let place = place();
    let colored = |arguments: &[&str], env: &[(&str, &str)]| {
        place.with_env(arguments, env).good().out.contains('\u{1b}')
    };
    assert!(!colored(&["get", "jobs"], &[]));
    assert!(colored(&["get", "jobs", "--color", "always"], &[("NO_COLOR", "1")]));
    assert!(colored(&["get", "jobs"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&["get", "jobs", "--color", "never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let place = place();
    let line = format!("{} get jobs -o json | head -c 1", super::place::PROGRAM);
    let mut bash = std::process::Command::new("bash");
    bash.args(["-o", "pipefail", "-c", &line]).env("HOME", place.home.path());
    let said = said(&mut bash, "").good();
    assert_eq!((said.out.as_str(), said.err.as_str()), ("{", ""));
}

#[test]
fn every_command_has_a_text_and_completions_load_in_bash() {
    let place = Place::bare();
    let help = place.run(&["--help"]).good();
    let commands = help.out.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in commands.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (name, text) = (words.next().unwrap(), words.next());
        assert!(text.is_some(), "{name} says nothing of itself");
        if name != "help" {
            place.run(&[name, "--help"]).good();
        }
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.run(&["completion", shell]).good().out.contains("cronapi"));
    }
    let script = "source <(\"$0\" completion bash) && COMP_WORDS=(cronapi ge) COMP_CWORD=1 \
                  && _cronapi cronapi ge cronapi && printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = std::process::Command::new("bash");
    let said = said(bash.args(["-c", script, super::place::PROGRAM]), "").good();
    assert!(said.out.lines().any(|word| word == "get"), "{said:?}");
}
