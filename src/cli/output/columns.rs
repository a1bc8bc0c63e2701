//! What a table shows of each kind of thing.

mod alerts;
mod monitors;
mod outside;

use serde_json::Value;

use super::when;
use super::{Cell, Output, Tone};
use crate::model::{Span, Timestamp};

pub(in crate::cli) use self::alerts::{INCIDENTS, NOTICES, PUSHES};
pub(in crate::cli) use self::monitors::{MONITORS, PINGS, WINDOWS};
pub(in crate::cli) use self::outside::{SINKS, TRIGGERS};

/// A column of a table; the ones behind are left out first on a narrow terminal.
pub(in crate::cli) struct Column {
    pub(super) title: &'static str,
    /// Only in wide tables.
    pub(super) wide: bool,
    pub(super) show: fn(&Value, &Output) -> Cell,
}

/// How a kind of thing is shown.
pub(in crate::cli) struct Columns {
    pub(super) columns: &'static [Column],
    /// What stands for it with `-o name`.
    pub(super) name: fn(&Value) -> String,
}

pub(super) const fn col(title: &'static str, show: fn(&Value, &Output) -> Cell) -> Column {
    Column { title, wide: false, show }
}

const fn wide(title: &'static str, show: fn(&Value, &Output) -> Cell) -> Column {
    Column { title, wide: true, show }
}

/// A field as text; `-` when there is none.
pub(in crate::cli) fn field(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) if list.is_empty() => "-".to_owned(),
        Some(Value::Array(list)) => {
            let texts =
                list.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned));
            texts.collect::<Vec<_>>().join(",")
        }
        Some(Value::Object(map)) if map.is_empty() => "-".to_owned(),
        Some(Value::Object(map)) => {
            let texts = map.iter().map(|(key, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{key}={value}")
            });
            texts.collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    }
}

pub(super) fn cell(item: &Value, pointer: &str) -> Cell {
    field(item, pointer).into()
}

/// What the command line calls a definition: a job by its name, another as `queue/slow`.
fn thing(item: &Value) -> String {
    match field(item, "/kind").as_str() {
        "-" => field(item, "/name"),
        kind => format!("{kind}/{}", field(item, "/name")),
    }
}

/// A time: as people say it to a person, else RFC 3339.
pub(in crate::cli) fn time(item: &Value, pointer: &str, output: &Output) -> Cell {
    let text = field(item, pointer);
    match Timestamp::parse(&text) {
        Ok(at) if output.person => when::relative(at, output.now).into(),
        _ => text.into(),
    }
}

/// A status, in its colour.
pub(in crate::cli) fn status(text: String) -> Cell {
    let tone = match text.as_str() {
        "succeeded" | "active" | "yes" | "leader" | "fired" | "created" => Tone::Good,
        "failed" | "timed_out" | "lost" | "no" | "stopped" | "refused" => Tone::Bad,
        "running" | "assigned" | "queued" | "waiting" | "updated" => Tone::Busy,
        "skipped" | "cancelled" | "paused" | "superseded" | "unchanged" | "-" => Tone::Faint,
        _ => Tone::Plain,
    };
    Cell { text, tone }
}

fn yes(item: &Value, pointer: &str) -> Cell {
    status(if item.pointer(pointer) == Some(&Value::Bool(true)) { "yes" } else { "no" }.into())
}

/// What starts a job.
fn schedule(item: &Value) -> String {
    let (expr, after) = (field(item, "/expr"), field(item, "/dependencies"));
    match (expr.as_str(), after.as_str()) {
        ("-", "-") => "-".to_owned(),
        ("-", after) => format!("after {after}"),
        (expr, _) => expr.to_owned(),
    }
}

fn runner(item: &Value) -> String {
    match (field(item, "/runner/type").as_str(), item.get("code")) {
        ("-", Some(_)) => "python".to_owned(),
        (kind, _) => kind.to_owned(),
    }
}

fn took(item: &Value, output: &Output) -> Cell {
    let at = |pointer: &str| Timestamp::parse(&field(item, pointer)).ok();
    let Some(started) = at("/started_at") else { return String::from("-").into() };
    let span = at("/finished_at").unwrap_or(output.now).since(started);
    if output.person {
        when::rough(span).into()
    } else {
        Span::from_millis(span.millis()).to_string().into()
    }
}

