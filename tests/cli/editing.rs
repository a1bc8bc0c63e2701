//! Definitions in files and in an editor.

use std::os::unix::fs::PermissionsExt;

use super::place::Place;

#[test]
fn a_plan_comes_first_and_nothing_is_written_when_a_definition_is_refused() {
    let place = Place::logged_in();
    place.file("jobs/a.yaml", "name: a\nexpr: '0 1 * * *'\n---\nname: b\nexpr: '@daily'\n");
    place.file("jobs/c.json", r#"{"name": "c", "expr": "@hourly"}"#);
    let plan = place.run(&["apply", "-f", "jobs", "--dry-run", "-o", "json"]).good();
    assert_eq!((&plan.json()["created"], &plan.json()["dry_run"]), (&3.into(), &true.into()));
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "");
    let done = place.run(&["apply", "-f", "jobs"]).good();
    assert!(done.err.contains("3 created") && done.out.contains("NEXT THEN"), "{done:?}");
    let again = place.run(&["apply", "-f", "jobs"]).good();
    assert!(again.err.contains("3 unchanged"), "{again:?}");

    place.file("jobs/a.yaml", "name: a\nexpr: '0 2 * * *'\n---\nname: b\nexpr: 'no'\n");
    let refused = place.run(&["apply", "-f", "jobs"]).bad(1, "nothing was written");
    assert!(refused.err.contains("jobs/a.yaml, document 2"), "{refused:?}");
    assert!(refused.err.contains("expr"), "{refused:?}");
    let kept = place.run(&["get", "job", "a", "-o", "json"]).good().json();
    assert_eq!(kept["expr"], "0 1 * * *");

    place.run(&["apply", "-f", "none.yaml"]).bad(3, "none.yaml");
    place.with_input(&["apply", "-f", "-"], "name: [").bad(2, "standard input");
    place.with_input(&["apply", "-f", "-"], "name: a\n---\nname: a\n").bad(2, "job a stands in");
    place.with_input(&["apply", "-f", "-"], "name: d\nkolor: red\n").bad(1, "kolor");
}

#[test]
fn what_is_in_no_file_is_deleted_when_the_files_are_all_there_is() {
    let place = Place::logged_in();
    let job = |name: &str, tag: &str| format!("name: {name}\ntags: [{tag}]\nexpr: '@daily'\n");
    place.file("all.yaml", &[job("a", "etl"), job("b", "etl"), job("c", "other")].join("---\n"));
    place.run(&["apply", "-f", "all.yaml"]).good();
    place.file("a.yaml", &job("a", "etl"));
    let prune = ["apply", "-f", "a.yaml", "--prune", "-l", "etl"];
    let plan = place.run(&[&prune[..], &["--dry-run", "-o", "json"]].concat()).good().json();
    assert_eq!(plan["items"][1]["name"], "b");
    assert_eq!((&plan["items"][1]["action"], &plan["deleted"]), (&"deleted".into(), &1.into()));
    assert!(plan["items"][1]["next_before"].is_string(), "{plan}");
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "a\nb\nc\n");
    let done = place.run(&prune).good();
    assert!(done.err.contains("1 unchanged, 1 deleted"), "{done:?}");
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "a\nc\n");
    assert!(place.run(&prune).good().err.contains("1 unchanged\n"));

    place.run(&["apply", "-f", "a.yaml", "--prune"]).bad(2, "--tag");
    place.run(&["apply", "-f", "all.yaml", "--prune", "-l", "etl"]).bad(2, "job c, all.yaml");
}

#[test]
fn the_versions_of_a_job_are_listed() {
    let place = Place::logged_in();
    for hour in [1, 2] {
        let job = format!("name: a\nexpr: '0 {hour} * * *'\n");
        place.with_input(&["apply", "-f", "-"], &job).good();
    }
    let listed = place.run(&["get", "versions", "a"]).good();
    let rows: Vec<&str> = listed.out.lines().skip(1).collect();
    assert!(rows.len() == 2 && rows[0].starts_with('2'), "{listed:?}");
    assert!(rows[1].contains("create") && rows[1].contains("0 1 * * *"), "{listed:?}");
    let first = place.run(&["get", "versions", "a", "1", "-o", "json"]).good().json();
    assert_eq!(first["definition"]["expr"], "0 1 * * *");
    place.run(&["get", "versions", "b"]).bad(3, "there is no job b");
}

#[test]
fn a_diff_says_whether_files_are_what_the_cluster_has() {
    let place = Place::logged_in();
    place.file("a.yaml", "name: a\nexpr: '0 1 * * *'\n");
    let new = place.run(&["diff", "-f", "a.yaml"]);
    assert_eq!(new.code, 1, "{new:?}");
    assert!(new.out.contains("+name: a"), "{new:?}");
    place.run(&["apply", "-f", "a.yaml"]).good();
    let same = place.run(&["diff", "-f", "a.yaml"]).good();
    assert!(same.out.is_empty() && same.err.is_empty(), "{same:?}");
    place.file("a.yaml", "name: a\nexpr: '0 2 * * *'\n");
    let changed = place.run(&["diff", "-f", "a.yaml"]);
    assert_eq!(changed.code, 1, "{changed:?}");
    assert!(changed.out.contains("\n-expr: 0 1 * * *\n+expr: 0 2 * * *\n"), "{changed:?}");
    place.file("a.yaml", "name: a\nexpr: 'no'\n");
    place.run(&["diff", "-f", "a.yaml"]).bad(2, "expr");
    place.run(&["diff", "-f", "b.yaml"]).bad(3, "b.yaml");
}

/// An editor that does what a line of shell says to the file `$1`.
fn editor(place: &Place, line: &str) -> String {
    let path = place.file("editor.sh", &format!("#!/bin/sh\n{line}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn an_edit_is_written_unless_the_job_was_changed_meanwhile() {
    let place = Place::logged_in();
    place.with_input(&["apply", "-f", "-"], "name: a\nexpr: '0 1 * * *'\n").good();
    let edit = |line: &str| {
        let editor = editor(&place, line);
        place.with_env(&["edit", "a"], &[("EDITOR", editor.as_str())])
    };
    let said = edit("sed -i 's/0 1/0 2/' \"$1\"").good();
    assert!(said.err.contains("is version"), "{said:?}");
    assert_eq!(place.run(&["get", "job", "a", "-o", "json"]).good().json()["expr"], "0 2 * * *");
    assert!(edit("true").good().err.contains("nothing was changed"));
    edit("exit 1").bad(1, "EDITOR");
    place.run(&["edit", "a"]).bad(2, "no terminal for an editor");
    let lost = edit("sed -i 's/expr:.*/expr: never/' \"$1\"").bad(1, "your text is in ");
    let file = lost.err.split("your text is in ").nth(1).unwrap().split(';').next().unwrap();
    assert!(std::fs::read_to_string(file).unwrap().contains("expr: never"));
    std::fs::remove_file(file).unwrap();
    let line = format!("sed -i 's/0 2/0 3/' \"$1\"; {} pause a >/dev/null", super::place::PROGRAM);
    let late = edit(&line).bad(5, "changed meanwhile");
    // To apply it would take the other change back.
    assert!(late.err.contains("cronapi diff -f") && !late.err.contains("apply"), "{late:?}");
    let file = late.err.split("your text is in ").nth(1).unwrap().split(';').next().unwrap();
    std::fs::remove_file(file).unwrap();
    assert_eq!(place.run(&["get", "job", "a", "-o", "json"]).good().json()["expr"], "0 2 * * *");
}
