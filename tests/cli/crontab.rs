//! Crontabs that become jobs.

use super::place::Place;

const CRONTAB: &str = "PATH=/usr/bin:/bin\nMAILTO=ann@example.com\n# Every night.\n\
                       30 2 * * * echo \"at $PATH\"\n@reboot start-it\n0 9 * * 1 cat%one%two\n";

#[test]
fn what_can_not_be_imported_is_told_and_keeps_the_rest_from_being_written() {
    let place = Place::logged_in();
    place.file("tab", CRONTAB);
    let base = ["import", "crontab", "tab", "--tz", "Europe/London"];
    let dry =
        place.run(&[&base[..], &["--dry-run"]].concat()).bad(1, "tab:5: not imported: @reboot");
    assert!(dry.err.contains("tab:2: note: MAILTO"), "{dry:?}");
    // What was printed is read as definitions.
    let applied = place.with_input(&["apply", "-f", "-", "--dry-run"], &dry.out).good();
    assert!(applied.err.contains("2 created"), "{applied:?}");
    place.run(&base).bad(1, "--skip");
    place.run(&[&base[..], &["--skip", "--prefix", "host1-"]].concat()).good();
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "host1-cat\nhost1-echo\n");
    let echo = place.run(&["get", "job", "host1-echo", "-o", "json"]).good().json();
    assert_eq!(echo["timezone"], "Europe/London");
    assert_eq!(echo["description"], "Every night.");
    assert_eq!(place.run(&["run", "host1-echo", "-f"]).good().out, "at /usr/bin:/bin\n");
    assert_eq!(place.run(&["run", "host1-cat", "-f"]).good().out, "one\ntwo\n");
    place.run(&["import", "crontab", "gone"]).bad(3, "gone");
    place.run(&["import", "crontab"]).bad(2, "FILE");
}

#[test]
fn a_crontab_replaces_only_what_came_from_it() {
    let place = Place::logged_in();
    place.file("tab", "0 1 * * * backup-it now\n");
    place.with_input(&["apply", "-f", "-"], "name: backup-it\nexpr: '@weekly'\n").good();
    let import = ["import", "crontab", "tab", "--tz", "UTC"];
    let refused = place.run(&import).bad(5, "backup-it");
    assert!(refused.err.contains("--prefix") && refused.err.contains("--replace"), "{refused:?}");
    place.run(&[&import[..], &["--yes"]].concat()).bad(5, "nothing was written");
    let expr = || {
        let job = place.run(&["get", "job", "backup-it", "-o", "json"]).good().json();
        job["expr"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(expr(), "@weekly");
    place.run(&[&import[..], &["--replace"]].concat()).good();
    assert_eq!(expr(), "0 1 * * *");
    // Its own are changed as the file is.
    place.file("tab", "0 2 * * * backup-it now\n");
    place.run(&import).good();
    assert_eq!(expr(), "0 2 * * *");
    // Another crontab of that name, and one without a name, are others.
    place.file("other/tab", "0 3 * * * backup-it now\n");
    place.run(&["import", "crontab", "other/tab", "--tz", "UTC"]).bad(5, "backup-it");
    let stdin = ["import", "crontab", "-", "--tz", "UTC"];
    place.with_input(&stdin, "0 3 * * * backup-it now\n").bad(5, "backup-it");
    let named = [&stdin[..], &["--origin", "web1"]].concat();
    place.with_input(&named, "0 3 * * * web-it\n").good();
    place.with_input(&named, "0 4 * * * web-it\n").good();
    assert_eq!(expr(), "0 2 * * *");
}

#[test]
fn an_imported_command_reads_what_cron_gave_it() {
    let place = Place::logged_in();
    place.file("tab", "0 1 * * * cat; echo nothing\n0 1 * * * echo '100\\%'\n0 1 * * * tac%a%b\n");
    place.run(&["import", "crontab", "tab", "--tz", "UTC"]).good();
    for (name, out) in [("cat", "nothing\n"), ("echo", "100%"), ("tac", "b\na\n")] {
        assert_eq!(place.run(&["run", name, "-f"]).good().out.trim_end(), out.trim_end(), "{name}");
    }
}
