//! `import crontab`: jobs from the crontabs of a machine.
//!
//! ```text
//! text ─ crontab: lines ─> entries, notes ─ convert ─> definitions ─> plan, apply
//! ```
//!
//! Owns: what a crontab means, and what of it has no equal here: that is told line by line.
//! Does not own: how definitions are written (`apply`).
//!
//! To add a source: a module beside `crontab.rs`, a variant of [`Import`], docs/cli.md. To
//! change what a line means: its row in the tests of `convert.rs`.

mod background;
mod convert;
mod crontab;
mod watch;
mod wrap;
mod zone;

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;

use super::super::client::{Request, escaped};
use super::super::definitions::{self, Definition};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output;
use super::super::session::{Session, variable};
use super::apply;
use super::kinds::with_kind;
use crate::model::Kind;
use crate::model::{Name, limits};
use convert::Wanted;
use watch::Watched;

const STDIN: &str = "standard input";

/// What to import.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Crontabs: of a user (`crontab -l`), or of the system
    ///
    /// Examples:
    ///   crontab -l | cronapi import crontab - --dry-run
    ///   cronapi import crontab --system --dry-run > jobs.yaml
    ///   crontab -l > mine && cronapi import crontab mine --monitor > watched && crontab watched
    #[command(verbatim_doc_comment)]
    Crontab(Crontab),
}

/// Import crontabs.
#[derive(Debug, clap::Args)]
pub struct Crontab {
    /// Crontabs; - for standard input
    #[arg(value_name = "FILE", required_unless_present = "system")]
    files: Vec<PathBuf>,
    /// The lines name a user, as in /etc/crontab; without FILE: /etc/crontab and /etc/cron.d
    #[arg(long)]
    system: bool,
    /// Print the definitions as YAML, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Before the names of the jobs
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// The zone that the times are in [default: CRON_TZ in the crontab, else this machine's]
    #[arg(long, visible_alias = "tz", value_name = "ZONE")]
    timezone: Option<String>,
    /// The name of the crontab, by which its jobs are known again [default: of machine and file]
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    /// Replace jobs of the same names that are not from this crontab
    #[arg(long)]
    replace: bool,
    /// Leave the lines with cron and make monitors that listen for them; print the crontab anew,
    /// with each command behind `cronapi exec`, which tells its monitor
    #[arg(long)]
    monitor: bool,
    /// Leave out what can't be imported; otherwise such a line keeps all from being written
    #[arg(long)]
    skip: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
}

impl Import {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let Import::Crontab(crontab) = self;
        crontab.run(session).await
    }
}

impl Crontab {
    async fn run(self, session: &Session) -> Outcome {
        let timezone = match &self.timezone {
            Some(zone) => zone.clone(),
            None => machines_zone(session),
        };
        let mut made = convert::Made::default();
        let texts = self.texts()?;
        if self.monitor && texts.len() != 1 {
            let text = "--monitor prints one crontab anew: name one file";
            return Err(Failure::usage(text));
        }
        for (place, text) in &texts {
            let origin = self.origin(place)?;
            let (system, prefix) = (self.system, self.prefix.as_str());
            let origin = origin.as_deref();
            let monitor = self.monitor;
            let wanted = Wanted { system, prefix, timezone: &timezone, origin, monitor };
            convert::convert(place, text, &wanted, &mut made);
        }
        let lost = if self.monitor { "not watched" } else { "not imported" };
        for note in &made.notes {
            let kind = if note.lost { lost } else { "note" };
            session.say(format!("{}:{}: {kind}: {}", note.place, note.line, note.text));
        }
        if self.monitor {
            return self.watch(session, &texts[0].1, made.jobs).await;
        }
        let lost = made.notes.iter().filter(|note| note.lost).count();
        let jobs: Vec<Definition> = made
            .jobs
            .into_iter()
            .map(|job| Definition {
                kind: Kind::Job,
                place: job.place,
                name: job.name,
                fields: job.fields,
            })
            .collect();
        session.say(format!("{} jobs, {lost} lines can't be imported", jobs.len()));
        if self.dry_run {
            for job in &jobs {
                output::text("---\n")?;
                output::text(&definitions::yaml(&Value::Object(job.fields.clone()))?)?;
            }
            return Ok(if lost > 0 && !self.skip { Code::Failed as u8 } else { 0 });
        }
        if lost > 0 && !self.skip {
            return Err(Failure::failed("nothing was written")
                .advise("mend those lines, or give --skip to import the rest without them"));
        }
        if jobs.is_empty() {
            return Err(Failure::failed("there is no job to import"));
        }
        self.others(session, &jobs).await?;
        apply::plan_and_write(session, &jobs, &[], false, self.yes, output::As::default()).await
    }

