//! Rules: which troubles of which jobs and monitors are told to which channels.

use serde_json::{Value, json};

use super::{Area, Define, Kind, Reference};
use crate::model::alert::{ON_DEFAULT, Trouble, check_terms};
use crate::model::fields::spec;
use crate::model::{Invalid, Name, Span, limits};

/// The jobs that a rule is about: those that one of the patterns or tags names.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct RuleMatch {
    /// Names of jobs; `*` stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub jobs: Vec<String>,
    /// Tags, one of which a job or a monitor has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub tags: Vec<String>,
    /// Names of monitors; `*` stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 64)]
    pub monitors: Vec<String>,
}

impl RuleMatch {
    /// Whether a job is meant, or a monitor. A rule that names none means all.
    pub(in crate::model) fn takes(&self, monitor: bool, name: &str, tags: &[String]) -> bool {
        let names = if monitor { &self.monitors } else { &self.jobs };
        self.is_all()
            || names.iter().any(|pattern| crate::model::access::glob(pattern, name))
            || self.tags.iter().any(|tag| tags.contains(tag))
    }

    /// It names none, and so means all.
    pub(in crate::model) fn is_all(&self) -> bool {
        self.jobs.is_empty() && self.tags.is_empty() && self.monitors.is_empty()
    }

    pub(in crate::model) fn check(&self, faults: &mut Vec<Invalid>) {
        for (field, list) in
            [("jobs", &self.jobs), ("tags", &self.tags), ("monitors", &self.monitors)]
        {
            if list.len() > limits::REFERENCES_MAX {
                let detail = format!("has over {} items", limits::REFERENCES_MAX);
                faults.push(Invalid::new(format!("match/{field}"), detail));
            }
            let long = |text: &String| text.is_empty() || text.len() > limits::NAME_LEN_MAX;
            if let Some(at) = list.iter().position(long) {
                let detail = format!("must have 1 to {} characters", limits::NAME_LEN_MAX);
                faults.push(Invalid::new(format!("match/{field}/{at}"), detail));
            }
        }
    }
}

/// What makes up one incident.
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
pub enum GroupBy {
    /// Each job has an incident of its own.
    #[default]
    Job,
    /// All jobs of the rule have one together.
    Rule,
}

spec! {
    /// Which troubles of which jobs are told, and to whom.
    RuleSpec;
    /// What is told; `failed`, `missed` and `recovered`, `monitor_down` and `monitor_up` unless
    /// given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 11)]
    on: Vec<Trouble>, since 6;
    /// Of which jobs and monitors; of all by default.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    #[schema(nullable = false)]
    r#match: Option<RuleMatch>, since 6;
    /// To which channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(min_items = 1, max_items = 8)]
    channels: Vec<Name>, since 6;
    /// `job`: an incident a job; `rule`: one for all of them. A node and a sink always have one of
    /// their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group_by: Option<GroupBy>, since 6;
    /// So long the first notice waits for more of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    group_wait: Option<Span>, since 6;
    /// An incident that nobody acknowledged is told again after so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    repeat: Option<Span>, since 6;
    /// Failures in a row before it is told; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 1000)]
    min_failures: Option<u32>, since 6;
    /// Whose scope it is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    tags: Vec<String>, since 6;
}

impl RuleSpec {
    /// Whether it tells of `what` of that job, or of that monitor.
    pub fn tells(&self, what: Trouble, name: &str, tags: &[String]) -> bool {
        let monitor = what.is_of_monitors();
        self.on().contains(&what)
            && self.r#match.as_ref().is_none_or(|m| m.takes(monitor, name, tags))
    }

    /// Whether it tells of what a part of the cluster has.
    pub fn tells_of_cluster(&self, what: Trouble) -> bool {
        self.on().contains(&what) && self.names_none()
    }

    fn names_none(&self) -> bool {
        self.r#match.as_ref().is_none_or(RuleMatch::is_all)
    }

    /// What it tells.
    pub fn on(&self) -> &[Trouble] {
        if self.on.is_empty() { ON_DEFAULT } else { &self.on }
    }
}

impl Define for RuleSpec {
    const MOST: usize = limits::RULES_MAX;
    const AREA: Area = Area::Alerts;

    fn check(&self, faults: &mut Vec<Invalid>) {
        check_terms("", &self.on, &self.channels, self.min_failures, faults);
        if let Some(wanted) = &self.r#match {
            wanted.check(faults);
        }
        if let Some(what) = self.on.iter().find(|what| what.is_of_cluster())
            && !self.names_none()
        {
            let what = what.as_str();
            let detail =
                format!("{what} is of the cluster: leave it out, or give it a rule without match");
            faults.push(Invalid::new("on", detail));
        }
        if self.group_wait.is_some_and(|wait| wait > limits::GROUP_WAIT_MAX) {
            let detail = format!("must be at most {}", limits::GROUP_WAIT_MAX);
            faults.push(Invalid::new("group_wait", detail));
        }
        let range = limits::REPEAT_MIN..=limits::SPAN_MAX;
        if self.repeat.is_some_and(|repeat| !range.contains(&repeat)) {
            let detail = format!("must be at least {}, at most ten years", limits::REPEAT_MIN);
            faults.push(Invalid::new("repeat", detail));
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
        let named = self.channels.iter().enumerate();
        let reference = |(at, name): (usize, &Name)| Reference {
            field: format!("channels/{at}"),
            kind: Kind::Channel,
            name: name.clone(),
        };
        named.map(reference).collect()
    }

    fn tags(&self) -> &[String] {
        &self.tags
    }

    fn example() -> Value {
        json!({
            "name": "etl",
            "on": ["failed", "missed", "recovered"],
            "match": { "jobs": ["etl-*"], "tags": ["etl"] },
            "channels": ["ops"],
            "group_by": "job",
            "group_wait": "30s",
            "repeat": "4h",
            "min_failures": 1,
            "tags": ["etl"],
        })
    }

    fn patch() -> Value {
        json!({ "min_failures": 2 })
    }
}
