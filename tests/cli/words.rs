//! What people type first: parts of ids, names, tags, words of other tools; and what they are told.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use super::place::{PASSWORD, Place};

fn apply(place: &Place, text: &str) {
    place.with_input(&["apply", "-f", "-"], text).good();
}

fn job(place: &Place, name: &str) -> Value {
    place.run(&["get", "job", name, "-o", "json"]).good().json()
}

fn enabled(place: &Place, name: &str) -> bool {
    job(place, name)["enabled"] != false
}

#[test]
fn a_wrong_password_and_a_bad_token_are_told_as_what_they_are() {
    let place = Place::new();
    let url = place.url();
    let login = ["login", "--server", &url, "--user", "admin", "--password-stdin"];
    let wrong = place.with_input(&login, "wrong").bad(4, "password");
    assert!(!wrong.err.contains("not logged in"), "{wrong:?}");
    place.with_input(&login, PASSWORD).good();
    let bad = [("CRONAPI_TOKEN", "crn_nonsense")];
    let told = place.with_env(&["get", "jobs"], &bad).bad(4, "CRONAPI_TOKEN is refused");
    assert!(told.err.contains("unset CRONAPI_TOKEN"), "{told:?}");
    let broken = [("CRONAPI_TOKEN", "two words")];
    place.with_env(&["get", "jobs"], &broken).bad(2, "CRONAPI_TOKEN");
}

#[test]
fn a_file_that_does_not_name_enabled_leaves_a_pause() {
    let place = Place::logged_in();
    place.file("a.yaml", "name: a\nexpr: '0 1 * * *'\n");
    place.run(&["apply", "-f", "a.yaml"]).good();
    place.run(&["pause", "a"]).good();
    let same = place.run(&["apply", "-f", "a.yaml"]).good();
    assert!(same.err.contains("1 unchanged") && same.err.contains("stays paused"), "{same:?}");
    place.file("a.yaml", "name: a\nexpr: '0 2 * * *'\n");
    let diff = place.run(&["diff", "-f", "a.yaml"]);
    assert!(diff.code == 1 && !diff.out.contains("enabled: true"), "{diff:?}");
    let plan = place.run(&["apply", "-f", "a.yaml", "--dry-run"]).good();
    assert!(plan.err.contains("a: stays paused"), "{plan:?}");
    place.run(&["apply", "-f", "a.yaml"]).good();
    assert_eq!(job(&place, "a")["expr"], "0 2 * * *");
    assert!(!enabled(&place, "a"));
    // A file that names it is asked for it.
    place.file("a.yaml", "name: a\nexpr: '0 2 * * *'\nenabled: true\n");
    place.run(&["apply", "-f", "a.yaml"]).good();
    assert!(enabled(&place, "a"));
}

#[test]
fn a_one_shot_that_is_over_does_not_keep_the_others_back() {
    let place = Place::logged_in();
    let text = "name: once\nexpr: '@at 2020-01-01T00:00:00Z'\n---\nname: b\nexpr: '@daily'\n";
    place.file("all.yaml", text);
    let done = place.run(&["apply", "-f", "all.yaml"]).good();
    assert!(done.err.contains("once, all.yaml, document 1: left out"), "{done:?}");
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "b\n");
    place.file("all.yaml", "name: c\nexpr: '0 0 30 2 *'\n---\nname: b\nexpr: '@daily'\n");
    place.run(&["apply", "-f", "all.yaml"]).bad(1, "never fires");
}

#[test]
fn a_fault_with_one_of_several_does_not_keep_the_others_back() {
    let place = Place::logged_in();
    apply(&place, "name: a\ntags: [x]\nexpr: '@daily'\n---\nname: b\ntags: [x]\nexpr: '@daily'\n");
    let told = place.run(&["pause", "a", "nope", "b"]).bad(3, "1 of 3 failed");
    assert!(told.err.contains("nope: there is no job nope"), "{told:?}");
    assert!(told.out.contains("a") && !enabled(&place, "a") && !enabled(&place, "b"));
    place.run(&["resume", "-l", "x"]).good();
    assert!(enabled(&place, "a") && enabled(&place, "b"));
    place.run(&["pause", "-l", "none"]).bad(3, "no job has the tag none");
    let both = place.run(&["get", "jobs", "b", "a", "-o", "name"]).good();
    assert_eq!(both.out, "b\na\n");
    let some = place.run(&["get", "jobs", "b", "c", "-o", "name"]).bad(3, "no job c");
    assert_eq!(some.out, "b\n");
    let told = place.run(&["delete", "nope", "a", "--yes"]).bad(3, "nope");
    assert!(told.err.contains("job a is deleted"), "{told:?}");
    place.run(&["delete", "-l", "x", "--yes"]).good();
    assert_eq!(place.run(&["get", "jobs", "-o", "name"]).good().out, "");
}

