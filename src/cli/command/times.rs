//! When a job runs, and why it did or didn't: `next`, `explain`, `ledger`.

use serde_json::{Map, Value, json};

use super::super::client::{Client, Request, escaped, with_query};
use super::super::exit::{Failure, Outcome};
use super::super::output::columns::{self, field};
use super::super::output::{self, As, Format, when};
use super::super::session::Session;
use super::get::{all, wanted};
use super::jobs::found;
use crate::model::{Span, Timestamp};

/// When a job or an expression fires next.
#[derive(Debug, clap::Args)]
pub struct Next {
    /// A job, or an expression such as "*/5 * * * *" or @daily [default: all jobs]
    what: Option<String>,
    /// How many
    #[arg(short = 'n', long, value_name = "N", default_value = "5")]
    count: u16,
    /// The time zone of an expression
    #[arg(long = "timezone", visible_alias = "tz", value_name = "ZONE")]
    timezone: Option<String>,
    #[command(flatten)]
    output: As,
}

/// Why a job did, or did not, run at a time.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// A job, or an expression to say in words
    what: String,
    /// The time: RFC 3339; or how long ago: the nearest time of the job [default: the last one]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Of the job of that name, or uid, that was deleted
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    output: As,
}

/// What became of each time of a job.
#[derive(Debug, clap::Args)]
pub struct Ledger {
    /// The job
    name: String,
    /// Times from here on: RFC 3339, or how long ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Times up to here
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of the job of that name, or uid, that was deleted
    #[arg(long)]
    deleted: bool,
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value = "50")]
    limit: usize,
    #[command(flatten)]
    output: As,
}

/// No name of a job looks like this.
fn is_expression(word: &str) -> bool {
    word.contains(char::is_whitespace) || word.starts_with('@')
}

async fn preview(
    client: &Client,
    expr: &str,
    timezone: Option<&String>,
    count: u16,
) -> Result<Value, Failure> {
    let mut definition = Map::from_iter([("expr".to_owned(), json!(expr))]);
    if let Some(zone) = timezone {
        definition.insert("timezone".to_owned(), json!(zone));
    }
    let path = format!("/schedules/preview?count={count}");
    client.fetch(Request::post(path, &Value::Object(definition)).repeatable()).await
}

impl Next {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        let Some(what) = &self.what else { return self.of_all(session).await };
        let answer = if is_expression(what) {
            let preview = preview(&client, what, self.timezone.as_ref(), self.count).await?;
            if output.person {
                session.say(field(&preview, "/text"));
            }
            json!({ "items": preview["next"] })
        } else {
            if self.timezone.is_some() {
                return Err(Failure::usage("--timezone is for an expression; a job has its own"));
            }
            let path = format!("/jobs/{}/next?count={}", escaped(what), self.count);
            found(&client, what, client.fetch(Request::get(path)).await).await?
        };
        output.list(&answer, &columns::NEXT)?;
        if answer["items"].as_array().is_none_or(Vec::is_empty) {
            session.say("no time is to come");
        }
        Ok(0)
    }

    /// What is to come within a year, of all jobs.
    async fn of_all(self, session: &Session) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        if self.timezone.is_some() {
            return Err(Failure::usage("--timezone is for an expression; jobs have their own"));
        }
        let until = output.now.plus(Span::from_secs(366 * 86_400));
        let path = format!("/fires?from={}&until={until}&limit={}", output.now, self.count);
        let answer = client.fetch(Request::get(path)).await?;
        output.list(&answer, &columns::FIRES)?;
        if answer["items"].as_array().is_none_or(Vec::is_empty) {
            session.say("no time is to come");
        }
        Ok(0)
    }
}

impl Explain {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        let person = matches!(output.format, Format::Table | Format::Wide);
        if is_expression(&self.what) {
            let preview = preview(&client, &self.what, None, 5).await?;
            if !person {
                output.one(&preview, &columns::NEXT)?;
                return Ok(0);
            }
            output::line(&field(&preview, "/text"))?;
            output.list(&json!({ "items": preview["next"] }), &columns::NEXT)?;
            return Ok(0);
        }
        let answer = self.answer(&client, output.now).await?;
        if !person {
            output.one(&answer, &columns::LEDGER)?;
            return Ok(0);
        }
        output::line(&field(&answer, "/summary"))?;
        let rows = [
            ("outcome", "/row/outcome"),
            ("reason", "/row/reason"),
            ("run", "/run/id"),
            ("status", "/run/status"),
            ("error", "/run/error"),
            ("time before", "/previous"),
            ("time after", "/next"),
        ];
        for (title, pointer) in rows {
            let value = field(&answer, pointer);
            if value != "-" {
                output::line(&format!("  {:<15}{}", format!("{title}:"), output::plain(&value)))?;
            }
        }
        let facts = answer["facts"].as_object().into_iter().flatten();
        for (key, value) in facts.filter(|(_, value)| !value.is_null()) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            output::line(&format!(
                "  {:<15}{}",
                format!("{}:", key.replace('_', " ")),
                output::plain(&value)
            ))?;
        }
        Ok(0)
    }
}

impl Explain {
    /// About the instant given; about the nearest time of the job when none is, or only how long
    /// ago it was.
    async fn answer(&self, client: &Client, now: Timestamp) -> Result<Value, Failure> {
        let at = match &self.at {
            Some(text) => when::parse("--at", text, now)?,
            None => now,
        };
        let answer = self.about(client, at).await?;
        let about = self.at.as_ref().is_none_or(|text| Span::parse(text).is_ok());
        if !about {
            return Ok(answer);
        }
        // There was no job yet: the first of its times is the nearest.
        let early = answer["verdict"] == "before_creation";
        let answer = if early { self.about(client, now).await? } else { answer };
        // Within the second of its creation there still is none.
        if answer["verdict"] != "not_nominal" && answer["verdict"] != "before_creation" {
            return Ok(answer);
        }
        let time = |key: &str| Timestamp::parse(&field(&answer, key)).ok();
        let (before, after) = (time("/previous"), time("/next"));
        // Why something ran, or did not, is asked of what is past.
        let past = after.filter(|after| *after <= now);
        let near = match (before, past) {
            (Some(before), Some(after)) if after.since(at) < at.since(before) => Some(after),
            (Some(before), _) => Some(before),
            (None, past) => past.or(after),
        };
        match near {
            Some(near) => self.about(client, near).await,
            None => Ok(answer),
        }
    }

    async fn about(&self, client: &Client, at: Timestamp) -> Result<Value, Failure> {
        let path = format!("/jobs/{}/explain", escaped(&self.what));
        let query = [("at", Some(at.to_string())), ("deleted", wanted(self.deleted))];
        let path = with_query(&path, &query);
        found(client, &self.what, client.fetch(Request::get(path)).await).await
    }
}

impl Ledger {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let (client, output) = (session.client()?, session.output(self.output));
        let time = |flag: &str, text: &Option<String>| {
            let at = text.as_ref().map(|text| when::parse(flag, text, output.now)).transpose();
            at.map(|at| at.map(|at| at.to_string()))
        };
        let query = [
            ("from", time("--since", &self.since)?),
            ("to", time("--until", &self.until)?),
            ("deleted", wanted(self.deleted)),
        ];
        let path = with_query(&format!("/jobs/{}/ledger", escaped(&self.name)), &query);
        let answer = all(&client, &path, self.limit).await;
        let answer = found(&client, &self.name, answer).await?;
        output.list(&answer, &columns::LEDGER)?;
        Ok(0)
    }
}
