//! Alerts: incidents that are open, notices that wait to be sent, and what has not happened by a
//! time.
//!
//! An incident is decided in the entry that makes it so, and its notices stand in the same entry:
//! no crash parts them. Whoever sends them works from here (`State::outbox`), and says what became
//! of each in a command of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::State;
use crate::model::{Facts, JobNo, Kind, Name, Notice, Part, RunId, Spec, Timestamp};

/// What incidents, notices and watches need.
pub const FORMAT_OF_ALERTS: u32 = 6;

/// What makes up one incident: a rule, and the job that has trouble.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IncidentKey {
    /// The rule; none: the job's own `notify`.
    pub rule: Option<Name>,
    /// The job; none: all jobs of the rule together.
    pub job: Option<JobNo>,
    /// The part of the cluster, where one has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// Trouble that goes on, or that may come to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number; 0: it is not told yet, since there were too few failures.
    pub id: u64,
    /// The first trouble.
    pub since: Timestamp,
    /// When it was told first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// The newest trouble.
    pub last_at: Timestamp,
    /// Failures so far.
    pub failures: u64,
    /// The newest of it, as it is told.
    pub facts: Facts,
    /// The jobs that have it, and have not succeeded since.
    pub jobs: BTreeMap<JobNo, Name>,
    /// Who knows of it, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<(String, Timestamp)>,
    /// Whom it was told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Name>,
    /// Its end is told too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tells_end: bool,
    /// The first notices of it, by channel: they are kept up to date until they are sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<(Name, u64)>,
    /// Channels that its beginning was not told to, since a window was open: nor is its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted: Vec<Name>,
    /// When it is told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_at: Option<Timestamp>,
}

/// All incidents that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    /// By what makes them up.
    pub incidents: OrdMap<IncidentKey, Arc<Incident>>,
    /// Those that were told.
    pub by_id: OrdMap<u64, IncidentKey>,
    /// Those that each job has part in.
    pub by_job: OrdSet<(JobNo, IncidentKey)>,
    /// Those of each part of the cluster.
    #[serde(default, skip_serializing_if = "OrdSet::is_empty")]
    pub by_part: OrdSet<(Part, IncidentKey)>,
    /// The jobs that tell each channel of themselves.
    #[serde(default, skip_serializing_if = "OrdSet::is_empty")]
    pub naming: OrdSet<(Name, JobNo)>,
    /// Incidents ever told.
    pub last: u64,
    /// Incidents that are over and can be read.
    #[serde(default)]
    pub kept: u64,
    /// Troubles that were counted only: there were too many incidents.
    #[serde(default)]
    pub left_out: u64,
}

impl Alerts {
    /// There never was one.
    pub fn is_none(&self) -> bool {
        *self == Alerts::default()
    }

    /// The incident of that number, while it is open.
    pub fn open(&self, id: u64) -> Option<(&IncidentKey, &Arc<Incident>)> {
        self.incidents.get_key_value(self.by_id.get(&id)?)
    }

    /// The incidents that a job has part in.
    pub fn of_job(&self, no: JobNo) -> impl Iterator<Item = &IncidentKey> {
        let least = (no, IncidentKey { rule: None, job: None, part: None });
        self.by_job.range(least..).take_while(move |(of, _)| *of == no).map(|(_, key)| key)
    }

    /// The incidents of a part of the cluster.
    pub fn of_part<'a>(&'a self, part: &'a Part) -> impl Iterator<Item = &'a IncidentKey> {
        let least = (part.clone(), IncidentKey { rule: None, job: None, part: None });
        self.by_part.range(least..).take_while(move |(of, _)| of == part).map(|(_, key)| key)
    }

    /// The incidents of a rule.
    pub fn of_rule(&self, rule: &Name) -> impl Iterator<Item = &IncidentKey> {
        let least = IncidentKey { rule: Some(rule.clone()), job: None, part: None };
        let all = self.incidents.range(least..).map(|(key, _)| key);
        all.take_while(move |key| key.rule.as_ref() == Some(rule))
    }
}

/// Notices that wait to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// By channel, in the order in which they were decided.
    pub waiting: OrdMap<(Name, u64), Arc<Notice>>,
    /// Notices ever decided.
    pub last: u64,
    /// Notices that are over and can be read.
    #[serde(default)]
    pub kept: u64,
    /// Those of them that were given up, and may be tried again.
    #[serde(default, skip_serializing_if = "OrdSet::is_empty")]
    pub dead: OrdSet<u64>,
    /// Notices that were counted only, by channel, and are not told yet.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    pub left_out: OrdMap<Name, u64>,
    /// When the last messages went to a channel that has a rate.
    #[serde(default, skip_serializing_if = "OrdMap::is_empty")]
    pub sent: OrdMap<Name, imbl::Vector<Timestamp>>,
}

impl Outbox {
    /// There never was one.
    pub fn is_none(&self) -> bool {
        *self == Outbox::default()
    }

    /// Those for a channel, in order.
    pub fn of<'a>(&'a self, channel: &'a Name) -> impl Iterator<Item = &'a Arc<Notice>> {
        let all = self.waiting.range((channel.clone(), 0)..);
        all.take_while(move |((name, _), _)| name == channel).map(|(_, notice)| notice)
    }

    /// The one of that number.
    pub fn get(&self, seq: u64) -> Option<&Arc<Notice>> {
        self.waiting.values().find(|notice| notice.seq == seq)
    }
}

impl State {
    /// Who tells a channel: jobs, monitors and rules, in words, the first few.
    pub fn told_by(&self, channel: &Name) -> Vec<String> {
        const TOLD_MAX: usize = 5;
        let rules = self.definitions.of(Kind::Rule).filter(|(_, defined)| match &defined.spec {
            Spec::Rule(rule) => rule.channels.contains(channel),
            _ => false,
        });
        let rules = rules.map(|(name, _)| format!("rule {name}"));
        let jobs = self.alerts.naming.range((channel.clone(), 0)..);
        let jobs = jobs.take_while(|(of, _)| of == channel);
        let jobs = jobs.filter_map(|(_, no)| Some(format!("job {}", self.jobs.get(no)?.spec.name)));
        let monitors = self.definitions.of(Kind::Monitor).filter(|(_, d)| match &d.spec {
            Spec::Monitor(spec) => {
                spec.notify.as_ref().is_some_and(|notify| notify.channels.contains(channel))
            }
            _ => false,
        });
        let monitors = monitors.map(|(name, _)| format!("monitor {name}"));
        rules.chain(jobs).chain(monitors).take(TOLD_MAX).collect()
    }
}

/// What has not happened yet, and is told once its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchKey {
    /// A run has not begun.
    Late(RunId),
    /// A run has not ended.
    Long(RunId),
    /// Nobody acknowledged an incident.
    Repeat(u64),
    /// A monitor was not heard of.
    Monitor(JobNo),
}

/// When a run is looked at, for what it has not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Whether it has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Timestamp>,
    /// By when it was to begin, where that was worked out; from format 7 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_by: Option<Timestamp>,
    /// Whether it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<Timestamp>,
    /// That it has not ended was told, or is not looked at any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub long_told: bool,
}

impl Watched {
    /// It is not looked at.
    pub fn is_none(&self) -> bool {
        *self == Watched::default()
    }
}