/// Why it ended as it did, in a line.
fn why(item: &Value) -> Cell {
    let fields = ["/error", "/skip", "/reason", "/exit_code"];
    let found = fields.iter().map(|pointer| field(item, pointer)).find(|text| text != "-");
    found.filter(|text| text != "0").unwrap_or_else(|| "-".into()).into()
}

/// Letters of an id that tell runs apart: the time to the millisecond, and a part of chance.
const SHORT: usize = 18;

/// The id of a run: to a person, as much of it as tells runs apart.
fn run(item: &Value, output: &Output) -> Cell {
    let id = field(item, "/id");
    let short = output.person && matches!(output.format, super::Format::Table);
    match id.get(..SHORT).filter(|_| short && id.len() == 36) {
        Some(part) => part.to_owned().into(),
        None => id.into(),
    }
}

pub(in crate::cli) const JOBS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("STATE", |v, _| {
            status(if v["enabled"] == false { "paused" } else { "active" }.to_owned())
        }),
        col("SCHEDULE", |v, _| schedule(v).into()),
        col("NEXT", |v, o| time(v, "/next_fire_at", o)),
        col("LAST", |v, _| status(field(v, "/last_run/status"))),
        col("ENDED", |v, o| time(v, "/last_run/finished_at", o)),
        col("OPEN", |v, _| cell(v, "/open_runs")),
        wide("RUNNER", |v, _| runner(v).into()),
        wide("QUEUE", |v, _| cell(v, "/queue")),
        wide("TIMEZONE", |v, _| cell(v, "/timezone")),
        wide("TAGS", |v, _| cell(v, "/tags")),
        wide("VERSION", |v, _| cell(v, "/version")),
        wide("UPDATED", |v, o| time(v, "/updated_at", o)),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const RUNS: Columns = Columns {
    columns: &[
        col("RUN", run),
        col("JOB", |v, _| cell(v, "/job")),
        col("STATUS", |v, _| status(field(v, "/status"))),
        col("STARTED", |v, o| time(v, "/started_at", o)),
        col("TOOK", took),
        col("TRIGGER", |v, _| cell(v, "/trigger")),
        col("NODE", |v, _| cell(v, "/node")),
        col("WHY", |v, _| why(v)),
        wide("NOMINAL", |v, o| time(v, "/nominal_time", o)),
        wide("FIRED", |v, o| time(v, "/fired_at", o)),
        wide("FINISHED", |v, o| time(v, "/finished_at", o)),
        wide("ATTEMPT", |v, _| cell(v, "/attempt")),
        wide("VERSION", |v, _| cell(v, "/version")),
        wide("OUTPUT", |v, _| cell(v, "/log_bytes")),
    ],
    name: |v| field(v, "/id"),
};

pub(in crate::cli) const BACKFILLS: Columns = Columns {
    columns: &[
        col("BACKFILL", |v, _| cell(v, "/id")),
        col("JOB", |v, _| cell(v, "/job")),
        col("STATUS", |v, _| status(field(v, "/status"))),
        col("FROM", |v, _| cell(v, "/from")),
        col("TO", |v, _| cell(v, "/to")),
        col("WHICH", |v, _| cell(v, "/which")),
        col("TIMES", |v, _| cell(v, "/total")),
        col("MADE", |v, _| cell(v, "/counts/made")),
        col("SUCCEEDED", |v, _| cell(v, "/counts/succeeded")),
        col("OPEN", |v, _| cell(v, "/open")),
        col("WAITS", |v, _| cell(v, "/waits")),
        wide("FAILED", |v, _| cell(v, "/counts/failed")),
        wide("PASSED", |v, _| cell(v, "/counts/passed")),
        wide("VERSION", |v, _| cell(v, "/version")),
        wide("BY", |v, _| cell(v, "/created_by")),
        wide("CREATED", |v, o| time(v, "/created_at", o)),
        wide("FINISHED", |v, o| time(v, "/finished_at", o)),
        wide("REASON", |v, _| cell(v, "/reason")),
    ],
    name: |v| field(v, "/id"),
};

