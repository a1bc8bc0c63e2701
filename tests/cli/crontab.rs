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
