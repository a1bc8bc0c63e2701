//! Windows: times within which notices are not sent, or are put off to one summary.

use serde_json::{Value, json};

use super::rule::RuleMatch;
use super::{Area, Define};
use crate::model::fields::spec;
use crate::model::{Invalid, Name, Span, Timestamp, limits};

/// What becomes of notices within a window.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WindowMode {
    /// They are kept, and never sent.
    #[default]
    Mute,
    /// They go out together at its end: one summary a channel.
    Defer,
}

spec! {
    /// Times within which notices of some jobs and monitors are not sent.
    WindowSpec;
    /// Where it begins. With `to`; or `expr` with `duration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    from: Option<Timestamp>, since 6;
    /// Where it ends; it is over then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    to: Option<Timestamp>, since 6;
    /// When it begins, again and again: as that of a job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 256)]
    expr: Option<String>, since 6;
    /// So long it is from each beginning on, by the clock on no wall: an hour that comes twice
    /// counts twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    duration: Option<Span>, since 6;
    /// Zone of `expr`: an IANA name; UTC by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    timezone: Option<String>, since 6;
    /// Of which jobs and monitors; of all by default.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    #[schema(nullable = false)]
    r#match: Option<RuleMatch>, since 6;
    /// `mute`: they are never sent; `defer`: at its end, together. `mute` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    mode: Option<WindowMode>, since 6;
    /// Why, for a person. It stands beside each notice.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 200)]
    reason: String, since 6;
    /// Whose scope it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    tags: Vec<String>, since 6;
}

impl WindowSpec {
    /// What becomes of notices.
    pub fn mode(&self) -> WindowMode {
        self.mode.unwrap_or_default()
    }

    /// Whether notices of that job, or of that monitor, are meant.
    pub fn takes(&self, monitor: bool, name: &str, tags: &[String]) -> bool {
        self.r#match.as_ref().is_none_or(|wanted| wanted.takes(monitor, name, tags))
    }

    /// Whether all notices are meant, also those of the cluster itself.
    pub fn takes_all(&self) -> bool {
        self.r#match.as_ref().is_none_or(RuleMatch::is_all)
    }

    fn check_times(&self, faults: &mut Vec<Invalid>) {
        let mut fault = |field: &str, detail: &str| faults.push(Invalid::new(field, detail));
        match (self.expr.is_some(), self.from.is_some() || self.to.is_some()) {
            (false, false) => fault("expr", "is missing; give it with duration, or from with to"),
            (true, true) => fault("expr", "can't be given together with from and to"),
            (true, false) => {
                if self.duration.is_none() {
                    fault("duration", "is missing: how long it is from each beginning on");
                }
            }
            (false, true) => {
                match (self.from, self.to) {
                    (None, _) => fault("from", "is missing"),
                    (_, None) => fault("to", "is missing"),
                    (Some(from), Some(to)) if from >= to => fault("to", "must be after from"),
                    _ => {}
                }
                for (field, given) in
                    [("duration", self.duration.is_some()), ("timezone", self.timezone.is_some())]
                {
                    if given {
                        fault(field, "belongs to expr; leave it out with from and to");
                    }
                }
            }
        }
        let range = limits::WINDOW_DURATION_MIN..=limits::WINDOW_DURATION_MAX;
        if self.duration.is_some_and(|duration| !range.contains(&duration)) {
            let detail = format!(
                "must be from {} to {}",
                limits::WINDOW_DURATION_MIN,
                limits::WINDOW_DURATION_MAX
            );
            faults.push(Invalid::new("duration", detail));
        }
    }
}

impl Define for WindowSpec {
    const MOST: usize = limits::WINDOWS_MAX;
    const AREA: Area = Area::Alerts;

    fn check(&self, faults: &mut Vec<Invalid>) {
        self.check_times(faults);
        if let Some(wanted) = &self.r#match {
            wanted.check(faults);
        }
        if self.reason.len() > limits::NOTICE_DETAIL_MAX {
            let detail = format!("must be at most {} bytes", limits::NOTICE_DETAIL_MAX);
            faults.push(Invalid::new("reason", detail));
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

    fn tags(&self) -> &[String] {
        &self.tags
    }

    fn live() -> Vec<(&'static str, Value)> {
        let time = json!({ "type": ["string", "null"], "format": "date-time",
            "description": "When it ends, or where it is not open, begins; null: never." });
        let held = json!({ "type": "integer", "minimum": 0,
            "description": "Notices that wait for its end." });
        vec![
            ("active", json!({ "type": "boolean", "description": "It is open now." })),
            ("until", time),
            ("deferred", held),
        ]
    }

    fn example() -> Value {
        json!({
            "name": "nights",
            "expr": "0 22 * * *",
            "duration": "8h",
            "timezone": "Europe/London",
            "match": { "jobs": ["etl-*"], "tags": ["batch"] },
            "mode": "defer",
            "reason": "nobody is awake, and it can wait",
            "tags": ["etl"],
        })
    }

    fn patch() -> Value {
        json!({ "duration": "9h" })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::Kind;

    fn faults(value: Value) -> Vec<String> {
        let mut map = value.as_object().cloned().unwrap();
        map.insert("name".into(), "w".into());
        let read = Kind::Window.read(map);
        read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_is_from_one_time_to_another_or_again_and_again() {
        let (from, to) = ("2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z");
        for good in [
            json!({ "from": from, "to": to }),
            json!({ "expr": "@daily", "duration": "2h" }),
            json!({ "expr": "@daily", "duration": "2h", "timezone": "Europe/London" }),
            json!({ "from": from, "to": to, "mode": "defer", "match": { "tags": ["a"] } }),
        ] {
            assert_eq!(faults(good.clone()), Vec::<String>::new(), "{good}");
        }
        for (value, wanted) in [
            (json!({}), "/expr: is missing"),
            (json!({ "expr": "@daily" }), "/duration: is missing"),
            (json!({ "expr": "@daily", "duration": "10s" }), "/duration: must be"),
            (json!({ "expr": "@daily", "duration": "2h", "from": from }), "/expr: can't be given"),
            (json!({ "from": from }), "/to: is missing"),
            (json!({ "to": to }), "/from: is missing"),
            (json!({ "from": to, "to": from }), "/to: must be after"),
            (json!({ "from": from, "to": to, "duration": "2h" }), "/duration: belongs"),
            (
                json!({ "from": from, "to": to, "match": { "jobs": [""] } }),
                "/match/jobs/0: must have",
            ),
        ] {
            let faults = faults(value.clone());
            assert!(faults.iter().any(|fault| fault.starts_with(wanted)), "{value}: {faults:?}");
        }
    }
}
