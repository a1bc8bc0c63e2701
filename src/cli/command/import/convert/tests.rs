//! What lines of crontabs become, a row a trap.

use serde_json::{Value, json};

use super::*;

fn made(text: &str, system: bool) -> Made {
    let mut made = Made::default();
    let wanted = Wanted { system, prefix: "", timezone: "UTC" };
    convert("tab", text, &wanted, &mut made);
    made
}

fn jobs(text: &str) -> Vec<Value> {
    made(text, false).jobs.into_iter().map(|job| Value::Object(job.fields)).collect()
}

/// The definition of the one job, without what every one of them has.
fn one(text: &str) -> Value {
    let mut jobs = jobs(text);
    assert_eq!(jobs.len(), 1, "{text:?}: {:?}", made(text, false).notes);
    let mut job = jobs.remove(0);
    let map = job.as_object_mut().unwrap();
    assert_eq!(map.remove("tags").unwrap(), json!(["crontab"]));
    assert_eq!(map.remove("overlap").unwrap(), json!("allow"));
    assert_eq!(map.remove("misfire").unwrap(), json!({"policy": "skip"}));
    job
}

fn shell(command: &str) -> Value {
    json!({"type": "shell", "command": command})
}

#[test]
fn lines_become_what_cron_would_do() {
    let rows = [
        ("*/5 * * * * /usr/bin/backup.sh -q\n", "*/5 * * * *", "backup", "/usr/bin/backup.sh -q"),
        ("0\t4  1 jan *   report --all\n", "0 4 1 jan *", "report", "report --all"),
        ("  @daily  tidy\n", "@daily", "tidy", "tidy"),
        ("@midnight tidy\n", "@midnight", "tidy", "tidy"),
        ("0 0 * * 7 echo a \\% b\n", "0 0 * * 7", "echo", "echo a % b"),
        ("0 0 * * sun cd /srv && ./run.py x\r\n", "0 0 * * sun", "run", "cd /srv && ./run.py x"),
        ("-*/10 * * * * quiet\n", "*/10 * * * *", "quiet", "quiet"),
        (
            "0 0 1-7 * 1 FOO=1 env deploy # not a comment\n",
            "0 0 1-7 * 1",
            "deploy",
            "FOO=1 env deploy # not a comment",
        ),
        ("* * * * * [ -x /opt/a ] && /opt/a\n", "* * * * *", "a", "[ -x /opt/a ] && /opt/a"),
        ("* * * * * \"$(date)\"\n", "* * * * *", "date", "\"$(date)\""),
        ("* * * * * 1234\n", "* * * * *", "job", "1234"),
    ];
    for (text, expr, name, command) in rows {
        let expected = json!({"name": name, "expr": expr, "runner": shell(command)});
        assert_eq!(one(text), expected, "{text:?}");
    }
}

#[test]
fn what_follows_a_percent_is_what_it_reads() {
    let line = one("0 9 * * * mail ann%Hello,%%100\\% sure\n");
    let command = "{ mail ann\n} <<'END_OF_INPUT'\nHello,\n\n100% sure\nEND_OF_INPUT\n";
    assert_eq!(line["runner"], shell(command));
    let line = one("0 9 * * * cat%END_OF_INPUT\n");
    assert!(line["runner"]["command"].as_str().unwrap().ends_with("END_OF_INPUT_\n"));
}

#[test]
fn variables_count_for_the_lines_below_them() {
    let text = "@daily first\nPATH = \"/opt/bin:/bin\"\nSHELL=/bin/bash\n HOME='/srv'\nA=b c \n\
                @daily second\nA=\n@daily third\n";
    let all = jobs(text);
    assert_eq!(all[0]["runner"], shell("first"));
    let env = json!({"PATH": "/opt/bin:/bin", "HOME": "/srv", "A": "b c"});
    let second = json!({"type": "shell", "argv": ["/bin/bash", "-c", "second"], "env": env,
        "cwd": "/srv"});
    assert_eq!(all[1]["runner"], second);
    assert_eq!(all[2]["runner"]["env"]["A"], "");
}

#[test]
fn zones_and_comments_and_names_that_are_taken() {
    let text = "CRON_TZ=Europe/London\n# Copies everything.\n#\n# Twice a day.\n0 1,13 * * * copy\n\
                # 5 4 * * * was-off\n@daily copy\n# apart\n\n@daily copy\n";
    let all = jobs(text);
    assert_eq!(all[0]["timezone"], "Europe/London");
    assert_eq!(all[0]["description"], "Copies everything. Twice a day.");
    let names: Vec<&Value> = all.iter().map(|job| &job["name"]).collect();
    assert_eq!(names, ["copy", "copy-2", "copy-3"]);
    assert!(all[1].get("description").is_none() && all[2].get("description").is_none());
}

#[test]
fn a_crontab_of_the_system_names_users() {
    let text = "17 * * * *\troot\tcd / && run-parts --report /etc/cron.hourly\n@daily www-data x\n";
    let made = made(text, true);
    let users: Vec<&Value> = made.jobs.iter().map(|job| &job.fields["runner"]["user"]).collect();
    assert_eq!(users, ["root", "www-data"]);
    assert_eq!(made.jobs[0].name, "cron.hourly");
    assert_eq!(
        made.jobs[0].fields["runner"]["command"],
        "cd / && run-parts --report /etc/cron.hourly"
    );
}

#[test]
fn what_has_no_equal_is_told_with_its_line() {
    let rows = [
        ("@reboot start\n", true, "@reboot"),
        ("a b c d e f\n", true, "expr"),
        ("61 * * * * x\n", true, "expr"),
        ("0 0 30 2 * x\n", true, "expr"),
        ("@fortnightly x\n", true, "expr"),
        ("~ * * * * x\n", true, "random"),
        ("0 0 * *\n", true, "five fields"),
        ("0 0 * * *\n", true, "five fields"),
        ("@daily\n", true, "@daily"),
        ("0 0 * * * %input\n", true, "before %"),
        ("CRON_TZ=Nowhere/City\n@daily x\n", true, "timezone"),
        ("MAILTO=ann@example.com\n@daily x\n", false, "no mail"),
        ("RANDOM_DELAY=5\n@daily x\n", false, "jitter"),
        ("@daily x", false, "cron leaves such a line out"),
        ("-@daily x\n", false, "always recorded"),
    ];
    for (text, lost, part) in rows {
        let notes = made(text, false).notes;
        assert_eq!(notes.len(), 1, "{text:?}: {notes:?}");
        assert!(notes[0].lost == lost && notes[0].text.contains(part), "{text:?}: {notes:?}");
    }
    let good = "MAILTO=\"\"\n\n# nothing\n@daily x\n";
    assert!(made(good, false).notes.is_empty());
    let lines: Vec<usize> =
        made("# a\n@reboot a\n\n@reboot b\n", false).notes.iter().map(|note| note.line).collect();
    assert_eq!(lines, [2, 4]);
}

#[test]
fn what_is_made_is_a_definition() {
    let text = "HOME=/srv\nSHELL=/bin/bash\n# Why.\n0 9 * * * mail ann%Hello\n@daily x\n";
    for job in made(text, false).jobs {
        crate::model::JobSpec::from_map(job.fields).unwrap();
    }
}
