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

mod convert;
mod crontab;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;

use super::super::definitions::{self, Definition};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output;
use super::super::session::{Session, variable};
use super::apply;
use convert::Wanted;

/// What to import.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Crontabs: of a user (`crontab -l`), or of the system
    ///
    /// Examples:
    ///   crontab -l | cronapi import crontab - --dry-run
    ///   cronapi import crontab --system --dry-run > jobs.yaml
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
            None => local_zone().unwrap_or_else(|| {
                session.say("note: this machine's time zone is not known; UTC is taken");
                "UTC".to_owned()
            }),
        };
        let wanted = Wanted { system: self.system, prefix: &self.prefix, timezone: &timezone };
        let mut made = convert::Made::default();
        for (place, text) in self.texts()? {
            convert::convert(&place, &text, &wanted, &mut made);
        }
        for note in &made.notes {
            let kind = if note.lost { "not imported" } else { "note" };
            session.say(format!("{}:{}: {kind}: {}", note.place, note.line, note.text));
        }
        let lost = made.notes.iter().filter(|note| note.lost).count();
        let jobs: Vec<Definition> = made
            .jobs
            .into_iter()
            .map(|job| Definition { place: job.place, name: job.name, fields: job.fields })
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
        apply::plan_and_write(session, &jobs, &[], false, self.yes, output::As::default()).await
    }

    fn texts(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut files = self.files.clone();
        if files.is_empty() {
            files.extend(system_files()?);
        }
        let mut texts = Vec::new();
        for file in files {
            if file.as_os_str() == "-" {
                let text = io::read_to_string(io::stdin());
                let text = text.map_err(|e| Failure::failed(format!("standard input: {e}")))?;
                texts.push(("standard input".to_owned(), text));
                continue;
            }
            let text = fs::read_to_string(&file).map_err(|error| {
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

/// The IANA name of this machine's zone: TZ, /etc/timezone, where /etc/localtime leads.
fn local_zone() -> Option<String> {
    let known = |name: &str| crate::schedule::zone_names().any(|zone| zone == name);
    let linked = || {
        let target = fs::canonicalize(Path::new("/etc/localtime")).ok()?;
        let text = target.to_str()?;
        Some(text.split_once("/zoneinfo/")?.1.to_owned())
    };
    let written = || Some(fs::read_to_string("/etc/timezone").ok()?.trim().to_owned());
    let set = || variable("TZ").map(|zone| zone.trim_start_matches(':').to_owned());
    let found = set().or_else(written).or_else(linked)?;
    let found = found.trim_start_matches("posix/").trim_start_matches("right/").to_owned();
    match found.as_str() {
        "Etc/UTC" | "UTC0" | "Universal" => Some("UTC".to_owned()),
        name => known(name).then(|| name.to_owned()),
    }
}
