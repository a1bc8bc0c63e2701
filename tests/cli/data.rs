//! Backups, audits and directories, with what the user is logged in with.

use super::place::{PASSWORD, Place};

#[test]
fn a_backup_is_taken_of_the_context_and_restored_without_one() {
    let place = Place::logged_in();
    place.with_input(&["apply", "-f", "-"], "name: a\nexpr: '@hourly'\n").good();
    let said = place.run(&["backup", "a.backup"]).good();
    assert!(said.out.contains("1 jobs") && said.err.contains("not encrypted"), "{said:?}");
    place.run(&["backup", "a.backup"]).bad(1, "is there already");
    assert!(place.run(&["backup", "verify", "a.backup"]).good().out.contains("sound"));
    place.run(&["restore", "a.backup", "--data", "made"]).good();
    assert!(place.run(&["doctor", "--data", "made"]).good().out.contains("1 jobs"));
    place.run(&["restore", "a.backup", "--data", "made"]).bad(1, "is not empty");
    assert!(place.run(&["audit-fires"]).good().out.contains("sound: 1 jobs"));
}

#[test]
fn what_can_not_be_taken_leaves_no_file() {
    let place = Place::logged_in();
    let url = place.url();
    place.with_input(&["user", "create", "ann", "--role", "viewer", "--password-stdin"], PASSWORD);
    let as_ann = ["backup", "a.backup", "--user", "ann"];
    place.with_env(&as_ann, &[("CRONAPI_PASSWORD", PASSWORD)]).bad(4, "whoami");
    place.with_env(&as_ann, &[("CRONAPI_PASSWORD", "wrong")]).bad(4, "");
    place.run(&as_ann).bad(2, "CRONAPI_PASSWORD");
    place.run(&["backup", "a.backup", "--server", "http://127.0.0.1:1"]).bad(6, "no answer");
    place.run(&["backup", "none/a.backup"]).bad(1, "none/a.backup");
    let kept: Vec<_> = std::fs::read_dir(place.home.path()).unwrap().flatten().collect();
    assert!(kept.iter().all(|file| file.file_name() == ".config"), "{kept:?}");
    // For this command only.
    let admin = [("CRONAPI_PASSWORD", PASSWORD), ("HOME", "")];
    place.with_env(&["backup", "b", "--user", "admin", "--server", &url], &admin).good();
}

#[test]
fn who_asks_no_server_takes_no_server() {
    let place = Place::bare();
    place.run(&["openapi", "--server", "http://a"]).bad(2, "commands that ask a server");
    let help = place.run(&["doctor", "--help"]).good().out;
    assert!(help.contains("--data") && !help.contains("--server"), "{help}");
    assert!(place.run(&["get", "jobs", "--help"]).good().out.contains("--server"));
}
