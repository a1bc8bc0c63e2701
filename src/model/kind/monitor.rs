//! Monitors: work that somebody else runs, and that says when it was done. Silence is told.

use serde_json::{Value, json};

use super::{Area, Define, Kind, Reference};
use crate::model::alert::Notify;
use crate::model::fields::spec;
use crate::model::{Invalid, Name, Span, Trouble, limits};

spec! {
    /// Work that somebody else runs: it sends pings, and when they do not come, that is told.
    MonitorSpec;
    /// When it runs, as of a job. This or `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 256)]
    expr: Option<String>, since 6;
    /// From one ping to the next, at most. This or `expr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    every: Option<Span>, since 6;
    /// Zone of `expr`: an IANA name; UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    timezone: Option<String>, since 6;
    /// So long a ping may be late; 10m by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    grace: Option<Span>, since 6;
    /// From a ping that says that the work begins to the one that says how it ended, at most; as
    /// `grace` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    max_duration: Option<Span>, since 6;
    /// Whom it tells by itself, beside the rules that are about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    notify: Option<Notify>, since 6;
    /// What it is, for a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 4096)]
    description: String, since 6;
    /// Labels: rules and scopes may name them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    tags: Vec<String>, since 6;
}

impl MonitorSpec {
    /// So long a ping may be late.
    pub fn grace(&self) -> Span {
        self.grace.unwrap_or(limits::MONITOR_GRACE_DEFAULT)
    }

    /// So long the work may take that said that it begins.
    pub fn max_duration(&self) -> Span {
        self.max_duration.unwrap_or_else(|| self.grace())
    }

    /// Whom it tells of `what` by itself.
    pub fn tells(&self, what: Trouble) -> Option<&Notify> {
        let all = |notify: &&Notify| notify.on.is_empty() || notify.on.contains(&what);
        self.notify.as_ref().filter(all)
    }

    fn check_times(&self, faults: &mut Vec<Invalid>) {
        match (&self.expr, self.every) {
            (None, None) => faults.push(Invalid::new("every", "is missing; give it, or expr")),
            (Some(_), Some(_)) => {
                faults.push(Invalid::new("every", "can't be given together with expr"));
            }
            _ => {}
        }
        if self.every.is_some() && self.timezone.is_some() {
            faults.push(Invalid::new("timezone", "belongs to expr; leave it out with every"));
        }
        let least = limits::MONITOR_EVERY_MIN;
        if self.every.is_some_and(|every| every < least || every > limits::SPAN_MAX) {
            let detail = format!(
                "must be at least {least}, at most ten years: a monitor takes that many pings \
                 in the long run"
            );
            faults.push(Invalid::new("every", detail));
        }
        for (field, span) in [("grace", self.grace), ("max_duration", self.max_duration)] {
            let range = limits::MONITOR_GRACE_MIN..=limits::SPAN_MAX;
            if span.is_some_and(|span| !range.contains(&span)) {
                let detail =
                    format!("must be at least {}, at most ten years", limits::MONITOR_GRACE_MIN);
                faults.push(Invalid::new(field, detail));
            }
        }
    }

    fn check_notify(&self, faults: &mut Vec<Invalid>) {
        let Some(notify) = &self.notify else { return };
        notify.check_terms(faults);
        if notify.min_failures.is_some() {
            faults.push(Invalid::new("notify/min_failures", "is of jobs; leave it out"));
        }
        let known = [Trouble::MonitorDown, Trouble::MonitorUp];
        if let Some(other) = notify.on.iter().find(|what| !known.contains(what)) {
            let detail =
                format!("{} is of jobs; a monitor has monitor_down, monitor_up", other.as_str());
            faults.push(Invalid::new("notify/on", detail));
        }
    }
}

impl Define for MonitorSpec {
    const MOST: usize = limits::MONITORS_MAX;
    const AREA: Area = Area::Alerts;

    fn check(&self, faults: &mut Vec<Invalid>) {
        self.check_times(faults);
        self.check_notify(faults);
        if self.description.chars().count() > limits::TEXT_LEN_MAX {
            let detail = format!("must be at most {} characters", limits::TEXT_LEN_MAX);
            faults.push(Invalid::new("description", detail));
        }
        if self.tags.len() > limits::TAGS_MAX {
            faults.push(Invalid::new("tags", format!("has over {} tags", limits::TAGS_MAX)));
        }
        for (at, tag) in self.tags.iter().enumerate() {
            if let Err(detail) = Name::parse(tag) {
                faults.push(Invalid::new(format!("tags/{at}"), detail));
            }
        }
    }

    fn references(&self) -> Vec<Reference> {
        let channels = self.notify.iter().flat_map(|notify| notify.channels.iter().enumerate());
        let reference = |(at, name): (usize, &Name)| Reference {
            field: format!("notify/channels/{at}"),
            kind: Kind::Channel,
            name: name.clone(),
        };
        channels.map(reference).collect()
    }

    fn tags(&self) -> &[String] {
        &self.tags
    }

    fn live() -> Vec<(&'static str, Value)> {
        let kind = ["string", "null"];
        let time = |text: &str| json!({ "type": kind, "format": "date-time", "description": text });
        let text = |text: &str| json!({ "type": kind, "description": text });
        let status = json!({ "$ref": "#/components/schemas/MonitorStatus" });
        vec![
            ("status", status),
            ("since", time("Since when it is new, up, down or paused.")),
            ("last_ping_at", time("The last ping that said how the work ended.")),
            ("last_duration", text("How long the work took the last time, when it said so.")),
            ("started_at", time("When the work said that it begins; null: it is not under way.")),
            ("expected_at", time("When the next ping is due.")),
            ("deadline", time("When it is down unless a ping comes.")),
            ("pings", json!({ "type": "integer", "minimum": 0, "description": "Pings so far." })),
            (
                "excused_until",
                time("Its last deadline was moved since the cluster was away until then."),
            ),
            ("explanation", json!({ "type": "string", "description": "All that in a sentence." })),
            (
                "ping_path",
                text("Where its pings go, with its key: only in the answer that made it."),
            ),
        ]
    }

    fn example() -> Value {
        json!({
            "name": "nightly-dump",
            "expr": "30 2 * * *",
            "timezone": "Europe/Berlin",
            "grace": "10m",
            "max_duration": "1h",
            "notify": { "channels": ["ops"] },
            "description": "pg_dump on db1, run by its crontab",
            "tags": ["database"],
        })
    }

    fn patch() -> Value {
        json!({ "grace": "20m" })
    }
}
