//! `apply`: definitions from files, after a plan.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::client::{Client, Request, escaped, with_query};
use super::super::definitions::{self, Definition};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{self, field};
use super::super::output::{As, Format};
use super::super::session::Session;
use super::get::all;
use super::kinds::with_kind;
use crate::model::Kind;
use crate::model::job::NEVER_FIRES;

/// Create and change definitions from files.
#[derive(Debug, clap::Args)]
pub struct Apply {
    /// A file (YAML of several documents, JSON), a folder, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
    /// Delete the jobs with the tags of -l that are in no file
    #[arg(long, requires = "tag")]
    prune: bool,
    /// With --prune: the files are all there is of the jobs with this tag; may be repeated
    #[arg(short = 'l', long, value_name = "TAG", requires = "prune")]
    tag: Vec<String>,
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
        let gone = match self.prune {
            true => not_in(&session.client()?, &definitions, &self.tag).await?,
            false => Vec::new(),
        };
        plan_and_write(session, &definitions, &gone, self.dry_run, self.yes, self.output).await
    }
}

/// The jobs with all of `tags` that no definition is of.
async fn not_in(
    client: &Client,
    definitions: &[Definition],
    tags: &[String],
) -> Result<Vec<Value>, Failure> {
    for definition in definitions.iter().filter(|one| one.kind == Kind::Job) {
        let own = definition.fields.get("tags").and_then(Value::as_array);
        let has = |tag: &String| own.is_some_and(|own| own.iter().any(|one| *one == **tag));
        if let Some(tag) = tags.iter().find(|tag| !has(tag)) {
            let (name, place) = (&definition.name, &definition.place);
            return Err(Failure::usage(format!("job {name}, {place}: has not the tag {tag}"))
                .advise("with --prune, every job of the files has the tags of -l"));
        }
    }
    let query: Vec<_> = tags.iter().map(|tag| ("tag", Some(tag.clone()))).collect();
    let known = all(client, &with_query("/jobs", &query), 0).await?;
    let is = |job: &Value, one: &Definition| one.kind == Kind::Job && job["name"] == *one.name;
    let left = |job: &&Value| !definitions.iter().any(|one| is(job, one));
    Ok(known["items"].as_array().into_iter().flatten().filter(left).cloned().collect())
}

/// Shows what would change, asks on a terminal, writes; `gone` are jobs to delete.
pub(super) async fn plan_and_write(
    session: &Session,
    definitions: &[Definition],
    gone: &[Value],
    dry_run: bool,
    yes: bool,
    format: As,
) -> Outcome {
    let client = session.client()?;
    let table = matches!(format.format, Format::Table | Format::Wide);
    let output = session.output(format);
    let mut plan = send(&client, definitions, true).await?;
    refused(&plan, definitions)?;
    add(&mut plan, gone);
    let changed = ["created", "updated", "deleted"].iter().any(|what| count(&plan, what) > 0);
    if dry_run || !changed {
        output.list(&plan, &columns::PLAN)?;
        warn(session, &plan, definitions);
        session.say(format!("{}{}", sum(&plan), if dry_run { " (dry run)" } else { "" }));
        return Ok(0);
    }
    let asked = session.terminal.asks() && !yes;
    if asked {
        session.table().list(&plan, &columns::PLAN)?;
        session.terminal.confirm(&format!("{}. Go ahead?", sum(&plan)), false)?;
    }
    let mut done = send(&client, definitions, false).await?;
    if refused(&done, definitions).is_ok() {
        delete(&client, gone).await?;
        add(&mut done, gone);
    }
    if !(asked && table) {
        output.list(&done, &columns::PLAN)?;
    }
    refused(&done, definitions)?;
    warn(session, &done, definitions);
    session.say(format!("done: {}", sum(&done)));
    Ok(0)
}

/// Adds jobs to delete to a plan.
fn add(plan: &mut Value, gone: &[Value]) {
    plan["deleted"] = gone.len().into();
    let row = |job: &Value| {
        json!({ "name": job["name"], "action": "deleted", "version": job["version"],
            "next_before": job["next_fire_at"], "next_after": null, "warnings": [] })
    };
    if let Some(items) = plan["items"].as_array_mut() {
        items.extend(gone.iter().map(row));
    }
}

/// Deletes jobs, each unless it was changed since the plan.
async fn delete(client: &Client, gone: &[Value]) -> Result<(), Failure> {
    for job in gone {
        let name = field(job, "/name");
        let request = Request::delete(format!("/jobs/{}", escaped(&name)));
        let request = request.header("if-match", format!("\"{}\"", job["version"])).once()?;
        let answer = client.send(request).await;
        answer.map_err(|failure| failure.of(&format!("job {name} can't be deleted")))?;
    }
    Ok(())
}

/// What becomes, or would become, of the definitions.
pub(super) async fn send(
    client: &Client,
    definitions: &[Definition],
    dry_run: bool,
) -> Result<Value, Failure> {
    let item = |one: &Definition| with_kind(one.kind, Value::Object(one.fields.clone()));
    let items: Vec<Value> = definitions.iter().map(item).collect();
    let path = format!("/apply?dry_run={dry_run}");
    client.fetch(Request::post(path, &json!({ "items": items })).repeatable()).await
}

/// Fails with each definition that is refused, and where it stands.
pub(super) fn refused(plan: &Value, definitions: &[Definition]) -> Result<(), Failure> {
    let items = plan["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut lines = Vec::new();
    for (item, definition) in items.iter().zip(definitions) {
        if item["action"] != "refused" || is_over(item, definition) {
            continue;
        }
        let kind = definition.kind.as_str();
        lines.push(format!("  {kind} {}, {}:", definition.name, definition.place));
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

/// Whether a definition is refused for nothing but that its times are over: of one time that has
/// come, or with an end. Such a one must not keep the others back for ever.
fn is_over(item: &Value, definition: &Definition) -> bool {
    let fields = &definition.fields;
    let ends = fields.get("end_at").is_some_and(Value::is_string)
        || fields.get("expr").and_then(Value::as_str).is_some_and(|expr| expr.starts_with("@at"));
    let errors = item["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    ends && !errors.is_empty() && errors.iter().all(|error| error["detail"] == NEVER_FIRES)
}

fn warn(session: &Session, plan: &Value, definitions: &[Definition]) {
    let items = plan["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (item, definition) in items.iter().zip(definitions) {
        if item["action"] == "refused" && is_over(item, definition) {
            let (name, place) = (&definition.name, &definition.place);
            session.say(format!("warning: {name}, {place}: left out: its times are over"));
        }
    }
    for item in plan["items"].as_array().into_iter().flatten() {
        if let Some(path) = item["ping_path"].as_str() {
            session.say(format!("monitor {}: its pings go to {path}", field(item, "/name")));
        }
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
    let told = |what: &&str| *what != "deleted" || count(plan, what) > 0;
    let all = ["created", "updated", "unchanged", "deleted"];
    let told = all.iter().filter(|what| told(what));
    told.map(|what| format!("{} {what}", count(plan, what))).collect::<Vec<_>>().join(", ")
}
