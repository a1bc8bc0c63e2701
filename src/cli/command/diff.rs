//! `diff`: how files differ from what the cluster has.

use std::path::PathBuf;

use anstyle::AnsiColor;
use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

use super::super::client::{Client, Request};
use super::super::definitions;
use super::super::exit::{Code, Failure, Outcome};
use super::super::output;
use super::super::session::Session;
use super::apply;
use super::kinds::Thing;
use crate::model::Kind;

/// Show how files differ from what the cluster has.
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// A file (YAML of several documents, JSON), a folder, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
}

impl Diff {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        // 1 means that they differ: whatever else goes wrong must not say so.
        self.compare(session).await.map_err(|mut failure| {
            if failure.code == Code::Failed {
                failure.code = Code::Usage;
            }
            failure
        })
    }

    async fn compare(self, session: &Session) -> Outcome {
        let all = definitions::read(&self.file)?;
        let client = session.client()?;
        let plan = apply::send(&client, &all, true).await?;
        apply::refused(&plan, &all)?;
        let mut differs = false;
        for (definition, item) in all.iter().zip(plan["items"].as_array().into_iter().flatten()) {
            if item["action"] == "unchanged" || item["action"] == "refused" {
                continue;
            }
            differs = true;
            let thing = Thing { kind: definition.kind, name: definition.name.clone() };
            let before = present(&client, &thing).await?;
            let mut fields = definition.fields.clone();
            let enabled = before.get("enabled").filter(|_| thing.kind == Kind::Job);
            if let Some(enabled) = enabled.filter(|_| !fields.contains_key("enabled")) {
                // As `apply` does: a pause is no part of a file that does not name it.
                fields.insert("enabled".to_owned(), enabled.clone());
            }
            let after = planned(&client, &thing, &fields).await?;
            let text = unified(&thing.word(), &before, &after, session.terminal.color())?;
            output::text(&text)?;
        }
        Ok(u8::from(differs))
    }
}

/// The definition that the cluster has.
async fn present(client: &Client, thing: &Thing) -> Result<Map<String, Value>, Failure> {
    match client.fetch(Request::get(thing.path())).await {
        Ok(answer) => Ok(definitions::of_answer(thing.kind, &answer)),
        Err(failure) if failure.code == Code::NotFound => Ok(Map::new()),
        Err(failure) => Err(failure),
    }
}

/// The definition that it would have.
async fn planned(
    client: &Client,
    thing: &Thing,
    fields: &Map<String, Value>,
) -> Result<Map<String, Value>, Failure> {
    let path = format!("{}?dry_run=true", thing.path());
    let request = Request::new(reqwest::Method::PUT, path);
    let answer = client.fetch(request.json(&Value::Object(fields.clone())).repeatable()).await?;
    Ok(definitions::of_answer(thing.kind, &answer))
}

/// Both as YAML, line against line.
pub(super) fn unified(
    name: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    color: bool,
) -> Result<String, Failure> {
    let text = |map: &Map<String, Value>| match map.is_empty() {
        true => Ok(String::new()),
        false => definitions::yaml(&Value::Object(map.clone())),
    };
    let (before, after) = (text(before)?, text(after)?);
    let diff = TextDiff::from_lines(&before, &after);
    let mut made = format!("--- {name} in the cluster\n+++ {name} in the file\n");
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        made.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            let (sign, tone) = match change.tag() {
                ChangeTag::Delete => ('-', Some(AnsiColor::Red)),
                ChangeTag::Insert => ('+', Some(AnsiColor::Green)),
                ChangeTag::Equal => (' ', None),
            };
            let line = change.value().trim_end_matches('\n');
            made.push_str(&match tone.filter(|_| color) {
                Some(tone) => {
                    let style = tone.on_default();
                    format!("{style}{sign}{line}{style:#}\n")
                }
                None => format!("{sign}{line}\n"),
            });
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_new_job_is_all_additions_and_a_changed_line_is_two() {
        let map = |value: Value| value.as_object().cloned().unwrap();
        let new = unified("a", &Map::new(), &map(json!({"name": "a"})), false).unwrap();
        assert!(new.ends_with("+name: a\n"), "{new}");
        let (one, two) =
            (json!({"name": "a", "expr": "@hourly"}), json!({"name": "a", "expr": "@daily"}));
        let text = unified("a", &map(one), &map(two), false).unwrap();
        assert!(text.contains("\n name: a\n-expr:") && text.contains("\n+expr:"), "{text}");
    }
}