#[test]
fn explain_without_an_exact_time_is_about_the_nearest_one() {
    let place = Place::logged_in();
    apply(&place, "name: a\nexpr: '* * * * * *'\nrunner: {type: shell, command: 'true'}\n");
    apply(&place, "name: later\nexpr: '0 0 1 1 *'\n");
    place.run(&["run", "a", "--wait"]).good();
    for flags in
        [&["explain", "a", "-o", "json"][..], &["explain", "a", "--at", "1s", "-o", "json"]]
    {
        let told = place.run(flags).good().json();
        assert_ne!(told["verdict"], "not_nominal", "{flags:?}: {told}");
    }
    // Of a job that has had no time yet, the next.
    let told = place.run(&["explain", "later", "-o", "json"]).good().json();
    assert_eq!(told["verdict"], "future", "{told}");
    // An exact time is an exact time.
    let exact = ["explain", "later", "--at", "2020-01-01T00:00:01Z", "-o", "json"];
    assert_ne!(place.run(&exact).good().json()["verdict"], "future");
}

#[test]
fn runs_are_known_by_the_beginning_of_their_ids_and_tokens_by_their_names() {
    let place = Place::logged_in();
    apply(&place, "name: a\nrunner: {type: shell, command: 'echo hi'}\n");
    let id = place.run(&["run", "a", "--wait", "-o", "name"]).good().out.trim().to_owned();
    let part = &id[..18];
    assert!(place.run(&["describe", "run", part]).good().out.contains(&id));
    assert!(place.run(&["describe", "run", &id[..8]]).good().out.contains(&id));
    assert_eq!(place.run(&["logs", part]).good().out, "hi\n");
    assert_eq!(place.run(&["get", "run", part, "-o", "name"]).good().out.trim(), id);
    let again = place.run(&["retry", part, "-o", "name"]).good().out.trim().to_owned();
    assert_ne!(again, id);
    place.run(&["describe", "run", "ffff"]).bad(3, "ffff");
    place.run(&["describe", "run", &id[..4]]).bad(2, "runs begin with");

    place.run(&["token", "create", "ci", "--role", "viewer"]).good();
    place.run(&["token", "delete", "nope", "--yes"]).bad(3, "nope");
    place.run(&["token", "delete", "ci", "--yes"]).good();
    place.run(&["token", "create", "ci"]).good();
    place.run(&["token", "create", "ci"]).good();
    place.run(&["token", "delete", "ci", "--yes"]).bad(2, "2 tokens have the name");
}

#[test]
fn a_job_goes_back_to_what_it_was_and_stays_paused() {
    let place = Place::logged_in();
    apply(&place, "name: a\nexpr: '0 1 * * *'\n");
    place.run(&["rollback", "a"]).bad(3, "no other definition");
    apply(&place, "name: a\nexpr: '0 2 * * *'\n");
    place.run(&["pause", "a"]).good();
    let shown = place.run(&["rollback", "a", "--dry-run"]).good();
    assert!(shown.out.contains("+expr: 0 1 * * *"), "{shown:?}");
    assert_eq!(job(&place, "a")["expr"], "0 2 * * *");
    place.run(&["rollback", "a"]).good();
    assert_eq!(job(&place, "a")["expr"], "0 1 * * *");
    assert!(!enabled(&place, "a"));
    place.run(&["rollback", "a", "--to", "2"]).good();
    assert_eq!(job(&place, "a")["expr"], "0 2 * * *");
    place.run(&["rollback", "a", "--to", "99"]).bad(3, "no version 99");
    place.run(&["rollback", "b"]).bad(3, "no job b");
}

