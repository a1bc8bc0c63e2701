//! From the lines of a crontab to definitions that do the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::crontab::{Entry, Line, lines};
use crate::model::{DstGap, Name};
use crate::schedule::{Definition, Fault, Schedule};

/// How lines are read.
pub(super) struct Wanted<'a> {
    /// Lines name a user.
    pub(super) system: bool,
    pub(super) prefix: &'a str,
    pub(super) timezone: &'a str,
}

/// A definition that does what a line did.
#[derive(Debug, PartialEq)]
pub(super) struct Job {
    pub(super) place: String,
    pub(super) name: String,
    pub(super) fields: Map<String, Value>,
}

/// What there is to know about a line.
#[derive(Debug, PartialEq)]
pub(super) struct Note {
    pub(super) place: String,
    pub(super) line: usize,
    /// It is not imported.
    pub(super) lost: bool,
    pub(super) text: String,
}

/// What was made of crontabs.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) jobs: Vec<Job>,
    pub(super) notes: Vec<Note>,
    names: BTreeSet<String>,
}

/// Letters of a name that comes from a command, at most.
const NAME_LETTERS: usize = 60;

/// Adds what is in a crontab.
pub(super) fn convert(place: &str, text: &str, wanted: &Wanted<'_>, made: &mut Made) {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let note =
        |line: usize, lost: bool, text: String| Note { place: place.to_owned(), line, lost, text };
    if !text.is_empty() && !text.ends_with('\n') {
        let last = text.lines().count();
        let said = "has no end: cron leaves such a line out; it is imported".to_owned();
        made.notes.push(note(last, false, said));
    }
    for (line, found) in lines(text, wanted.system) {
        match found {
            Line::Faulty(why) => made.notes.push(note(line, true, why)),
            Line::Variable { name, value } => {
                if name == "MAILTO" && !value.is_empty() {
                    let said =
                        format!("MAILTO={value}: no mail is sent; output is kept with the run");
                    made.notes.push(note(line, false, said));
                }
                if name == "RANDOM_DELAY" {
                    let said = "RANDOM_DELAY is not taken over: give the jobs a jitter".to_owned();
                    made.notes.push(note(line, false, said));
                }
                env.insert(name, value);
            }
            Line::Entry(entry) => match job(&entry, &env, wanted) {
                Ok((base, fields)) => {
                    let name = unused(&mut made.names, &base);
                    if entry.unlogged {
                        let said = "the - before it is left out: runs are always recorded".into();
                        made.notes.push(note(line, false, said));
                    }
                    let mut all = Map::from_iter([("name".to_owned(), json!(name))]);
                    all.extend(fields);
                    made.jobs.push(Job { place: format!("{place}:{line}"), name, fields: all });
                }
                Err(why) => made.notes.push(note(line, true, why)),
            },
        }
    }
}

/// The name that a line suggests, and the other fields.
fn job(
    entry: &Entry,
    env: &BTreeMap<String, String>,
    wanted: &Wanted<'_>,
) -> Result<(String, Map<String, Value>), String> {
    if entry.expr == "@reboot" {
        return Err("@reboot: nothing here starts with a machine; let its init system do it".into());
    }
    if entry.expr.contains('~') {
        return Err(format!(
            "{}: a random time has no equal; write H for a fixed one by name",
            entry.expr
        ));
    }
    let zone = env.get("CRON_TZ").or_else(|| env.get("TZ")).map_or(wanted.timezone, String::as_str);
    let schedule = Definition {
        name: "crontab",
        expr: &entry.expr,
        timezone: zone,
        anchor: 0,
        start_at: None,
        end_at: None,
        dst_gap: DstGap::default(),
        dst_fold: None,
    };
    // From whenever: such a line has no year.
    let told =
        |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if !Schedule::parse(&schedule).map_err(told)?.fires_after(0) {
        return Err(format!("expr: {} never comes", entry.expr));
    }
    let mut fields = Map::new();
    if !entry.comment.is_empty() {
        fields.insert("description".into(), json!(entry.comment));
    }
    fields.insert("tags".into(), json!(["crontab"]));
    fields.insert("expr".into(), json!(entry.expr));
    if zone != "UTC" {
        fields.insert("timezone".into(), json!(zone));
    }
    fields.insert("runner".into(), runner(entry, env));
    // As cron does: a run does not wait for the one before, and missed times are gone.
    fields.insert("overlap".into(), json!("allow"));
    fields.insert("misfire".into(), json!({ "policy": "skip" }));
    let base = format!("{}{}", wanted.prefix, name_of(&entry.command));
    Name::parse(&base).map_err(|why| format!("{base:?} can't be a name: {why}; see --prefix"))?;
    Ok((base, fields))
}