    /// Makes monitors of lines that stay where they are. What can't be watched goes on as it is.
    async fn watch(&self, session: &Session, text: &[u8], lines: Vec<convert::Job>) -> Outcome {
        let monitor = |line: convert::Job| {
            let (kind, place) = (Kind::Monitor, line.place);
            (line.line, Definition { kind, place, name: line.name, fields: line.fields })
        };
        let mut monitors: Vec<(usize, Definition)> = lines.into_iter().map(monitor).collect();
        let watched = Watched { text, system: self.system, monitors: &monitors };
        let long = watched.too_long(session)?;
        for (line, monitor) in monitors.iter().filter(|(line, _)| long.contains(line)) {
            session.say(format!(
                "{}: not watched: line {line} would be longer than cron takes; put its command \
                 in a script",
                monitor.place
            ));
        }
        monitors.retain(|(line, _)| !long.contains(line));
        if self.dry_run {
            for (_, monitor) in &monitors {
                let fields = with_kind(Kind::Monitor, Value::Object(monitor.fields.clone()));
                output::text("---\n")?;
                output::text(&definitions::yaml(&fields)?)?;
            }
            return Ok(0);
        }
        if monitors.is_empty() {
            return Err(Failure::failed("there is no line to watch"));
        }
        let definitions: Vec<Definition> =
            monitors.iter().map(|(_, monitor)| monitor.clone()).collect();
        self.others(session, &definitions).await?;
        if session.terminal.asks() && !self.yes {
            let question = format!("Make {}?", watch::sum(monitors.len()));
            session.terminal.confirm(&question, false)?;
        }
        Watched { text, system: self.system, monitors: &monitors }.make(session).await?;
        session.say(format!(
            "{}; the crontab that tells them was printed: `crontab FILE` takes it",
            watch::sum(monitors.len())
        ));
        Ok(0)
    }

    /// The tag of the jobs of a crontab. What comes through a pipe has no name but a given one.
    fn origin(&self, place: &str) -> Result<Option<String>, Failure> {
        let name = match &self.origin {
            Some(name) => name.clone(),
            None if place == STDIN => return Ok(None),
            None => {
                let path = fs::canonicalize(place).unwrap_or_else(|_| PathBuf::from(place));
                format!("{}{}", machine(), path.display())
            }
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
        let mut tag = format!("crontab.{}", name.chars().map(plain).collect::<String>());
        // The end tells more of a path than its beginning.
        if tag.len() > limits::NAME_LEN_MAX {
            let over = tag.len() - limits::NAME_LEN_MAX;
            tag.replace_range("crontab.".len().."crontab.".len() + over, "");
        }
        Name::parse(&tag).map_err(|why| Failure::usage(format!("--origin: {why}")))?;
        Ok(Some(tag))
    }

    /// Jobs of the same names that are not from this crontab are not replaced without `--replace`.
    async fn others(&self, session: &Session, jobs: &[Definition]) -> Result<(), Failure> {
        if self.replace {
            return Ok(());
        }
        let client = session.client()?;
        let plan = apply::send(&client, jobs, true).await?;
        let items = plan["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut others = Vec::new();
        for (item, job) in items.iter().zip(jobs) {
            if item["action"] != "updated" {
                continue;
            }
            let path = format!("/{}/{}", job.kind.plural(), escaped(&job.name));
            let known = client.fetch(Request::get(path)).await?;
            let tags = |tags: &Value| -> Vec<String> {
                let tags = tags.as_array().into_iter().flatten();
                let tags = tags.filter_map(Value::as_str).map(str::to_owned);
                tags.filter(|tag| tag.starts_with("crontab.")).collect()
            };
            let own = tags(job.fields.get("tags").unwrap_or(&Value::Null));
            let theirs = tags(&known["tags"]);
            if !own.iter().any(|tag| theirs.contains(tag)) {
                others.push(job.name.as_str());
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let what = if self.monitor { "monitors" } else { "jobs" };
        let text = format!("there are {what} of these names already: {}", others.join(", "));
        if session.terminal.asks() {
            let question = format!("{text}, and they are not from this crontab. Replace them?");
            return session.terminal.confirm(&question, false);
        }
        let failure = Failure::new(Code::Conflict, format!("{text}; nothing was written"));
        Err(failure.advise(
            "--prefix TEXT gives the new ones other names; --replace puts them in place of the old",
        ))
    }

    fn texts(&self) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let mut files = self.files.clone();
        if files.is_empty() {
            files.extend(system_files()?);
        }
        let mut texts = Vec::new();
        for file in files {
            if file.as_os_str() == "-" {
                let mut text = Vec::new();
                let read = io::stdin().read_to_end(&mut text);
                read.map_err(|e| Failure::failed(format!("{STDIN}: {e}")))?;
                texts.push((STDIN.to_owned(), text));
                continue;
            }
            let text = fs::read(&file).map_err(|error| {
                let code = match error.kind() {
                    io::ErrorKind::NotFound => Code::NotFound,
                    _ => Code::Failed,
                };
                Failure::new(code, format!("{}: {error}", file.display()))
            })?;
            texts.push((file.display().to_string(), text));
        }
        Ok(texts)
    }
}

/// `/etc/crontab`, and what cron takes of `/etc/cron.d`: no dots in a name.
fn system_files() -> Result<Vec<PathBuf>, Failure> {
    let mut files = vec![PathBuf::from("/etc/crontab")];
    files.retain(|file| file.exists());
    let mut more = Vec::new();
    for entry in fs::read_dir("/etc/cron.d").into_iter().flatten().flatten() {
        let plain = entry.file_name().to_str().is_some_and(|name| {
            name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        });
        if plain && entry.path().is_file() {
            more.push(entry.path());
        }
    }
    more.sort();
    files.extend(more);
    if files.is_empty() {
        let text = "there is no /etc/crontab, and nothing in /etc/cron.d";
        return Err(Failure::new(Code::NotFound, text));
    }
    Ok(files)
}

fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn machines_zone(session: &Session) -> String {
    let found = zone::of_machine(Path::new("/"), variable("TZ").as_deref());
    if let Some(said) = &found.said {
        session.say(format!("note: {said}"));
    }
    found.name
}
