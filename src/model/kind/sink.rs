//! Sinks: where the cluster's events go, in log order.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Area, Define};
use crate::model::address::Server;
use crate::model::event::{EVENT_TYPES, Event};
use crate::model::fields::spec;
use crate::model::{Invalid, SecretRef, Setting, limits};

spec! {
    /// Where events go: one node at a time writes them there, in the order of the log.
    SinkSpec;
    /// What takes them.
    #[serde(default)]
    #[schema(required = true, nullable = false)]
    r#type: Option<SinkType>, since 6;
    /// Where that is; which fields it has hangs on the type.
    #[serde(default, skip_serializing_if = "SinkConfig::is_empty")]
    config: SinkConfig, since 6;
    /// Which events; without it all.
    #[serde(default, skip_serializing_if = "SinkSelect::is_all")]
    select: SinkSelect, since 6;
    /// `redis`: what is told there; `events` by default. With `state`, hashes beside the stream
    /// hold every job and every open run as they are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 2)]
    what: Vec<SinkWhat>, since 8;
}

/// What a sink tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkWhat {
    /// What happens, in the order of the log.
    Events,
    /// Jobs and open runs, as they are now.
    State,
}

/// What takes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkType {
    /// A file of JSON lines, on the node that writes it.
    File,
    /// A stream of Redis.
    Redis,
    /// Tables of PostgreSQL: a row for each run that ended, and for each nominal time.
    Postgres,
    /// Collections of MongoDB: a document for each run that ended, and for each nominal time.
    Mongodb,
}

impl SinkType {
    /// All of them.
    pub const ALL: [SinkType; 4] =
        [SinkType::File, SinkType::Redis, SinkType::Postgres, SinkType::Mongodb];

    /// Such as `file`.
    pub fn as_str(self) -> &'static str {
        match self {
            SinkType::File => "file",
            SinkType::Redis => "redis",
            SinkType::Postgres => "postgres",
            SinkType::Mongodb => "mongodb",
        }
    }
}

/// Where events go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// `redis`: the address, `redis://host:6379/0`, or `rediss://` with TLS; with a password in it
    /// as `{"secret": "name"}`. Without it: `REDIS_URL` of the node that writes. `postgres`:
    /// `postgres://user@host:5432/database`, in most cases as `{"secret": "name"}`. `mongodb`:
    /// `mongodb://user@host:27017/database`, likewise; without a database: `cronapi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<Setting>,
    /// `redis`: the key of the stream; default: `cronapi:{cluster}:{sink}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 512)]
    pub key: Option<String>,
    /// `redis`: the stream keeps about so many; default: 1,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 100000000)]
    pub max_len: Option<u64>,
}

impl SinkConfig {
    fn is_empty(&self) -> bool {
        *self == SinkConfig::default()
    }
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkSelect {
    /// Of these types, such as `run.failed`, or families, such as `run`; empty: of any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub types: Vec<String>,
    /// Of these jobs; empty: of any, and those that are of no job.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub jobs: Vec<String>,
}

impl SinkSelect {
    fn is_all(&self) -> bool {
        self.types.is_empty() && self.jobs.is_empty()
    }

    /// Whether an event is one of those.
    pub fn takes(&self, event: &Event) -> bool {
        event.is_of(&self.types, &self.jobs)
    }
}

impl SinkSpec {
    /// Whether it tells that.
    pub fn tells(&self, what: SinkWhat) -> bool {
        if self.what.is_empty() { what == SinkWhat::Events } else { self.what.contains(&what) }
    }

    /// Whether the node that writes must bring the address along.
    pub fn needs_redis_url(&self) -> bool {
        self.r#type == Some(SinkType::Redis) && self.config.url.is_none()
    }

    fn right_fields(&self, faults: &mut Vec<Invalid>) {
        let config = &self.config;
        let given = [
            ("url", config.url.is_some()),
            ("key", config.key.is_some()),
            ("max_len", config.max_len.is_some()),
        ];
        match self.r#type {
            None => {
                let all = SinkType::ALL.map(SinkType::as_str).join(", ");
                faults.push(Invalid::new("type", format!("is missing; it is one of {all}")));
            }
            Some(SinkType::File) => {
                for (field, _) in given.iter().filter(|(_, given)| *given) {
                    let detail = "is not for a sink of the type file, which is named after the \
                                  sink and stands in the directory that each node was started with";
                    faults.push(Invalid::new(format!("config/{field}"), detail));
                }
            }
            Some(SinkType::Redis) => {}
            Some(SinkType::Postgres | SinkType::Mongodb) => self.rows_alone(&given[1..], faults),
        }
    }

