//! `import crontab --monitor`: the lines stay with cron, and monitors listen for them.

use std::collections::BTreeMap;

use reqwest::Method;

use super::super::super::client::{Client, Request, escaped};
use super::super::super::definitions::Definition;
use super::super::super::exit::Failure;
use super::super::super::output;
use super::super::super::session::Session;
use super::super::apply;
use super::wrap::{COMMAND_BYTES_MAX, quoted, wrapped};
use crate::model::Kind;

/// The text of a key is as long as that of any UUID.
const KEY_LEN: usize = 36;

/// A crontab, and the monitors of its lines.
pub(super) struct Watched<'a> {
    pub(super) text: &'a [u8],
    pub(super) system: bool,
    /// With the number of the line.
    pub(super) monitors: &'a [(usize, Definition)],
}

impl Watched<'_> {
    /// The lines that would be longer than cron takes.
    pub(super) fn too_long(&self, session: &Session) -> Result<Vec<usize>, Failure> {
        let exec = exec(session, &format!("/ping/{}", "0".repeat(KEY_LEN)))?;
        let all = self.monitors.iter().map(|(line, _)| (*line, exec.clone())).collect();
        let text = wrapped(self.text, self.system, &all);
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        let long = lines
            .filter(|(at, line)| all.contains_key(&(at + 1)) && line.len() > COMMAND_BYTES_MAX);
        Ok(long.map(|(at, _)| at + 1).collect())
    }

    /// Makes the monitors, and prints the crontab that tells them.
    pub(super) async fn make(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client()?;
        let monitors: Vec<Definition> =
            self.monitors.iter().map(|(_, monitor)| monitor.clone()).collect();
        let done = apply::send(&client, &monitors, false).await?;
        apply::refused(&done, &monitors)?;
        let items = done["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut with = BTreeMap::new();
        for ((line, monitor), item) in self.monitors.iter().zip(items) {
            let path = match item["ping_path"].as_str() {
                Some(path) => path.to_owned(),
                None => another_key(&client, &monitor.name).await?,
            };
            with.insert(*line, exec(session, &path)?);
        }
        let text = wrapped(self.text, self.system, &with);
        output::text(&String::from_utf8_lossy(&text))
    }
}

/// One that was there tells its key to nobody: the line gets a new one.
async fn another_key(client: &Client, name: &str) -> Result<String, Failure> {
    let path = format!("/monitors/{}/key", escaped(name));
    let answer = client.fetch(Request::new(Method::POST, path)).await?;
    let path = answer["ping_path"].as_str().map(str::to_owned);
    path.ok_or_else(|| Failure::failed("the server's answer has no ping_path"))
}

/// What a line is given to: this program, where it is, since cron looks in few places.
fn exec(session: &Session, ping_path: &str) -> Result<String, Failure> {
    let program = std::env::current_exe()
        .map_err(|e| Failure::failed(format!("where this program is can't be found out: {e}")))?;
    let connection = session.connection()?;
    let server = connection.servers.first().map_or("", String::as_str).trim_end_matches('/');
    let ca = connection.ca.map_or_else(String::new, |ca| {
        let ca = std::path::absolute(&ca).unwrap_or(ca);
        format!(" --ca {}", word(&ca.to_string_lossy()))
    });
    let place = format!("{server}{ping_path}");
    Ok(format!("{} exec{ca} {}", word(&program.to_string_lossy()), word(&place)))
}

/// In quotes where a shell needs them; and `%` is not cron's.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:._-+@".contains(c);
    let word = if text.chars().all(plain) { text.to_owned() } else { quoted(text) };
    word.replace('%', r"\%")
}

/// The definitions of monitors, told of in one line.
pub(super) fn sum(monitors: usize) -> String {
    format!("{monitors} {}", if monitors == 1 { Kind::Monitor.as_str() } else { "monitors" })
}