#[test]
fn queues_status_versions_and_words_of_others() {
    let place = Place::logged_in();
    place.run(&["queue", "set", "slow", "2"]).good();
    assert!(place.run(&["queue", "list"]).good().out.contains("slow"));
    place.run(&["queue", "unset", "slow"]).good();
    let status = place.run(&["status"]).good();
    assert!(status.out.contains("leader:") && status.out.contains("NAME"), "{status:?}");
    assert!(place.run(&["version"]).good().out.contains("node "));
    let nobody = Place::bare();
    nobody.with_env(&["version"], &[("CRONAPI_SERVER", "http://127.0.0.1:9")]).good();
    apply(&place, "name: a\n");
    place.run(&["trigger", "a", "--wait"]).good();
    for (line, part) in [
        ("schedule: '@daily'", "`expr`"),
        ("cron: '@daily'", "`expr`"),
        ("command: echo hi", "{\"type\":\"shell\",\"command\":\"echo hi\"}"),
        ("trigger: daily", "`expr`"),
    ] {
        let text = format!("name: b\n{line}\n");
        place.with_input(&["apply", "-f", "-"], &text).bad(1, part);
    }
    place.run(&["events", "--type", "run.faild"]).bad(2, "did you mean run.failed?");
    place.run(&["events", "--type", "jbo"]).bad(2, "did you mean job?");
    place.run(&["audit", "--action", "job.updat"]).bad(2, "did you mean job.update?");
    place.run(&["audit", "--action", "jobs.*"]).bad(2, "did you mean job.*?");
    assert!(place.run(&["audit", "--action", "job.*"]).good().out.contains("job.create"));
}

#[test]
fn another_protocol_than_the_url_says_is_told() {
    let place = Place::new();
    let https = place.url().replace("http://", "https://");
    place.run(&["get", "jobs", "--server", &https]).bad(6, "write http:// in its URL");
    // What a server of TLS sends to who speaks something else: an alert.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(&[0x15, 0x03, 0x03, 0, 2, 2, 50]);
    });
    place.run(&["get", "jobs", "--server", &url]).bad(6, "write https:// in its URL");
    server.join().unwrap();
}

#[test]
fn monitors_are_listed_paused_resumed_and_get_another_key() {
    let place = Place::logged_in();
    let beat = "kind: monitor\nname: beat\nevery: 1h\n";
    place.with_input(&["apply", "-f", "-"], beat).good();
    let listed = place.run(&["get", "monitors"]).good().out;
    assert!(listed.contains("beat") && listed.contains("new"), "{listed}");
    place.run(&["monitor", "pause", "beat"]).good();
    assert!(place.run(&["monitor", "list"]).good().out.contains("paused"));
    place.run(&["monitor", "resume", "beat"]).good();
    assert!(place.run(&["monitor", "key", "beat"]).good().out.starts_with("/ping/"));
    assert!(place.run(&["describe", "monitor", "beat"]).good().out.contains("No ping came yet"));
    place.run(&["monitor", "pings", "beat"]).good();
    place.run(&["monitor", "pause", "none"]).bad(3, "none");
    place.run(&["delete", "monitor/beat", "--yes"]).good();
}

#[test]
fn channels_are_listed_and_tested() {
    let place = Place::logged_in();
    let lost = "kind: channel\nname: lost\ntype: webhook\nconfig: {url: 'http://127.0.0.1:1/in'}\n";
    place.with_input(&["apply", "-f", "-"], lost).good();
    let listed = place.run(&["channel", "list"]).good().out;
    assert!(listed.contains("lost") && listed.contains("webhook"), "{listed}");
    assert_eq!(place.run(&["get", "channels", "-o", "name"]).good().out.trim(), "lost");
    let said = "channel lost did not take the test: connection to 127.0.0.1:1 refused";
    place.run(&["channel", "test", "lost"]).bad(1, said);
    place.run(&["channel", "test", "none"]).bad(3, "none");
    place.run(&["delete", "channel/lost", "--yes"]).good();
}

