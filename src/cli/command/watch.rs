//! `-w`: what was listed, again whenever it changes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::client::{Client, Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::{Columns, Output};
use super::super::stream::Events;

/// What is followed.
pub(super) struct Watch<'a> {
    client: &'a Client,
    events: Events<'a>,
    /// The field of an event that names what changed, and where that is read.
    key: &'static str,
    folder: &'static str,
    /// What was shown last.
    shown: BTreeMap<String, String>,
}

impl<'a> Watch<'a> {
    pub(super) fn jobs(client: &'a Client, names: &[String]) -> Self {
        let events = Events::new(client, path("types=job,run", names));
        Watch { client, events, key: "job", folder: "/jobs", shown: BTreeMap::new() }
    }

    pub(super) fn runs(client: &'a Client, jobs: &[String]) -> Self {
        let events = Events::new(client, path("types=run", jobs));
        Watch { client, events, key: "run_id", folder: "/runs", shown: BTreeMap::new() }
    }

    /// Shows each thing as it becomes another, until Ctrl-C.
    pub(super) async fn follow(&mut self, output: &mut Output, columns: &Columns) -> Outcome {
        loop {
            let event = self.events.next().await?;
            let Ok(data) = serde_json::from_str::<Value>(&event.data) else { continue };
            let Some(name) = data[self.key].as_str() else { continue };
            let path = format!("{}/{}", self.folder, escaped(name));
            let item = match self.client.fetch(Request::get(path)).await {
                Ok(item) => item,
                // Deleted since.
                Err(failure) if failure.code == Code::NotFound => continue,
                Err(failure) => return Err(failure),
            };
            let text = item.to_string();
            if self.shown.get(name) != Some(&text) {
                self.shown.insert(name.to_owned(), text);
                output.at(crate::clock::now());
                output.row(&item, columns)?;
            }
        }
    }
}

/// Connected before the list is read, so that nothing between is missed.
pub(super) async fn ready(watch: Option<Watch<'_>>) -> Result<Option<Watch<'_>>, Failure> {
    let Some(mut watch) = watch else { return Ok(None) };
    watch.events.connect().await?;
    Ok(Some(watch))
}

fn path(types: &str, jobs: &[String]) -> String {
    let names: Vec<String> = jobs.iter().map(|name| escaped(name)).collect();
    let jobs = if names.is_empty() { String::new() } else { format!("&jobs={}", names.join(",")) };
    format!("/events?{types}{jobs}")
}
