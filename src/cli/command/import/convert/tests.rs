//! What lines of crontabs become, a row a trap.

use serde_json::{Value, json};

use super::*;

fn made(text: &str, system: bool) -> Made {
    made_of(text.as_bytes(), system)
}

fn made_of(text: &[u8], system: bool) -> Made {
    let mut made = Made::default();
    let wanted = Wanted { system, prefix: "", timezone: "UTC", origin: None, monitor: false };
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
    json!({"type": "shell", "command": command, "stdin": ""})
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

/// What each line gives to the shell and what that reads, by hand from do_command.c.
#[test]
fn what_follows_a_percent_is_what_it_reads() {
    let rows = [
        ("cat", "cat", ""),
        ("cat%", "cat", ""),
        ("cat%%", "cat", "\n"),
        ("cat%a", "cat", "a\n"),
        ("cat%a%", "cat", "a\n"),
        ("cat%a%%b", "cat", "a\n\nb\n"),
        ("cat%  a  ", "cat", "  a  \n"),
        ("printf '100\\%'", "printf '100%'", ""),
        ("date +\\%F\\%T", "date +%F%T", ""),
        ("mail ann%Hello,%%100\\% sure", "mail ann", "Hello,\n\n100% sure\n"),
        ("echo a\\b\\%c", "echo a\\b%c", ""),
        ("echo a\\\\%b", "echo a\\\\", "b\n"),
        ("echo a\\\\\\%b", "echo a\\\\%b", ""),
        ("cat%a\\b", "cat", "a\\b\n"),
        ("cat%a\\\\%b", "cat", "a\\%b\n"),
        ("cat%a\\", "cat", "a\\\n"),
        ("cat%\\", "cat", "\\"),
        ("cat # 50\\% of it", "cat # 50% of it", ""),
    ];
    for (line, command, input) in rows {
        let runner = json!({"type": "shell", "command": command, "stdin": input});
        assert_eq!(one(&format!("0 9 * * * {line}\n"))["runner"], runner, "{line}");
    }
    let notes = made("0 9 * * * echo a\\\\%b\n", false).notes;
    assert!(notes.len() == 1 && notes[0].text.contains("cronie"), "{notes:?}");
}

#[test]
fn what_runs_in_the_background_comes_to_the_front_or_is_told() {
    let text = "0 9 * * * nohup work >/dev/null 2>&1 &\n0 9 * * * a & b\n0 9 * * * cat &%in\n";
    let made = made(text, false);
    let commands: Vec<&Value> =
        made.jobs.iter().map(|job| &job.fields["runner"]["command"]).collect();
    assert_eq!(commands, ["nohup work >/dev/null 2>&1", "cat"]);
    assert_eq!(made.jobs[1].fields["runner"]["stdin"], "");
    let lost: Vec<usize> =
        made.notes.iter().filter(|note| note.lost).map(|note| note.line).collect();
    assert_eq!((lost, made.notes.len()), (vec![2], 3), "{:?}", made.notes);
}

#[test]
fn only_what_is_carried_out_must_be_utf_8() {
    let text = b"# Gr\xfc\xdfe\n@daily x\n@daily caf\xe9\nA=\xff\n@daily y\n";
    let made = made_of(text, false);
    let names: Vec<&str> = made.jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["x", "y"]);
    let told: Vec<(usize, bool)> =
        made.notes.iter().map(|note| (note.line, note.text.contains("0x"))).collect();
    assert_eq!(told, [(3, true), (4, true)], "{:?}", made.notes);
}

#[test]
fn only_cron_tz_moves_times() {
    let all =
        jobs("TZ=Asia/Tokyo\n@daily a\nCRON_TZ=Europe/London\n@daily b\nCRON_TZ=\n@daily c\n");
    let zones: Vec<&Value> = all.iter().map(|job| &job["timezone"]).collect();
    assert_eq!(zones, [&Value::Null, &json!("Europe/London"), &Value::Null]);
    assert_eq!(all[0]["runner"]["env"], json!({"TZ": "Asia/Tokyo"}));
    // What the machine has is taken where the crontab has nothing.
    let (mut made, timezone) = (Made::default(), "America/Lima");
    let wanted = Wanted {
        system: false,
        prefix: "",
        timezone,
        origin: Some("crontab.host"),
        monitor: false,
    };
    convert("tab", b"CRON_TZ=\n@daily c\n", &wanted, &mut made);
    assert_eq!(made.jobs[0].fields["timezone"], timezone);
    assert_eq!(made.jobs[0].fields["tags"], json!(["crontab", "crontab.host"]));
}

#[test]
fn variables_count_for_the_lines_below_them() {
    let text = "@daily first\nPATH = \"/opt/bin:/bin\"\nSHELL=/bin/bash\n HOME='/srv'\nA=b c \n\
                @daily second\nA=\n@daily third\n";
    let all = jobs(text);
    assert_eq!(all[0]["runner"], shell("first"));
    let env = json!({"PATH": "/opt/bin:/bin", "HOME": "/srv", "A": "b c"});
    let second = json!({"type": "shell", "argv": ["/bin/bash", "-c", "second"], "env": env,
        "cwd": "/srv", "stdin": ""});
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
        ("~ * * * * x\n", true, "`H * * * *`"),
        ("0~30 2 * * * x\n", true, "`H(0-30) 2 * * *`"),
        ("0~99 2 * * * x\n", true, "no equal"),
        ("CRONAPI_X=1\n@daily x\n", true, "CRONAPI_"),
        ("TZ=UTC\n@daily x\n", false, "only CRON_TZ"),
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
    let text = "HOME=/srv\nSHELL=/bin/bash\n# Why.\n0 9 * * * mail ann%Hello\n@daily x | y\n\
                SHELL=/bin/sh\n@daily x | y\n";
    for job in made(text, false).jobs {
        JobSpec::from_map(job.fields).unwrap();
    }
}
