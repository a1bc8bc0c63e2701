//! `get`: lists of things, or one of them; `runs` is `get runs`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::client::{Client, Request, escaped, with_query};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns;
use super::super::output::when;
use super::super::output::{As, Columns, Format, Output};
use super::super::session::Session;
use super::incidents::{Incidents, Notices};
use super::jobs::found;
use super::kinds::{OfKind, Thing, columns_of, with_kind};
use super::pick::{Several, is_part, run_id};
use super::watch;
use crate::model::Kind;

/// What to show.
#[derive(Debug, Subcommand)]
pub enum Get {
    /// Jobs
    ///
    /// Example: cronapi get jobs --tag billing --paused -o wide
    #[command(visible_aliases = ["job", "j"])]
    Jobs(Jobs),
    /// The versions that a job went through, newest first
    ///
    /// Example: cronapi get versions backup -o yaml
    #[command(visible_alias = "version")]
    Versions(Versions),
    /// Runs, the open ones first, each newest first
    ///
    /// Example: cronapi get runs backup --status failed,lost --since 24h
    #[command(visible_aliases = ["run", "r"])]
    Runs(Runs),
    /// Nodes of the cluster
    #[command(visible_alias = "node")]
    Nodes(Named),
    /// Users
    #[command(visible_alias = "user")]
    Users(Named),
    /// API tokens
    #[command(visible_alias = "token")]
    Tokens(Named),
    /// Secrets, without their values
    #[command(visible_alias = "secret")]
    Secrets(Named),
    /// Incidents: troubles that were told and go on
    ///
    /// Example: cronapi get incidents --resolved --limit 10
    #[command(visible_alias = "incident")]
    Incidents(Incidents),
    /// Notices, and what became of them
    ///
    /// Example: cronapi get notices --state dead
    #[command(visible_alias = "notice")]
    Notices(Notices),
    /// Definitions of another kind
    #[command(flatten)]
    Of(OfKind<Definitions>),
}

/// Jobs, or some of them.
#[derive(Debug, clap::Args)]
pub struct Jobs {
    /// These jobs
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// With this tag; may be repeated
    #[arg(short = 'l', long, value_name = "TAG")]
    tag: Vec<String>,
    /// With this text in name or description
    #[arg(short = 'q', long, value_name = "TEXT")]
    query: Option<String>,
    /// Only active ones
    #[arg(long, conflicts_with = "paused")]
    active: bool,
    /// Only paused ones
    #[arg(long)]
    paused: bool,
    /// With this runner: python, shell, http, workflow, none
    #[arg(long, value_name = "RUNNER")]
    runner: Option<String>,
    /// Of this queue
    #[arg(long, value_name = "NAME")]
    queue: Option<String>,
    /// Deleted ones whose past is kept, in place of those that are there
    #[arg(long, conflicts_with_all = ["sort", "watch"])]
    deleted: bool,
    /// name, next_fire_at, created_at, updated_at, last_run_at; with - for the last first
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    sort: Option<String>,
    /// At most so many [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show changes as they come
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: As,
}

/// Versions of a job, or one of them.
#[derive(Debug, clap::Args)]
pub struct Versions {
    /// The job; or another definition, such as queue/slow
    name: String,
    /// One version
    version: Option<u64>,
    /// Of the job of that name, or uid, that was deleted
    #[arg(long)]
    deleted: bool,
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value = "50")]
    limit: usize,
    #[command(flatten)]
    output: As,
}

/// Runs, or one of them.
#[derive(Debug, clap::Args)]
pub struct Runs {
    /// A job, or the id of a run or its beginning
    name: Option<String>,
    /// Of the job of that name, or uid, that was deleted
    #[arg(long, requires = "name", conflicts_with = "watch")]
    deleted: bool,
    /// With these statuses
    #[arg(long, visible_alias = "state", value_name = "STATUS,…", value_delimiter = ',')]
    status: Vec<String>,
    /// With this trigger: schedule, manual, …
    #[arg(long, value_name = "TRIGGER")]
    trigger: Option<String>,
    /// On this node
    #[arg(long, value_name = "ID")]
    node: Option<u64>,
    /// Fired from here on: RFC 3339, or how long ago, such as 1h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Fired before: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value = "50")]
    limit: usize,
    /// Show changes as they come
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: As,
}

/// All, or one of them.
#[derive(Debug, clap::Args)]
pub struct Named {
    /// One of them
    name: Option<String>,
    #[command(flatten)]
    output: As,
}

