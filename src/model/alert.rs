//! Alerts: which troubles of jobs are told, to whom, and what a notice says.

use serde::{Deserialize, Serialize};

use super::ids::{JobNo, NodeId, RunId};
use super::invalid::Invalid;
use super::limits;
use super::name::Name;
use super::run::RunStatus;
use super::span::Span;
use super::time::Timestamp;

/// What a rule tells of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// A run failed, timed out or was lost, and no further attempt follows.
    Failed,
    /// The job succeeded again.
    Recovered,
    /// A scheduled run had not begun `late_after` after its nominal time.
    Late,
    /// Nominal times passed without a run: the cluster was away, and they were not made up for.
    Missed,
    /// A run is under way for longer than `long_after`.
    LongRunning,
    /// A time was decided against: by the overlap policy, a gate, a full queue or its parameters.
    Skipped,
    /// A ping of a monitor did not come, or said that the work failed.
    MonitorDown,
    /// It came again.
    MonitorUp,
    /// A node was not heard of in time. It is over, and told as `recovered`, once it is back.
    NodeLost,
    /// A sink can't be written, or is far behind. It is over, and told as `recovered`, once it has
    /// caught up.
    SinkBehind,
    /// A backfill has run all its times. It is told once, and is over with that.
    BackfillDone,
}

impl Trouble {
    /// It is of a monitor, not of a job.
    pub fn is_of_monitors(self) -> bool {
        matches!(self, Trouble::MonitorDown | Trouble::MonitorUp)
    }

    /// It is of the cluster itself: of a node or a sink.
    pub fn is_of_cluster(self) -> bool {
        matches!(self, Trouble::NodeLost | Trouble::SinkBehind)
    }

    /// It tells that a trouble is over.
    pub fn is_end(self) -> bool {
        matches!(self, Trouble::Recovered | Trouble::MonitorUp)
    }

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Trouble::Failed => "failed",
            Trouble::Recovered => "recovered",
            Trouble::Late => "late",
            Trouble::Missed => "missed",
            Trouble::LongRunning => "long_running",
            Trouble::Skipped => "skipped",
            Trouble::MonitorDown => "monitor_down",
            Trouble::MonitorUp => "monitor_up",
            Trouble::NodeLost => "node_lost",
            Trouble::SinkBehind => "sink_behind",
            Trouble::BackfillDone => "backfill_done",
        }
    }
}

/// What is told when a rule does not say it.
pub const ON_DEFAULT: &[Trouble] = &[
    Trouble::Failed,
    Trouble::Missed,
    Trouble::Recovered,
    Trouble::MonitorDown,
    Trouble::MonitorUp,
];

/// What a job tells of itself, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// What is told. By default: of a job `failed`, `missed` and `recovered`, of a monitor
    /// `monitor_down` and `monitor_up`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 11)]
    pub on: Vec<Trouble>,
    /// To which channels.
    #[schema(min_items = 1, max_items = 8)]
    pub channels: Vec<Name>,
    /// Failures in a row before it is told; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub min_failures: Option<u32>,
}

impl Notify {
    pub(in crate::model) fn check(&self, faults: &mut Vec<Invalid>) {
        self.check_terms(faults);
        if let Some(other) = self.on.iter().find(|what| what.is_of_monitors()) {
            let detail = format!("{} is of monitors; leave it out", other.as_str());
            faults.push(Invalid::new("notify/on", detail));
        }
        self.check_no_cluster(faults);
    }

    /// What the cluster has is told by a rule.
    pub(in crate::model) fn check_no_cluster(&self, faults: &mut Vec<Invalid>) {
        if let Some(other) = self.on.iter().find(|what| what.is_of_cluster()) {
            let detail = format!("{} is of the cluster: a rule tells of it", other.as_str());
            faults.push(Invalid::new("notify/on", detail));
        }
    }

    pub(in crate::model) fn check_terms(&self, faults: &mut Vec<Invalid>) {
        check_terms("notify/", &self.on, &self.channels, self.min_failures, faults);
    }
}

/// What both a job's own rule and one of its own kind keep to; `at` is where their fields stand.
pub(in crate::model) fn check_terms(
    at: &str,
    on: &[Trouble],
    channels: &[Name],
    min_failures: Option<u32>,
    faults: &mut Vec<Invalid>,
) {
    let field = |name: &str| format!("{at}{name}");
    check_on(at, on, faults);
    let most = limits::RULE_CHANNELS_MAX;
    if channels.is_empty() || channels.len() > most {
        let detail = format!("must name from 1 to {most} channels");
        faults.push(Invalid::new(field("channels"), detail));
    }
    if let Some(again) = repeated(channels) {
        faults.push(Invalid::new(field("channels"), format!("has {again} twice")));
    }
    if min_failures.is_some_and(|least| least == 0 || least > limits::MIN_FAILURES_MAX) {
        let detail = format!("must be from 1 to {}", limits::MIN_FAILURES_MAX);
        faults.push(Invalid::new(field("min_failures"), detail));
    }
}