#[test]
fn sinks_are_listed_paused_and_written_again() {
    let place = Place::logged_in();
    place.with_input(&["apply", "-f", "-"], "kind: sink\nname: audit\ntype: file\n").good();
    let listed = place.run(&["sink", "list"]).good().out;
    assert!(listed.contains("audit") && listed.contains("file"), "{listed}");
    let status = |place: &Place| {
        let told = place.run(&["sink", "status", "audit", "-o", "json"]).good().out;
        serde_json::from_str::<serde_json::Value>(&told).unwrap()
    };
    assert_eq!((&status(&place)["paused"], &status(&place)["node"]), (&false.into(), &().into()));
    place.run(&["sink", "pause", "audit"]).good();
    assert_eq!(status(&place)["paused"], true);
    place.run(&["sink", "resume", "audit"]).good();
    let position = status(&place)["position"].as_str().unwrap().to_owned();
    place.run(&["sink", "rewind", "audit", "--to", &position]).good();
    place.run(&["sink", "rewind", "audit"]).good();
    place.run(&["sink", "rewind", "audit", "--to", "soon"]).bad(1, "position");
    place.run(&["sink", "status", "none"]).bad(3, "none");
    place.run(&["delete", "sink/audit", "--yes"]).good();
}

#[test]
fn triggers_are_listed_paused_and_read_from_elsewhere() {
    let place = Place::logged_in();
    let orders = "kind: trigger\nname: orders\ntype: redis_stream\njob: pack\n\
                  config: {stream: orders}\n";
    place.with_input(&["apply", "-f", "-"], orders).good();
    let listed = place.run(&["triggers", "list"]).good().out;
    assert!(listed.contains("orders") && listed.contains("pack"), "{listed}");
    let status = |place: &Place| {
        let told = place.run(&["triggers", "status", "orders", "-o", "json"]).good().out;
        serde_json::from_str::<serde_json::Value>(&told).unwrap()
    };
    assert_eq!((&status(&place)["paused"], &status(&place)["node"]), (&false.into(), &().into()));
    place.run(&["triggers", "pause", "orders"]).good();
    assert_eq!(status(&place)["paused"], true);
    place.run(&["triggers", "resume", "orders"]).good();
    place.run(&["triggers", "rewind", "orders", "--to", "1767225600000-0"]).good();
    assert_eq!(status(&place)["position"], "1767225600000-0");
    place.run(&["triggers", "rewind", "orders"]).good();
    place.run(&["triggers", "rewind", "orders", "--to", "soon"]).bad(1, "position");
    place.run(&["triggers", "status", "none"]).bad(3, "none");
    place.run(&["delete", "trigger/orders", "--yes"]).good();
}

#[test]
fn browsers_that_are_told_are_known_by_their_labels() {
    let place = Place::logged_in();
    assert_eq!(place.run(&["push", "list", "-o", "name"]).good().out, "");
    let key =
        "BLn9b-VR0ca83knDNZ32dCHGyjJp-1riX9ZTN40MqV8K_LpQmLqxC_DoHvqvFXO_nGdAB4W9dogZb_sM-uV4JbY";
    let subscribed = |label: &str, endpoint: &str| {
        let keys = serde_json::json!({ "p256dh": key, "auth": "_ordMnz7uTCmrpBTeUV4Bw" });
        let endpoint = format!("https://fcm.googleapis.com/{endpoint}");
        let body = serde_json::json!({ "endpoint": endpoint, "keys": keys, "label": label });
        let post = ["api", "POST", "/push/subscriptions", "--input", "-"];
        place.with_input(&post, &body.to_string()).good();
    };
    subscribed("phone", "a");
    let list = place.run(&["push", "list"]).good().out;
    assert!(list.contains("phone") && list.contains("fcm.googleapis.com"), "{list}");
    place.run(&["push", "test", "nope"]).bad(3, "no browser of yours is called nope");
    subscribed("phone", "b");
    place.run(&["push", "delete", "phone", "--yes"]).bad(2, "2 browsers are called phone");
    let ids = place.run(&["push", "list", "-o", "name"]).good().out;
    place.run(&["push", "delete", ids.lines().next().unwrap(), "--yes"]).good();
    place.run(&["push", "delete", "phone", "--yes"]).good();
}