pub(in crate::cli) const NODES: Columns = Columns {
    columns: &[
        col("NODE", |v, _| cell(v, "/id")),
        col("NAME", |v, _| cell(v, "/name")),
        col("ROLE", |v, _| status(field(v, "/role"))),
        col("LIVE", |v, _| yes(v, "/live")),
        col("ADDRESS", |v, _| cell(v, "/address")),
        col("API", |v, _| cell(v, "/api")),
        col("BUSY", |v, _| format!("{}/{}", field(v, "/busy"), field(v, "/slots")).into()),
        col("UP", |v, o| time(v, "/up_since", o)),
        wide("ACCEPTING", |v, _| yes(v, "/accepting")),
        wide("APPLIED", |v, _| cell(v, "/applied_index")),
        wide("LAG", |v, _| cell(v, "/lag")),
        wide("PROVEN", |v, _| cell(v, "/proven_index")),
        wide("DIFFERS", |v, _| cell(v, "/differs_from")),
        wide("LABELS", |v, _| cell(v, "/labels")),
    ],
    name: |v| field(v, "/id"),
};

pub(in crate::cli) const USERS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("ROLE", |v, _| cell(v, "/role")),
        col("JOBS", |v, _| cell(v, "/scope/jobs")),
        col("TAGS", |v, _| cell(v, "/scope/tags")),
        col("CREATED", |v, o| time(v, "/created_at", o)),
        wide("UPDATED", |v, o| time(v, "/updated_at", o)),
        wide("UID", |v, _| cell(v, "/uid")),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const TOKENS: Columns = Columns {
    columns: &[
        col("ID", |v, _| cell(v, "/id")),
        col("NAME", |v, _| cell(v, "/name")),
        col("OWNER", |v, _| cell(v, "/owner")),
        col("ROLE", |v, _| cell(v, "/role")),
        col("USED", |v, o| time(v, "/last_used_at", o)),
        col("EXPIRES", |v, o| time(v, "/expires_at", o)),
        wide("CREATED", |v, o| time(v, "/created_at", o)),
        wide("JOBS", |v, _| cell(v, "/scope/jobs")),
        wide("TAGS", |v, _| cell(v, "/scope/tags")),
    ],
    name: |v| field(v, "/id"),
};

pub(in crate::cli) const KEYS: Columns = Columns {
    columns: &[
        col("KEY", |v, _| cell(v, "/id")),
        col("CREATED", |v, o| time(v, "/created_at", o)),
        col("RETIRED", |v, o| time(v, "/retired_at", o)),
        col("ENDS", |v, o| time(v, "/ends_at", o)),
    ],
    name: |v| field(v, "/id"),
};

pub(in crate::cli) const VERSIONS: Columns = Columns {
    columns: &[
        col("VERSION", |v, _| cell(v, "/version")),
        col("SINCE", |v, o| time(v, "/at", o)),
        col("BY", |v, _| cell(v, "/by")),
        col("DID", |v, _| cell(v, "/verb")),
        col("SCHEDULE", |v, _| schedule(&v["definition"]).into()),
    ],
    name: |v| field(v, "/version"),
};