    /// What a sink of rows must have, and may not: `given` are fields of other types.
    fn rows_alone(&self, given: &[(&str, bool)], faults: &mut Vec<Invalid>) {
        let kind = self.r#type.map_or("", SinkType::as_str);
        for (field, _) in given.iter().filter(|(_, given)| *given) {
            let detail = "is for a sink of the type redis alone";
            faults.push(Invalid::new(format!("config/{field}"), detail));
        }
        if self.config.url.is_none() {
            let detail = format!(
                "is missing: where the database is, such as {{\"secret\": \"{kind}-url\"}}"
            );
            faults.push(Invalid::new("config/url", detail));
        }
        if !self.select.types.is_empty() {
            let detail = format!(
                "is not for a sink of the type {kind}, which has every run that ended and every \
                 nominal time"
            );
            faults.push(Invalid::new("select/types", detail));
        }
    }

    fn address(&self, faults: &mut Vec<Invalid>) {
        let Some(Setting::Text(url)) = &self.config.url else { return };
        let server = match self.r#type {
            Some(SinkType::Postgres) => Server::Postgres,
            Some(SinkType::Mongodb) => Server::Mongodb,
            _ => Server::Redis,
        };
        server.check(url, "config/url", faults);
    }
}

/// Whether events are of such a type or family.
fn known(kind: &str) -> bool {
    let family = |of: &&str| of.split('.').next() == Some(kind);
    EVENT_TYPES.contains(&kind) || EVENT_TYPES.iter().any(family)
}