impl Get {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Get::Jobs(jobs) => jobs.run(session).await,
            Get::Versions(versions) => versions.run(session).await,
            Get::Runs(runs) => runs.run(session).await,
            Get::Nodes(named) => named.run(session, "/cluster/nodes", "id", &columns::NODES).await,
            Get::Users(named) => named.run(session, "/users", "name", &columns::USERS).await,
            Get::Tokens(named) => named.run(session, "/tokens", "id", &columns::TOKENS).await,
            Get::Secrets(named) => named.run(session, "/secrets", "name", &columns::SECRETS).await,
            Get::Incidents(incidents) => incidents.run(session).await,
            Get::Notices(notices) => notices.run(session).await,
            Get::Of(OfKind { kind, args }) => args.run(session, kind).await,
        }
    }
}

/// Definitions of a kind, or one of them.
#[derive(Clone, Debug, clap::Args)]
pub struct Definitions {
    /// One of them
    name: Option<String>,
    /// With this text in the name
    #[arg(short = 'q', long, value_name = "TEXT")]
    query: Option<String>,
    #[command(flatten)]
    output: As,
}

impl Definitions {
    pub(super) async fn run(self, session: &Session, kind: Kind) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        if let Some(name) = self.name {
            let item = Thing { kind, name }.get(&client).await?;
            output.one(&item, columns_of(kind))?;
            return Ok(0);
        }
        let path = with_query(&format!("/{}", kind.plural()), &[("q", self.query)]);
        let mut answer = all(&client, &path, 0).await?;
        for item in answer["items"].as_array_mut().into_iter().flatten() {
            *item = with_kind(kind, item.take());
        }
        output.list(&answer, columns_of(kind))?;
        empty(session, &output, &answer, "there is none");
        Ok(0)
    }
}

impl Jobs {
    async fn run(self, session: &Session) -> Outcome {
        let (client, mut output) = (session.client()?, session.output(self.output));
        let watched = self.watch.then(|| watch::Watch::jobs(&client, &self.names));
        let mut watched = watch::ready(watched).await?;
        match self.names.as_slice() {
            [name] => {
                output.one(&job(&client, name, self.deleted).await?, &columns::JOBS)?;
            }
            names @ [_, ..] => {
                let mut several = Several::default();
                for name in names {
                    several.add(name, job(&client, name, self.deleted).await);
                }
                output.list(&json!({ "items": several.done }), &columns::JOBS)?;
                several.end()?;
            }
            [] => {
                let enabled = (self.active || self.paused).then(|| self.active.to_string());
                let mut query = vec![
                    ("q", self.query.clone()),
                    ("enabled", enabled),
                    ("runner", self.runner.clone()),
                    ("queue", self.queue.clone()),
                    ("sort", self.sort.clone()),
                    ("deleted", wanted(self.deleted)),
                ];
                query.extend(self.tag.iter().map(|tag| ("tag", Some(tag.clone()))));
                let path = with_query("/jobs", &query);
                let answer = all(&client, &path, self.limit.unwrap_or(0)).await?;
                output.list(&answer, &columns::JOBS)?;
                empty(session, &output, &answer, "no job fits");
            }
        }
        match watched.as_mut() {
            Some(watched) => watched.follow(&mut output, &columns::JOBS).await,
            None => Ok(0),
        }
    }
}

impl Versions {
    async fn run(self, session: &Session) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        let thing = Thing::parse(&self.name)?;
        let path = format!("{}/versions", thing.path());
        let deleted = [("deleted", wanted(self.deleted))];
        match self.version {
            Some(version) => {
                let path = with_query(&format!("{path}/{version}"), &deleted);
                let answer = client.fetch(Request::get(path)).await;
                output.one(&thing.found(&client, answer).await?, &columns::VERSIONS)?;
            }
            None => {
                let answer = all(&client, &with_query(&path, &deleted), self.limit).await;
                output.list(&thing.found(&client, answer).await?, &columns::VERSIONS)?;
            }
        }
        Ok(0)
    }
}

