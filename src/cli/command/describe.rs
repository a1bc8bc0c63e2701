//! `describe`: all there is to know of a job, a run or a node.

use clap::Subcommand;
use serde_json::Value;

use super::super::client::{Client, Request, escaped};
use super::super::definitions;
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{self, field, time};
use super::super::output::{self, As, Format, Output, plain};
use super::super::session::Session;
use super::get::job;
use super::kinds::{OfKind, Thing};
use super::pick::run_id;
use crate::model::Kind;

/// What to describe.
#[derive(Debug, Subcommand)]
pub enum Describe {
    /// A job: its definition, next times, last runs, last outcomes
    Job {
        /// Its name
        name: String,
        /// The job of that name, or uid, that was deleted
        #[arg(long)]
        deleted: bool,
    },
    /// A run: its times, attempts and parameters
    Run {
        /// Its id; the beginning is enough
        id: String,
    },
    /// A node
    Node {
        /// Its number or name
        id: String,
    },
    /// A definition of another kind
    #[command(flatten)]
    Of(OfKind<Name>),
}

/// Which one.
#[derive(Clone, Debug, clap::Args)]
pub struct Name {
    /// Its name
    name: String,
}

impl Describe {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let output = session.output(As { format: Format::Table });
        match self {
            Describe::Job { name, deleted } => {
                describe_job(&client, &output, &name, deleted).await?;
            }
            Describe::Run { id } => {
                let id = run_id(&client, &id).await?;
                let run = client.fetch(Request::get(format!("/runs/{id}"))).await?;
                fields(&output, &run, &[])?;
            }
            Describe::Node { id } => {
                let nodes = client.fetch(Request::get("/cluster/nodes")).await?;
                let mut items = nodes["items"].as_array().into_iter().flatten();
                let node = items.find(|node| is_node(node, &id)).ok_or_else(|| {
                    Failure::new(Code::NotFound, format!("there is no node {id}"))
                        .advise("`cronapi get nodes` lists them")
                })?;
                fields(&output, node, &[])?;
            }
            Describe::Of(OfKind { kind, args }) => {
                let thing = Thing { kind, name: args.name };
                fields(&output, &thing.get(&client).await?, &[])?;
                if kind == Kind::Monitor {
                    let pings = Request::get(format!("{}/pings?limit=5", thing.path()));
                    let pings = client.fetch(pings).await?;
                    if pings["items"].as_array().is_some_and(|items| !items.is_empty()) {
                        output::line("\nLast pings:")?;
                        output.list(&pings, &columns::PINGS)?;
                    }
                }
                let versions = Request::get(format!("{}/versions?limit=5", thing.path()));
                let versions = client.fetch(versions).await?;
                if versions["items"].as_array().is_some_and(|items| !items.is_empty()) {
                    output::line("\nLast versions:")?;
                    output.list(&versions, &columns::VERSIONS)?;
                }
            }
        }
        Ok(0)
    }
}

fn is_node(node: &Value, word: &str) -> bool {
    node["name"] == word || node["id"].as_u64().is_some_and(|id| word.parse() == Ok(id))
}

async fn describe_job(
    client: &Client,
    output: &Output,
    name: &str,
    deleted: bool,
) -> Result<(), Failure> {
    let job = job(client, name, deleted).await?;
    // By its uid, and not by its name, which another job may have.
    let gone = job["uid"].as_str().filter(|_| !job["deleted_at"].is_null());
    let own = definitions::of_answer(Kind::Job, &job);
    let answer_only: Vec<&str> = own.keys().map(String::as_str).collect();
    fields(output, &job, &answer_only)?;
    output::line("\nDefinition:")?;
    let text = definitions::yaml(&Value::Object(own))?;
    output::text(&text.lines().map(|line| format!("  {line}\n")).collect::<String>())?;
    let path = |rest: &str| format!("/jobs/{}/{rest}", escaped(gone.unwrap_or(name)));
    let lists = [
        ("Next times", path("next?count=5"), &columns::NEXT),
        ("Last runs", path("runs?limit=5"), &columns::RUNS),
        ("Last outcomes", path("ledger?limit=5"), &columns::LEDGER),
    ];
    for (title, path, columns) in lists.into_iter().skip(usize::from(gone.is_some())) {
        let answer = client.fetch(Request::get(path)).await?;
        if answer["items"].as_array().is_some_and(|items| !items.is_empty()) {
            output::line(&format!("\n{title}:"))?;
            output.list(&answer, columns)?;
        }
    }
    Ok(())
}

/// The fields of an object, but some, each on a line; what is nested as YAML below.
fn fields(output: &Output, item: &Value, leave_out: &[&str]) -> Result<(), Failure> {
    let Some(map) = item.as_object() else { return Ok(()) };
    let known = map.iter().filter(|(key, value)| {
        !value.is_null() && (!leave_out.contains(&key.as_str()) || key.as_str() == "name")
    });
    for (key, value) in known {
        let title = key.replace('_', " ");
        let nested = match value {
            Value::Array(list) => list.iter().any(|one| one.is_object() || one.is_array()),
            Value::Object(map) => map.values().any(|one| one.is_object() || one.is_array()),
            _ => false,
        };
        if nested {
            output::line(&format!("{title}:"))?;
            let text = definitions::yaml(value)?;
            output::text(&text.lines().map(|line| format!("  {line}\n")).collect::<String>())?;
            continue;
        }
        let pointer = format!("/{key}");
        let at = field(item, &pointer);
        let said = time(item, &pointer, output).text;
        let shown = if said == at { plain(&at) } else { format!("{at} ({said})") };
        output::line(&format!("{:<16}{shown}", format!("{title}:")))?;
    }
    Ok(())
}
