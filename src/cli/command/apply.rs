//! `apply`: definitions from files, after a plan.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::client::{Client, Request};
use super::super::definitions::{self, Definition};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{self, field};
use super::super::output::{As, Format};
use super::super::session::Session;

/// Create and change jobs from files.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// A file (YAML of several documents, JSON), a folder, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: As,
}

impl Apply {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let definitions = definitions::read(&self.file)?;
        plan_and_write(session, &definitions, self.dry_run, self.yes, self.output).await
    }
}

/// Shows what would change, asks on a terminal, writes.
pub(super) async fn plan_and_write(
    session: &Session,
    definitions: &[Definition],
    dry_run: bool,
    yes: bool,
    format: As,
) -> Outcome {
    let client = session.client()?;
    let table = matches!(format.format, Format::Table | Format::Wide);
    let output = session.output(format);
    let plan = send(&client, definitions, true).await?;
    refused(&plan, definitions)?;
    let changes = count(&plan, "created") + count(&plan, "updated");
    if dry_run || changes == 0 {
        output.list(&plan, &columns::PLAN)?;
        warn(session, &plan);
        session.say(format!("{}{}", sum(&plan), if dry_run { " (dry run)" } else { "" }));
        return Ok(0);
    }
    let asked = session.terminal.asks() && !yes;
    if asked {
        session.table().list(&plan, &columns::PLAN)?;
        session.terminal.confirm(&format!("{}. Go ahead?", sum(&plan)), false)?;
    }
    let done = send(&client, definitions, false).await?;
    if !(asked && table) {
        output.list(&done, &columns::PLAN)?;
    }
    refused(&done, definitions)?;
    warn(session, &done);
    session.say(format!("done: {}", sum(&done)));
    Ok(0)
}

/// What becomes, or would become, of the definitions.
pub(super) async fn send(
    client: &Client,
    definitions: &[Definition],
    dry_run: bool,
) -> Result<Value, Failure> {
    let items: Vec<Value> =
        definitions.iter().map(|one| Value::Object(one.fields.clone())).collect();
    let path = format!("/apply?dry_run={dry_run}");
    client.fetch(Request::post(path, &json!({ "items": items })).repeatable()).await
}

/// Fails with each definition that is refused, and where it stands.
pub(super) fn refused(plan: &Value, definitions: &[Definition]) -> Result<(), Failure> {
    let items = plan["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines = Vec::new();
    for (item, definition) in items.iter().zip(definitions) {
        if item["action"] != "refused" {
            continue;
        }
        lines.push(format!("  job {}, {}:", definition.name, definition.place));
        for fault in item["errors"].as_array().into_iter().flatten() {
            lines.push(format!("    {}: {}", field(fault, "/pointer"), field(fault, "/detail")));
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let text = match plan["dry_run"] == true {
        true => "these are refused; nothing was written:",
        false => "these were refused; the others are written:",
    };
    Err(Failure::new(Code::Failed, format!("{text}\n{}", lines.join("\n"))))
}

fn warn(session: &Session, plan: &Value) {
    for item in plan["items"].as_array().into_iter().flatten() {
        for warning in item["warnings"].as_array().into_iter().flatten() {
            let text = warning.as_str().unwrap_or_default();
            session.say(format!("warning: {}: {text}", field(item, "/name")));
        }
    }
}

fn count(plan: &Value, what: &str) -> u64 {
    plan[what].as_u64().unwrap_or_default()
}

fn sum(plan: &Value) -> String {
    let told =
        ["created", "updated", "unchanged"].map(|what| format!("{} {what}", count(plan, what)));
    told.join(", ")
}
