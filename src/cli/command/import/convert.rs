//! From the lines of a crontab to definitions that do the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::background::{self, Background};
use super::crontab::{Entry, Line, lines};
use super::wrap::is_wrapped;
use crate::model::{DstGap, JobSpec, Name};
use crate::schedule::{Definition, Fault, Schedule};

/// How lines are read.
pub(super) struct Wanted<'a> {
    /// Lines name a user.
    pub(super) system: bool,
    pub(super) prefix: &'a str,
    pub(super) timezone: &'a str,
    /// A tag that tells of which crontab a job is.
    pub(super) origin: Option<&'a str>,
    /// The lines stay, and are watched: monitors are made, and no jobs.
    pub(super) monitor: bool,
}

/// A definition that does what a line did.
#[derive(Debug, PartialEq)]
pub(super) struct Job {
    pub(super) place: String,
    pub(super) line: usize,
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

/// How long a line that is watched may take: nobody has said, and an alarm for nothing is worse.
const MAX_DURATION: &str = "1d";

/// Letters of a name that comes from a command, at most.
const NAME_LETTERS: usize = 60;

/// Adds what is in a crontab.
pub(super) fn convert(place: &str, text: &[u8], wanted: &Wanted<'_>, made: &mut Made) {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let note =
        |line: usize, lost: bool, text: String| Note { place: place.to_owned(), line, lost, text };
    if !text.is_empty() && !text.ends_with(b"\n") {
        let last = text.split(|byte| *byte == b'\n').count();
        let said = "has no end: cron leaves such a line out; it is imported".to_owned();
        made.notes.push(note(last, false, said));
    }
    for (line, found) in lines(text, wanted.system) {
        match found {
            Line::Faulty(why) => made.notes.push(note(line, true, why)),
            Line::Variable { name, value } => {
                let said = about_variable(&name, &value).filter(|_| !wanted.monitor);
                made.notes.extend(said.map(|said| note(line, false, said)));
                env.insert(name, value);
            }
            Line::Entry(entry) if wanted.monitor && is_wrapped(&entry.command) => {
                made.notes.push(note(line, false, "tells a monitor already".to_owned()));
            }
            Line::Entry(mut entry) => {
                let mut said = Vec::new();
                let read = match wanted.monitor {
                    true => watched(&entry, &env, wanted, &mut said),
                    false => {
                        in_front(&mut entry, &mut said).and_then(|()| job(&entry, &env, wanted))
                    }
                };
                let named = read.and_then(|(base, fields)| {
                    let name = unused(&mut made.names, &base);
                    let mut all = Map::from_iter([("name".to_owned(), json!(name))]);
                    all.extend(fields);
                    if wanted.monitor {
                        return Ok((name, all));
                    }
                    let faults = JobSpec::from_map(all.clone()).err().into_iter().flatten();
                    let faults: Vec<String> = faults
                        .map(|fault| format!("{}: {}", fault.pointer, fault.detail))
                        .collect();
                    if faults.is_empty() { Ok((name, all)) } else { Err(faults.join("; ")) }
                });
                match named {
                    Ok((name, fields)) => {
                        made.notes.extend(said.into_iter().map(|said| note(line, false, said)));
                        let place = format!("{place}:{line}");
                        made.jobs.push(Job { place, line, name, fields });
                    }
                    Err(why) => made.notes.push(note(line, true, why)),
                }
            }
        }
    }
}

/// The monitor of a line that stays with cron.
fn watched(
    entry: &Entry,
    env: &BTreeMap<String, String>,
    wanted: &Wanted<'_>,
    said: &mut Vec<String>,
) -> Result<(String, Map<String, Value>), String> {
    if background::look(&entry.command) != Background::None {
        said.push("what it leaves in the background is not waited for, and not watched".into());
    }
    let (base, mut fields) = job(entry, env, wanted)?;
    fields.retain(|name, _| ["description", "tags", "expr", "timezone"].contains(&name.as_str()));
    fields.insert("max_duration".into(), json!(MAX_DURATION));
    Ok((base, fields))
}

fn about_variable(name: &str, value: &str) -> Option<String> {
    match name {
        "MAILTO" if !value.is_empty() => {
            Some(format!("MAILTO={value}: no mail is sent; output is kept with the run"))
        }
        "RANDOM_DELAY" => Some("RANDOM_DELAY is not taken over: give the jobs a jitter".to_owned()),
        "TZ" => Some(
            "TZ is in the environment of the jobs, and does not move their times: cron knows \
             only CRON_TZ for that"
                .to_owned(),
        ),
        "LOGNAME" => Some("LOGNAME is left out, as cron does".to_owned()),
        _ => None,
    }
}

/// Brings what runs in the background to the front, and notes what else is odd of a line.
fn in_front(entry: &mut Entry, said: &mut Vec<String>) -> Result<(), String> {
    match background::look(&entry.command) {
        Background::None => {}
        Background::Whole(command) => {
            entry.command = command;
            // A shell gives what it starts so nothing to read.
            entry.input.clear();
            said.push("the & at its end is left out: a run lasts until its command ends".into());
        }
        Background::Part => {
            return Err("a command behind & would end with the run: add `wait` at the end, or \
                        make it a line of its own"
                .into());
        }
    }
    if entry.unlogged {
        said.push("the - before it is left out: runs are always recorded".into());
    }
    if entry.doubtful {
        said.push(
            "\\\\%: the command ends there, as in Vixie's and Debian's cron; cronie reads \\%"
                .into(),
        );
    }
    Ok(())
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
        return Err(random(&entry.expr));
    }
    // Empty means the machine's own.
    let own = env.get("CRON_TZ").filter(|zone| !zone.is_empty());
    let zone = own.map_or(wanted.timezone, String::as_str);
    // From whenever: such a line has no year.
    let told =
        |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if !schedule(&entry.expr, zone).map_err(told)?.fires_after(0) {
        return Err(format!("expr: {} never comes", entry.expr));
    }
    let mut fields = Map::new();
    if !entry.comment.is_empty() {
        fields.insert("description".into(), json!(entry.comment));
    }
    let tags: Vec<&str> = std::iter::once("crontab").chain(wanted.origin).collect();
    fields.insert("tags".into(), json!(tags));
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

fn schedule(expr: &str, timezone: &str) -> Result<Schedule, Vec<Fault>> {
    let (dst_gap, dst_fold, start_at, end_at) = (DstGap::default(), None, None, None);
    let (name, anchor) = ("crontab", 0);
    let given = Definition { name, expr, timezone, anchor, start_at, end_at, dst_gap, dst_fold };
    Schedule::parse(&given)
}

/// `~` and `0~30` are `H` and `H(0-30)`, if a fixed time by name will do.
fn random(expr: &str) -> String {
    let field = |field: &str| match field.split_once('~') {
        Some(("", "")) => "H".to_owned(),
        Some((from, to)) => format!("H({from}-{to})"),
        None => field.to_owned(),
    };
    let fixed: Vec<String> = expr.split(' ').map(field).collect();
    let fixed = fixed.join(" ");
    let told = format!("{expr}: a random time has no equal");
    match schedule(&fixed, "UTC") {
        Ok(_) => format!("{told}; `{fixed}` has a fixed one in its place, by the name of the job"),
        Err(_) => told,
    }
}

fn runner(entry: &Entry, env: &BTreeMap<String, String>) -> Value {
    let line = &entry.command;
    let mut runner = Map::from_iter([("type".to_owned(), json!("shell"))]);
    match env.get("SHELL").filter(|shell| *shell != "/bin/sh") {
        Some(shell) => runner.insert("argv".into(), json!([shell, "-c", line])),
        None => runner.insert("command".into(), json!(line)),
    };
    // As cron's shell: only the last command of a pipeline counts.
    if runner.contains_key("command") && line.contains('|') {
        runner.insert("pipefail".into(), json!(false));
    }
    runner.insert("stdin".into(), json!(entry.input));
    let ours =
        ["SHELL", "LOGNAME", "MAILTO", "MAILFROM", "CRON_TZ", "RANDOM_DELAY", "CONTENT_TYPE"];
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
