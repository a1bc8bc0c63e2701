//! Triggers: what outside of the cluster starts runs of a job.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Area, Define, Kind, Reference};
use crate::model::address::Server;
use crate::model::fields::spec;
use crate::model::{Invalid, Name, SecretRef, Setting, limits};

spec! {
    /// Each entry of a stream starts one run of a job: one node at a time reads it, in its order.
    TriggerSpec;
    /// What is read.
    #[serde(default)]
    #[schema(required = true, nullable = false)]
    r#type: Option<TriggerType>, since 7;
    /// Where that is.
    #[serde(default)]
    #[schema(required = true)]
    config: TriggerConfig, since 7;
    /// The job that an entry starts. Its parameters are those of the entry, laid over its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = true, nullable = false, value_type = Name)]
    job: Option<Name>, since 7;
}

/// What a trigger reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TriggerType {
    /// A stream of Redis.
    RedisStream,
}

/// Where entries come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerConfig {
    /// The address, `redis://host:6379/0`, or `rediss://` with TLS; with a password in it as
    /// `{"secret": "name"}`. Without it: `REDIS_URL` of the node that reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<Setting>,
    /// The key of the stream.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(required = true, min_length = 1, max_length = 512)]
    pub stream: String,
}

impl TriggerSpec {
    /// Whether the node that reads must bring the address along.
    pub fn needs_redis_url(&self) -> bool {
        self.config.url.is_none()
    }
}

impl Define for TriggerSpec {
    const MOST: usize = limits::TRIGGERS_MAX;
    const AREA: Area = Area::Outside;
    const MASKED: &'static [&'static str] = &["config"];

    fn check(&self, faults: &mut Vec<Invalid>) {
        if self.r#type.is_none() {
            faults.push(Invalid::new("type", "is missing; it is redis_stream"));
        }
        if self.job.is_none() {
            faults.push(Invalid::new("job", "is missing: the job that an entry starts"));
        }
        let stream = &self.config.stream;
        if stream.is_empty() || stream.len() > limits::STREAM_KEY_BYTES_MAX {
            let most = limits::STREAM_KEY_BYTES_MAX;
            let detail = format!("must be the key of a stream, of 1 to {most} bytes");
            faults.push(Invalid::new("config/stream", detail));
        }
        if let Some(Setting::Text(url)) = &self.config.url {
            Server::Redis.check(url, "config/url", faults);
        }
    }

    fn references(&self) -> Vec<Reference> {
        let job = self.job.iter().cloned();
        job.map(|name| Reference { field: "job".into(), kind: Kind::Job, name }).collect()
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
        vec![
            (
                "position",
                json!({ "type": "string",
                "description": "The id of the last entry that was taken; 0-0: none was." }),
            ),
            (
                "refused",
                json!({ "type": "integer", "minimum": 0,
                "description": "Entries that started no run, for what was in them." }),
            ),
            ("last_refused", optional("string", "The last of them, and why.")),
            ("fault", optional("string", "What is in the way; null: nothing.")),
            (
                "since",
                json!({ "type": ["string", "null"], "format": "date-time",
                "description": "Since when the node reads it, none does, or the fault is there." }),
            ),
            ("node", optional("integer", "The node that reads; null: none does.")),
            ("paused", json!({ "type": "boolean", "description": "Nothing is read." })),
        ]
    }

    fn example() -> Value {
        json!({
            "name": "orders",
            "type": "redis_stream",
            "config": { "url": { "secret": "redis-url" }, "stream": "shop:orders" },
            "job": "nightly-dump",
        })
    }

    fn patch() -> Value {
        json!({ "config": { "url": { "secret": "redis-url" }, "stream": "shop:returns" } })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::Kind;

    fn faults(value: Value) -> Vec<String> {
        let mut map = value.as_object().cloned().unwrap();
        map.insert("name".into(), "t".into());
        let read = Kind::Trigger.read(map);
        read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_stream_and_a_job_are_all_it_needs() {
        for config in [
            json!({ "stream": "orders" }),
            json!({ "stream": "orders", "url": "redis://redis.example.org:6379/0" }),
            json!({ "stream": "orders", "url": { "secret": "redis-url" } }),
        ] {
            let good = json!({ "type": "redis_stream", "config": config, "job": "pack" });
            assert_eq!(faults(good.clone()), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn each_fault_is_told_where_it_stands() {
        let all = faults(json!({}));
        for field in ["/type: is missing", "/job: is missing", "/config/stream: must be"] {
            assert!(all.iter().any(|fault| fault.starts_with(field)), "{field}: {all:?}");
        }
        for (url, wanted) in [
            ("http://a", "must begin with redis://"),
            ("redis://:pw@a", "must not have a password"),
            ("redis://", "has no host"),
        ] {
            let config = json!({ "stream": "s", "url": url });
            let all = faults(json!({ "type": "redis_stream", "config": config, "job": "a" }));
            let wanted = format!("/config/url: {wanted}");
            assert!(all.iter().any(|fault| fault.starts_with(&wanted)), "{url}: {all:?}");
        }
    }
}
