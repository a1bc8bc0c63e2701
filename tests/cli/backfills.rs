//! Past times, run from the command line: looked at, run on a real node, followed and listed.

use serde_json::json;

use super::place::Place;

const RANGE: [&str; 4] = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T05:00:00Z"];

#[test]
fn past_times_are_looked_at_run_and_followed_to_their_end() {
    let place = Place::logged_in();
    let runner = json!({"type": "shell", "command": "test -n \"$CRONAPI_NOMINAL_TIME\""});
    let job = json!({"name": "report", "expr": "0 * * * *", "runner": runner});
    place.with_input(&["apply", "-y", "-f", "-"], &job.to_string()).good();
    let asked = [&["backfill", "report"][..], &RANGE].concat();
    let plan = place.run(&[&asked[..], &["--dry-run"]].concat()).good();
    let told = "5 of 5 times of report would be run, version 1 (dry run)";
    assert!(plan.out.starts_with(told), "{plan:?}");
    let json = place.run(&[&asked[..], &["--dry-run", "-o", "json"]].concat()).good().json();
    assert_eq!((&json["count"], &json["already"]["missing"]), (&json!(5), &json!(5)));
    let wanted = [&asked[..], &["--max-concurrent", "2", "--wait", "-o", "json"]].concat();
    // The cluster comes to its format by itself, soon after its start.
    let done = loop {
        let said = place.run(&wanted);
        if said.code == 0 {
            break said.json();
        }
        assert!(said.err.contains("format"), "{said:?}");
    };
    assert_eq!((&done["status"], &done["counts"]["succeeded"]), (&json!("done"), &json!(5)));
    let again = place.run(&[&asked[..], &["--dry-run", "-o", "json"]].concat()).good().json();
    assert_eq!((&again["count"], &again["already"]["fired"]), (&json!(0), &json!(5)), "{again}");
    let list = place.run(&["backfills", "report"]).good();
    assert!(list.out.contains("report") && list.out.contains("done"), "{list:?}");
    let told = place.run(&["explain", "report", "--at", "2026-01-01T03:00:00Z"]).good();
    assert!(told.out.contains("Backfill 1 ran it"), "{told:?}");
    place.run(&["backfill", "1", "--cancel"]).bad(5, "ended already");
    place.run(&["backfill", "report", "--pause"]).bad(2, "not the number of a backfill");
    place.run(&["queue", "top"]).good();
    let sound = place.run(&["audit-fires"]);
    assert!(sound.out.starts_with("sound"), "{sound:?}");
}