/// Definitions of a kind that has no columns of its own.
pub(in crate::cli) const DEFINITIONS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("VERSION", |v, _| cell(v, "/version")),
        col("UPDATED", |v, o| time(v, "/updated_at", o)),
        col("BY", |v, _| cell(v, "/updated_by")),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const QUEUES: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("LIMIT", |v, _| cell(v, "/concurrency")),
        col("BUSY", |v, _| cell(v, "/busy")),
        col("WAITING", |v, _| cell(v, "/waiting")),
        col("HELD BACK", |v, _| cell(v, "/blocked")),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const TASKS: Columns = Columns {
    columns: &[
        col("TASK", |v, _| cell(v, "/shown")),
        col("STATUS", |v, _| cell(v, "/status")),
        col("AFTER", |v, _| cell(v, "/comes_after")),
        col("JOB", |v, _| cell(v, "/job")),
        col("ITEMS", |v, _| cell(v, "/items")),
        col("WHY", |v, _| cell(v, "/reason")),
        wide("RUN", |v, _| cell(v, "/run_id")),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const CHANNELS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("TYPE", |v, _| cell(v, "/type")),
        col("VERSION", |v, _| cell(v, "/version")),
        col("UPDATED", |v, o| time(v, "/updated_at", o)),
        col("BY", |v, _| cell(v, "/updated_by")),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const SECRETS: Columns = Columns {
    columns: &[
        col("NAME", |v, _| cell(v, "/name")),
        col("VERSION", |v, _| cell(v, "/version")),
        col("JOBS", |v, _| cell(v, "/scope/jobs")),
        col("TAGS", |v, _| cell(v, "/scope/tags")),
        col("SET", |v, o| time(v, "/updated_at", o)),
        col("BY", |v, _| cell(v, "/updated_by")),
        wide("CREATED", |v, o| time(v, "/created_at", o)),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const PLAN: Columns = Columns {
    columns: &[
        col("JOB", |v, _| thing(v).into()),
        col("PLAN", |v, _| status(field(v, "/action"))),
        col("NEXT NOW", |v, o| time(v, "/next_before", o)),
        col("NEXT THEN", |v, o| time(v, "/next_after", o)),
    ],
    name: thing,
};

pub(in crate::cli) const LEDGER: Columns = Columns {
    columns: &[
        col("NOMINAL", |v, _| cell(v, "/nominal_time")),
        col("OUTCOME", |v, _| status(field(v, "/outcome"))),
        col("REASON", |v, _| cell(v, "/reason")),
        col("RUN", |v, _| cell(v, "/run_id")),
        col("TIMES", |v, _| v.get("count").map_or_else(|| "1".into(), ToString::to_string).into()),
        wide("UNTIL", |v, _| cell(v, "/until")),
        wide("DECIDED", |v, o| time(v, "/decided_at", o)),
        wide("VERSION", |v, _| cell(v, "/version")),
    ],
    name: |v| field(v, "/nominal_time"),
};

pub(in crate::cli) const FIRES: Columns = Columns {
    columns: &[
        col("DUE", |v, _| cell(v, "/due_at")),
        col("JOB", |v, _| cell(v, "/job")),
        col("IN", |v, o| {
            let at = Timestamp::parse(&field(v, "/due_at"));
            at.map_or_else(|_| "-".into(), |at| when::relative(at, o.now)).into()
        }),
        wide("NOMINAL", |v, _| cell(v, "/nominal_time")),
    ],
    name: |v| field(v, "/job"),
};

pub(in crate::cli) const NEXT: Columns = Columns {
    columns: &[
        col("AT", |v, _| cell(v, "/at")),
        col("LOCAL", |v, _| cell(v, "/local")),
        col("IN", |v, o| {
            let at = Timestamp::parse(&field(v, "/at"));
            at.map_or_else(|_| "-".into(), |at| when::relative(at, o.now)).into()
        }),
        col("CALENDAR", |v, _| if v["off"] == true { "off" } else { "-" }.to_owned().into()),
    ],
    name: |v| field(v, "/at"),
};

pub(in crate::cli) const AUDIT: Columns = Columns {
    columns: &[
        col("AT", |v, o| time(v, "/at", o)),
        col("WHO", |v, _| cell(v, "/actor")),
        col("DID", |v, _| cell(v, "/action")),
        col("WHAT", |v, _| cell(v, "/target")),
        col("FROM", |v, _| cell(v, "/from")),
        wide("SEQ", |v, _| cell(v, "/seq")),
        wide("REQUEST", |v, _| cell(v, "/request_id")),
    ],
    name: |v| field(v, "/seq"),
};

pub(in crate::cli) const EVENTS: Columns = Columns {
    columns: &[
        col("AT", |v, _| cell(v, "/at")),
        col("EVENT", |v, _| cell(v, "/type")),
        col("JOB", |v, _| cell(v, if v["job"].is_null() { "/monitor" } else { "/job" })),
        col("RUN", |v, _| cell(v, "/run_id")),
        col("STATUS", |v, _| status(field(v, "/status"))),
        col("REASON", |v, _| cell(v, "/reason")),
    ],
    name: |v| format!("{}.{}", field(v, "/index"), field(v, "/sub")),
};

pub(in crate::cli) const CONTEXTS: Columns = Columns {
    columns: &[
        col("CURRENT", |v, _| if v["current"] == true { "*" } else { "" }.to_owned().into()),
        col("NAME", |v, _| cell(v, "/name")),
        col("SERVERS", |v, _| cell(v, "/servers")),
        col("USER", |v, _| cell(v, "/user")),
        wide("CA", |v, _| cell(v, "/ca")),
        wide("LOGGED IN", |v, _| yes(v, "/logged_in")),
    ],
    name: |v| field(v, "/name"),
};

pub(in crate::cli) const ME: Columns = Columns {
    columns: &[
        col("USER", |v, _| cell(v, "/user")),
        col("ROLE", |v, _| cell(v, "/role")),
        col("JOBS", |v, _| cell(v, "/scope/jobs")),
        col("TAGS", |v, _| cell(v, "/scope/tags")),
        col("EXPIRES", |v, o| time(v, "/expires_at", o)),
        wide("TOKEN", |v, _| cell(v, "/token_id")),
    ],
    name: |v| field(v, "/user"),
};