impl Define for SinkSpec {
    const MOST: usize = limits::SINKS_MAX;
    const AREA: Area = Area::Outside;
    const MASKED: &'static [&'static str] = &["config"];

    fn check(&self, faults: &mut Vec<Invalid>) {
        self.right_fields(faults);
        self.address(faults);
        if !self.what.is_empty() && self.r#type != Some(SinkType::Redis) {
            faults.push(Invalid::new("what", "is for a sink of the type redis alone"));
        }
        if self.what.iter().enumerate().any(|(at, what)| self.what[..at].contains(what)) {
            faults.push(Invalid::new("what", "has one twice"));
        }
        if let Some(key) = &self.config.key
            && (key.is_empty() || key.len() > limits::STREAM_KEY_BYTES_MAX)
        {
            let detail = format!("must have from 1 to {} bytes", limits::STREAM_KEY_BYTES_MAX);
            faults.push(Invalid::new("config/key", detail));
        }
        if let Some(most) = self.config.max_len
            && (most == 0 || most > limits::SINK_STREAM_LEN_MAX)
        {
            let detail = format!("must be from 1 to {}", limits::SINK_STREAM_LEN_MAX);
            faults.push(Invalid::new("config/max_len", detail));
        }
        let SinkSelect { types, jobs } = &self.select;
        for (field, many) in [("types", types), ("jobs", jobs)] {
            if many.len() > limits::SINK_SELECT_MAX {
                let detail = format!("has over {} items", limits::SINK_SELECT_MAX);
                faults.push(Invalid::new(format!("select/{field}"), detail));
            }
        }
        for (at, kind) in types.iter().enumerate().filter(|(_, kind)| !known(kind)) {
            let detail = format!(
                "{kind:?} is neither a type of event, such as run.failed, nor a family, such as run"
            );
            faults.push(Invalid::new(format!("select/types/{at}"), detail));
        }
        for (at, job) in jobs.iter().enumerate() {
            if let Err(why) = crate::model::Name::parse(job) {
                faults.push(Invalid::new(format!("select/jobs/{at}"), why));
            }
        }
    }

    fn inner(&self) -> Vec<(String, u32)> {
        match self.r#type {
            Some(SinkType::Mongodb) => vec![("type".to_owned(), 8)],
            _ => Vec::new(),
        }
    }

    fn secrets(&self) -> Vec<(String, &SecretRef)> {
        match &self.config.url {
            Some(Setting::Secret(place)) => vec![("config/url".to_owned(), place)],
            _ => Vec::new(),
        }
    }

    fn live() -> Vec<(&'static str, Value)> {
        let optional =
            |kind: &str, text: &str| json!({ "type": [kind, "null"], "description": text });
        let time = json!({ "type": ["string", "null"], "format": "date-time",
            "description": "Since when the node writes it, none does, or the fault is there." });
        vec![
            (
                "position",
                optional(
                    "string",
                    "Everything up to here is there: entry of the log and \
                place in it. More may be.",
                ),
            ),
            (
                "behind",
                json!({ "type": "integer", "minimum": 0,
                "description": "Events that are not there yet, of all types and jobs." }),
            ),
            ("fault", optional("string", "What is in the way; null: nothing.")),
            ("since", time),
            ("node", optional("integer", "The node that writes; null: none does.")),
            ("paused", json!({ "type": "boolean", "description": "Nothing is written." })),
        ]
    }

    fn example() -> Value {
        json!({
            "name": "stream",
            "type": "redis",
            "config": {
                "url": { "secret": "redis-url" },
                "key": "cronapi:events",
                "max_len": 100_000,
            },
            "select": { "types": ["run", "job.deleted"], "jobs": ["nightly-dump"] },
            "what": ["events", "state"],
        })
    }

    fn patch() -> Value {
        json!({ "select": { "types": ["run"], "jobs": ["nightly-dump"] } })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::Kind;

    fn faults(value: Value) -> Vec<String> {
        let mut map = value.as_object().cloned().unwrap();
        map.insert("name".into(), "s".into());
        let read = Kind::Sink.read(map);
        read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_type_is_taken_with_what_it_needs() {
        let good = [
            json!({ "type": "file" }),
            json!({ "type": "file", "select": { "types": ["run", "node.lost"] } }),
            json!({ "type": "redis" }),
            json!({ "type": "redis", "config": { "url": "rediss://redis.example.org" } }),
            json!({ "type": "redis", "config": { "url": { "secret": "s" }, "max_len": 5 } }),
            json!({ "type": "redis", "what": ["state", "events"] }),
            json!({ "type": "postgres", "config": { "url": { "secret": "s" } } }),
            json!({ "type": "postgres", "config": { "url": "postgres://cron@db/reports" },
                "select": { "jobs": ["nightly-dump"] } }),
            json!({ "type": "mongodb", "config": { "url": { "secret": "s" } } }),
            json!({ "type": "mongodb", "config": { "url": "mongodb://cron@one,two:27018/reports" },
                "select": { "jobs": ["nightly-dump"] } }),
        ];
        for good in good {
            assert_eq!(faults(good.clone()), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn a_type_that_came_later_needs_its_format() {
        let need = |kind: &str| {
            let sink = json!({ "name": "s", "type": kind, "config": { "url": { "secret": "s" } } });
            let Value::Object(map) = sink else { unreachable!() };
            Kind::Sink.read(map).unwrap().need()
        };
        assert_eq!(need("postgres").format, 6);
        let need = need("mongodb");
        assert_eq!((need.what.as_str(), need.format), ("the field type", 8));
    }

    #[test]
    fn each_fault_is_told_where_it_stands() {
        let told = [
            (json!({}), "/type: is missing"),
            (json!({ "type": "file", "config": { "key": "a" } }), "/config/key: is not for"),
            (
                json!({ "type": "redis", "config": { "url": "http://a" } }),
                "/config/url: must begin",
            ),
            (
                json!({ "type": "redis", "config": { "url": "redis://:pw@a" } }),
                "/config/url: must not have a password",
            ),
            (json!({ "type": "postgres" }), "/config/url: is missing"),
            (
                json!({ "type": "postgres", "config": { "url": "postgres://a:pw@b/c" } }),
                "/config/url: must not have a password",
            ),
            (
                json!({ "type": "postgres", "config": { "url": "postgres://b/c?password=pw" } }),
                "/config/url: must not have a password",
            ),
            (
                json!({ "type": "postgres", "config": { "url": "redis://b" } }),
                "/config/url: must begin with postgres://",
            ),
            (
                json!({ "type": "postgres", "config": { "url": { "secret": "s" }, "key": "k" } }),
                "/config/key: is for a sink of the type redis",
            ),
            (
                json!({ "type": "postgres", "config": { "url": { "secret": "s" } },
                    "select": { "types": ["run"] } }),
                "/select/types: is not for",
            ),
            (
                json!({ "type": "mongodb" }),
                "/config/url: is missing: where the database is, such \
                as {\"secret\": \"mongodb-url\"}",
            ),
            (
                json!({ "type": "mongodb", "config": { "url": "mongodb://a:pw@b,c/d" } }),
                "/config/url: must not have a password",
            ),
            (
                json!({ "type": "mongodb",
                    "config": { "url": "mongodb://b/d?tlsCertificateKeyFilePassword=pw" } }),
                "/config/url: must not have a password",
            ),
            (
                json!({ "type": "mongodb", "config": { "url": "mongodb+srv://db.example.org/d" } }),
                "/config/url: must list the hosts",
            ),
            (
                json!({ "type": "mongodb", "config": { "url": "postgres://b" } }),
                "/config/url: must begin with mongodb://",
            ),
            (
                json!({ "type": "mongodb", "config": { "url": { "secret": "s" }, "max_len": 5 } }),
                "/config/max_len: is for a sink of the type redis",
            ),
            (
                json!({ "type": "mongodb", "config": { "url": { "secret": "s" } },
                    "select": { "types": ["run"] } }),
                "/select/types: is not for a sink of the type mongodb",
            ),
            (json!({ "type": "redis", "config": { "key": "" } }), "/config/key: must have"),
            (json!({ "type": "redis", "what": ["state", "state"] }), "/what: has one twice"),
            (json!({ "type": "file", "what": ["events"] }), "/what: is for a sink of"),
            (json!({ "type": "redis", "config": { "max_len": 0 } }), "/config/max_len: must be"),
            (json!({ "type": "file", "select": { "types": ["rum"] } }), "/select/types/0: \"rum\""),
            (json!({ "type": "file", "select": { "jobs": ["a b"] } }), "/select/jobs/0: has the"),
        ];
        for (value, wanted) in told {
            let faults = faults(value.clone());
            assert!(faults.iter().any(|fault| fault.starts_with(wanted)), "{value}: {faults:?}");
        }
    }
}
