//! Names that are nearly right, and words that other schedulers use.

use serde_json::{Value, json};

use crate::model::runner::Runner;

/// "unknown field", with the nearest known one when it is near.
pub fn unknown_field(given: &str, known: &[&str]) -> String {
    match near(given, known, |_| true) {
        Some(name) => format!("is not a field; did you mean {name}?"),
        None => not_one_of(known),
    }
}

pub(in crate::model) fn not_one_of(known: &[&str]) -> String {
    format!("is not a field; the fields are {}", known.join(", "))
}

/// The one known name that is a slip of the pen away, of those that `fits` allows.
pub fn near<'a>(given: &str, known: &[&'a str], fits: impl Fn(&str) -> bool) -> Option<&'a str> {
    let wanted = plain(given);
    // What is secret may only be a file.
    let file = format!("{wanted}_file");
    if let Some(name) = known.iter().find(|name| **name == file && fits(name)) {
        return Some(name);
    }
    // In a short word a second slip leaves another word.
    let most = match wanted.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=11 => 2,
        _ => 3,
    };
    let apart = |name: &str| {
        let known = plain(name);
        let starts = |text: &str| text.chars().next();
        let swapped = || known.chars().nth(1) == starts(&wanted);
        let same_start = starts(&known) == starts(&wanted) || swapped();
        Some(distance(&wanted, &known)).filter(|far| *far <= most && same_start)
    };
    let alike: Vec<(usize, &str)> = known
        .iter()
        .filter(|name| fits(name))
        .filter_map(|name| Some((apart(name)?, *name)))
        .collect();
    let (least, name) = *alike.iter().min()?;
    // Two that are as near are a guess.
    (alike.iter().filter(|(far, _)| *far == least).count() == 1).then_some(name)
}

/// `maxRuns` and `max-runs` are `max_runs`.
fn plain(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars().take(64) {
        if c.is_ascii_uppercase() && text.ends_with(|last: char| last.is_ascii_lowercase()) {
            text.push('_');
        }
        text.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
    }
    text
}

/// What a field of another scheduler is called here, for one that is none here.
pub(in crate::model) fn elsewhere(key: &str, value: &Value) -> Option<String> {
    let told = match plain(key).as_str() {
        "schedule" | "schedules" | "cron" | "crontab" | "cron_expression" | "cron_expr"
        | "cronspec" | "expression" | "every" | "interval" | "when" | "rrule" => {
            "when a job fires is `expr`, such as \"*/5 * * * *\" or \"@every 5m\"".to_owned()
        }
        "command" | "cmd" | "script" | "shell" | "exec" => match command(value) {
            Some(runner) => format!("what a job runs is its `runner`: {runner}"),
            None => runner("shell"),
        },
        "argv" | "args" | "entrypoint" | "cwd" | "workdir" | "env" | "environment" | "user" => {
            runner("shell")
        }
        "url" | "http" | "webhook" | "method" | "headers" | "body" => runner("http"),
        "trigger" | "triggers" | "on" => {
            "a job is started by its `expr`, by its `dependencies`, by `on_success`, `on_failure` \
             or `on_finish` of another job, or by hand"
                .to_owned()
        }
        "depends_on" | "depends" | "dependency" | "needs" | "after" | "requires" | "upstream" => {
            "the jobs that it waits for are its `dependencies`".to_owned()
        }
        "start" | "from" => "no time before is `start_at`".to_owned(),
        "end" | "until" => "no time after is `end_at`".to_owned(),
        "tz" | "time_zone" | "zone" => "the zone of its times is its `timezone`".to_owned(),
        "retries" | "max_retries" | "attempts" | "max_attempts" => {
            "when a run is attempted again is `retry`, such as {\"max_attempts\": 3}".to_owned()
        }
        "paused" | "disabled" | "suspend" | "suspended" | "active" => {
            "a job is paused by \"enabled\": false".to_owned()
        }
        "concurrency" | "concurrency_policy" | "allow_overlap" | "coalesce" => {
            "what a fire does while a run is open is `overlap`".to_owned()
        }
        "max_instances" => "runs at a time are `max_concurrent`".to_owned(),
        "params" | "kwargs" | "arguments" | "inputs" => "they are its `parameters`".to_owned(),
        "labels" => "what it is found by are its `tags`".to_owned(),
        _ => return None,
    };
    Some(format!("is not a field; {told}"))
}

fn runner(kind: &str) -> String {
    let example = match kind {
        "http" => json!({"type": "http", "url": "https://example.com/"}),
        _ => json!({"type": "shell", "command": "date"}),
    };
    format!("what a job runs is its `runner`, such as {example}")
}

/// The runner that a command line means, when it may be one.
fn command(value: &Value) -> Option<Value> {
    let line = value.as_str().filter(|line| line.len() <= 80)?;
    let runner = json!({"type": "shell", "command": line});
    let mut faults = Vec::new();
    serde_json::from_value::<Runner>(runner.clone()).ok()?.check(&mut faults);
    faults.is_empty().then_some(runner)
}

/// Levenshtein distance with swaps of neighbours, of the first 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let first: Vec<usize> = (0..=b.len()).collect();
    let (mut before, mut row) = (first.clone(), first);
    for (i, ca) in a.iter().enumerate() {
        let mut next = vec![i + 1; b.len() + 1];
        for (j, cb) in b.iter().enumerate() {
            let cost = usize::from(ca != cb);
            let mut least = (row[j] + cost).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                least = least.min(before[j - 1] + 1);
            }
            next[j + 1] = least;
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 7] =
        ["code", "tags", "expr", "timeout", "max_runs", "dependencies", "timezone"];

    #[test]
    fn only_a_slip_of_the_pen_is_a_suggestion() {
        for (given, meant) in [
            ("tmieout", "timeout"),
            ("dependancies", "dependencies"),
            ("maxRuns", "max_runs"),
            ("Max-Runs", "max_runs"),
            ("Timezone", "timezone"),
            ("exp", "expr"),
            ("tag", "tags"),
            ("ocde", "code"),
        ] {
            assert_eq!(near(given, &KNOWN, |_| true), Some(meant), "{given}");
        }
        assert_eq!(near("key", &["key_old_file", "key_file"], |_| true), Some("key_file"));
        for other in ["cmd", "args", "node", "mode", "cron", "time", "on", "", "type", "max"] {
            assert_eq!(near(other, &KNOWN, |_| true), None, "{other}");
        }
        assert_eq!(near("tmieout", &KNOWN, |name| name != "timeout"), None);
        assert_eq!(near("colr", &["color", "cool"], |_| true), Some("color"));
        assert_eq!(near("cat", &["cart", "cats"], |_| true), None, "one of two is a guess");
    }

    #[test]
    fn a_command_of_elsewhere_becomes_the_runner_that_it_means() {
        let told = elsewhere("cmd", &json!("echo \"hi\"")).unwrap();
        let json = &told[told.find('{').unwrap()..];
        let runner: Runner = serde_json::from_str(json).unwrap();
        assert!(
            matches!(runner, Runner::Shell { command: Some(line), .. } if line == "echo \"hi\"")
        );
        for value in [json!(""), json!(["a"]), json!("x".repeat(500))] {
            assert!(elsewhere("command", &value).unwrap().contains("\"command\":\"date\""));
        }
        assert_eq!(elsewhere("colour", &json!(1)), None);
    }
}