/// What all keep to that tell of troubles; `at` is where the field `on` stands.
pub(in crate::model) fn check_on(at: &str, on: &[Trouble], faults: &mut Vec<Invalid>) {
    if let Some(again) = repeated(on) {
        faults.push(Invalid::new(format!("{at}on"), format!("has {} twice", again.as_str())));
    }
    if !on.is_empty() && on.iter().all(|what| what.is_end()) {
        let detail = "needs a trouble beside the end of one, or nothing is ever told";
        faults.push(Invalid::new(format!("{at}on"), detail));
    }
}

fn repeated<T: PartialEq>(list: &[T]) -> Option<&T> {
    let again = |(at, item): &(usize, &T)| list[..*at].contains(item);
    list.iter().enumerate().find(again).map(|(_, item)| item)
}

/// A part of the cluster that has a trouble.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A node.
    Node(NodeId),
    /// A sink.
    Sink(Name),
}

/// What a notice says of its incident.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// It has begun.
    Opened,
    /// It goes on, and nobody acknowledged it.
    Reminder,
    /// It is over.
    Resolved,
}

impl NoticeKind {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeKind::Opened => "opened",
            NoticeKind::Reminder => "reminder",
            NoticeKind::Resolved => "resolved",
        }
    }
}

/// What is told, as it was when it was decided. Nothing of what a run wrote is in it but the short
/// reason of its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Facts {
    /// What it says of the incident.
    pub kind: NoticeKind,
    /// The incident.
    pub incident: u64,
    /// The rule that it is told by; none: the job's own `notify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub rule: Option<Name>,
    /// The trouble: the newest.
    pub trouble: Trouble,
    /// The job that has it, or the monitor. Of a part of the cluster, its name.
    pub job: Name,
    /// The part of the cluster that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub part: Option<Part>,
    /// The number of the job or the monitor; 0: a part of the cluster has none.
    #[schema(ignore)]
    pub job_no: JobNo,
    /// The run that has it, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run: Option<RunId>,
    /// How that run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<RunStatus>,
    /// Why, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 200)]
    pub detail: Option<String>,
    /// Since when there is trouble.
    pub since: Timestamp,
    /// Troubles so far.
    pub troubles: u64,
    /// Jobs that have trouble.
    pub jobs: u32,
    /// Notices to this channel that were left out before this one: there were too many.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_out: u64,
}

impl Facts {
    /// Whether it is about a monitor, not a job.
    pub fn is_of_monitor(&self) -> bool {
        self.trouble.is_of_monitors()
    }

    /// The job, where it is about one.
    pub fn of_job(&self) -> Option<&Name> {
        (!self.is_of_monitor() && self.part.is_none()).then_some(&self.job)
    }

    /// The monitor, where it is about one.
    pub fn of_monitor(&self) -> Option<&Name> {
        self.is_of_monitor().then_some(&self.job)
    }

    /// The node, where it is about one.
    pub fn of_node(&self) -> Option<NodeId> {
        match self.part {
            Some(Part::Node(id)) => Some(id),
            _ => None,
        }
    }

    /// The sink, where it is about one.
    pub fn of_sink(&self) -> Option<&Name> {
        match &self.part {
            Some(Part::Sink(name)) => Some(name),
            _ => None,
        }
    }

    /// The job or the monitor that it is about.
    pub fn of_work(&self) -> Option<&Name> {
        self.part.is_none().then_some(&self.job)
    }
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A notice that waits to be sent to a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its number among all that were decided ever. It is sent under it, however often.
    pub seq: u64,
    /// To whom.
    pub channel: Name,
    /// When it was decided, log time.
    pub at: Timestamp,
    /// It is not sent before.
    pub not_before: Timestamp,
    /// How often it was tried in vain.
    #[serde(default)]
    pub tries: u32,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Somebody has to say that it may go out: the cluster was restored from a backup.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// The window that holds it back, or did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Name>,
    /// What it says.
    pub facts: Facts,
}

/// What became of a try to send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delivery {
    /// It is out.
    Sent,
    /// It may be tried again, not before so long.
    Retry {
        /// Why it failed.
        error: String,
        /// What the other side asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Span>,
    },
    /// It never will be.
    Dead {
        /// Why.
        error: String,
    },
}

/// How a notice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeEnd {
    /// It was sent.
    Sent,
    /// It was given up.
    Dead,
    /// It was not to be sent: a window was open, or nobody was told of the beginning.
    Muted,
}

impl NoticeEnd {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            NoticeEnd::Sent => "sent",
            NoticeEnd::Dead => "dead",
            NoticeEnd::Muted => "muted",
        }
    }
}