impl Runs {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (client, mut output) = (session.client()?, session.output(self.output));
        if let Some(id) = self.name.as_deref().filter(|name| !self.deleted && is_run(name)) {
            let run = client.fetch(Request::get(format!("/runs/{id}"))).await?;
            output.one(&run, &columns::RUNS)?;
            return Ok(0);
        }
        let time = |flag: &str, text: &Option<String>| {
            text.as_ref()
                .map(|text| when::parse(flag, text, output.now).map(|at| at.to_string()))
                .transpose()
        };
        let watched = self.watch.then(|| watch::Watch::runs(&client, self.name.as_slice()));
        let mut watched = watch::ready(watched).await?;
        let status = (!self.status.is_empty()).then(|| self.status.join(","));
        let query = [
            ("status", status),
            ("trigger", self.trigger.clone()),
            ("node", self.node.map(|node| node.to_string())),
            ("after", time("--since", &self.since)?),
            ("before", time("--until", &self.until)?),
            ("deleted", wanted(self.deleted)),
        ];
        let path = match &self.name {
            Some(name) => format!("/jobs/{}/runs", escaped(name)),
            None => "/runs".to_owned(),
        };
        let answer = all(&client, &with_query(&path, &query), self.limit).await;
        if let (Err(failure), Some(word)) = (&answer, &self.name)
            && failure.code == Code::NotFound
        {
            if is_part(word) {
                let id = run_id(&client, word).await?;
                let run = client.fetch(Request::get(format!("/runs/{id}"))).await?;
                output.one(&run, &columns::RUNS)?;
                return Ok(0);
            }
            found(&client, word, answer).await?;
            return Ok(0);
        }
        let answer = answer?;
        output.list(&answer, &columns::RUNS)?;
        empty(session, &output, &answer, "no run fits");
        match watched.as_mut() {
            Some(watched) => watched.follow(&mut output, &columns::RUNS).await,
            None => Ok(0),
        }
    }
}

impl Named {
    pub(super) async fn run(
        self,
        session: &Session,
        path: &str,
        key: &str,
        columns: &Columns,
    ) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        let answer = client.fetch(Request::get(path)).await?;
        let Some(name) = &self.name else {
            output.list(&answer, columns)?;
            empty(session, &output, &answer, "there is none");
            return Ok(0);
        };
        let is_it = |item: &&Value| match &item[key] {
            _ if item["name"] == **name => true,
            Value::String(text) => text == name,
            other => other.as_u64().is_some_and(|id| name.parse() == Ok(id)),
        };
        match answer["items"].as_array().into_iter().flatten().find(is_it) {
            Some(item) => output.one(item, columns)?,
            None => {
                let list = path.rsplit('/').next().unwrap_or(path);
                return Err(Failure::new(
                    Code::NotFound,
                    format!("{name} is not among the {list}"),
                )
                .advise(format!("`cronapi get {list}` lists them")));
            }
        }
        Ok(0)
    }
}

pub(super) fn empty(session: &Session, output: &Output, answer: &Value, text: &str) {
    let none = answer["items"].as_array().is_none_or(Vec::is_empty);
    if none && matches!(output.format, Format::Table | Format::Wide) {
        session.say(text);
    }
}

/// Whether a word is the id of a run, and not the name of a job.
pub(super) fn is_run(word: &str) -> bool {
    word.len() == 36
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A flag that the query has only when it is given.
pub(super) fn wanted(flag: bool) -> Option<String> {
    flag.then(|| "true".to_owned())
}

/// A job; names close to it when there is none.
pub(super) async fn job(client: &Client, name: &str, deleted: bool) -> Result<Value, Failure> {
    let path = format!("/jobs/{}", escaped(name));
    match client.fetch(Request::get(with_query(&path, &[("deleted", wanted(deleted))]))).await {
        Err(failure) if failure.code == Code::NotFound => Err(closest(client, name, failure).await),
        other => other,
    }
}

/// The failure to find a job, with names that may have been meant.
pub(super) async fn closest(client: &Client, name: &str, failure: Failure) -> Failure {
    let Ok(known) = client.fetch(Request::get("/jobs?limit=1000")).await else { return failure };
    let names = known["items"].as_array().into_iter().flatten();
    let alike = names
        .filter_map(|job| job["name"].as_str())
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match alike {
        Some((_, known)) => failure.advise(format!("did you mean {known}?")),
        None => failure.advise("`cronapi get jobs` lists those that you may see"),
    }
}

/// Items of a list from as many pages as it takes; with `most` of 0, all.
pub(super) async fn all(client: &Client, path: &str, most: usize) -> Result<Value, Failure> {
    const PAGE: usize = 1_000;
    let mut items: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let room = if most == 0 { PAGE } else { (most - items.len()).min(PAGE) };
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut asked = format!("{path}{sign}limit={room}");
        if let Some(cursor) = &cursor {
            asked.push_str(&format!("&cursor={}", escaped(cursor)));
        }
        let mut page = client.fetch(Request::get(asked)).await?;
        if let Some(more) = page["items"].as_array_mut() {
            items.append(more);
        }
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() || (most > 0 && items.len() >= most) {
            return Ok(json!({ "items": items, "next_cursor": cursor }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_run_is_no_name_of_a_job() {
        assert!(is_run("01a207f4-1111-7abc-8def-0123456789ab"));
        assert!(!is_run("backup"));
        assert!(!is_run("01a207f4x1111-7abc-8def-0123456789ab"));
    }
}