fn runner(entry: &Entry, env: &BTreeMap<String, String>) -> Value {
    let mut line = entry.command.clone();
    if let Some(input) = &entry.input {
        // A mark that the text does not hold.
        let mut mark = "END_OF_INPUT".to_owned();
        while input.lines().any(|line| line == mark) {
            mark.push('_');
        }
        line = format!("{{ {line}\n}} <<'{mark}'\n{input}{mark}\n");
    }
    let mut runner = Map::from_iter([("type".to_owned(), json!("shell"))]);
    match env.get("SHELL").filter(|shell| *shell != "/bin/sh") {
        Some(shell) => runner.insert("argv".into(), json!([shell, "-c", line])),
        None => runner.insert("command".into(), json!(line)),
    };
    let ours = ["SHELL", "MAILTO", "MAILFROM", "CRON_TZ", "RANDOM_DELAY", "CONTENT_TYPE"];
    let kept: Map<String, Value> = env
        .iter()
        .filter(|(name, _)| !ours.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    if !kept.is_empty() {
        runner.insert("env".into(), Value::Object(kept));
    }
    if let Some(home) = env.get("HOME") {
        runner.insert("cwd".into(), json!(home));
    }
    if let Some(user) = &entry.user {
        runner.insert("user".into(), json!(user));
    }
    Value::Object(runner)
}

/// A name from the first word of a command that says something.
fn name_of(command: &str) -> String {
    // Where it is done says little.
    let done = command.strip_prefix("cd ").and_then(|rest| {
        let end = ["&&", ";"].iter().filter_map(|end| rest.find(end)).min()?;
        Some(rest[end..].trim_start_matches(['&', ';', ' ']))
    });
    let command = done.unwrap_or(command);
    let words = command.split(|c: char| c.is_whitespace() || "();&|<>{}\"'`".contains(c));
    let dull = [
        "cd",
        "test",
        "[",
        "exec",
        "sudo",
        "nice",
        "ionice",
        "env",
        "then",
        "if",
        "run-parts",
        "sleep",
        "flock",
        "timeout",
        "command",
        "sh",
        "bash",
        "python",
        "python3",
        "perl",
        "root",
    ];
    let mut told = words.filter(|word| {
        let file = word.rsplit('/').next().unwrap_or_default();
        !word.is_empty()
            && !word.starts_with(['-', '$', '!', '%', '\\'])
            && !word.contains('=')
            && file.chars().any(|c| c.is_ascii_alphabetic())
            && !dull.contains(&file)
    });
    let word = told.next().unwrap_or("job");
    let file = word.trim_end_matches('/').rsplit('/').next().unwrap_or(word);
    let stem = [".sh", ".py", ".pl", ".rb", ".php"]
        .iter()
        .find_map(|end| file.strip_suffix(end))
        .unwrap_or(file);
    let kept: String = stem
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .take(NAME_LETTERS)
        .collect();
    let kept = kept.trim_matches(['-', '.']).to_owned();
    if kept.is_empty() { "job".to_owned() } else { kept }
}

fn unused(names: &mut BTreeSet<String>, base: &str) -> String {
    let mut name = base.to_owned();
    let mut next = 2;
    while !names.insert(name.clone()) {
        name = format!("{base}-{next}");
        next += 1;
    }
    name
}

#[cfg(test)]
mod tests;
