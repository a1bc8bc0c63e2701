//! Events: what watchers of the cluster see, in log order.

use serde::{Deserialize, Serialize};

use super::ids::RunId;
use super::name::Name;
use super::run::RunStatus;
use super::time::Timestamp;

/// All types of events.
pub const EVENT_TYPES: &[&str] = &[
    "backfill.cancelled",
    "backfill.done",
    "backfill.paused",
    "backfill.resumed",
    "backfill.started",
    "chain.unresolved",
    "cluster.format",
    "duty.fault",
    "duty.freed",
    "duty.given",
    "duty.recovered",
    "fire.skipped",
    "incident.acknowledged",
    "incident.opened",
    "incident.resolved",
    "job.created",
    "job.deleted",
    "job.paused",
    "job.resumed",
    "job.updated",
    "monitor.down",
    "monitor.excused",
    "monitor.up",
    "node.draining",
    "node.lost",
    "node.removed",
    "node.up",
    "run.assigned",
    "run.cancelled",
    "run.cancelling",
    "run.failed",
    "run.lost",
    "run.paused",
    "run.queued",
    "run.resumed",
    "run.running",
    "run.skipped",
    "run.succeeded",
    "run.timed_out",
    "run.waiting",
    "run.withdrawn",
    "trigger.refused",
    "window.began",
    "window.ended",
];

/// One change. `index` and `sub` give its place: equal on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// Log index of the entry that made it.
    pub index: u64,
    /// Its place within that entry.
    pub sub: u32,
    /// Log time.
    pub at: Timestamp,
    /// What happened, such as `run.succeeded` or `job.updated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The job concerned, or the monitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub job: Option<Name>,
    /// The run concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run_id: Option<RunId>,
    /// The run's status after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<RunStatus>,
    /// Of a nominal time that was skipped: which; of a range, its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nominal_time: Option<Timestamp>,
    /// More, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

impl Event {
    /// Whether it is of one of these types or families, and of one of these jobs; empty: of any.
    pub fn is_of(&self, types: &[String], jobs: &[String]) -> bool {
        let job = self.job.as_ref().map_or("", |name| name.as_str());
        let family = self.kind.split('.').next().unwrap_or_default();
        (jobs.is_empty() || jobs.iter().any(|name| name == job))
            && (types.is_empty() || types.iter().any(|kind| *kind == self.kind || kind == family))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::audit::AUDIT_ACTIONS;

    /// The first texts in the calls of some functions, in all sources.
    fn named(calls: &[&str]) -> BTreeSet<String> {
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")];
        let mut found = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                for call in calls {
                    for rest in text.split(call).skip(1) {
                        let end = rest.find(';').unwrap_or(rest.len());
                        let texts = rest[..end].split('"').skip(1).step_by(2);
                        let dotted = |text: &&str| {
                            text.contains('.')
                                && text.chars().all(|c| c.is_ascii_lowercase() || ".-_".contains(c))
                        };
                        found.extend(texts.take(1).filter(dotted).map(str::to_owned));
                    }
                }
            }
        }
        found
    }

    #[test]
    fn every_type_and_action_that_is_written_is_listed() {
        let types = named(&["self.event(", "self.event_because("]);
        assert!(types.len() > 12, "{types:?}");
        for kind in types {
            assert!(EVENT_TYPES.contains(&kind.as_str()), "{kind} is not in EVENT_TYPES");
        }
        for status in ["succeeded", "failed", "timed_out", "cancelled", "lost", "skipped"] {
            let kind = format!("run.{status}");
            assert!(EVENT_TYPES.contains(&kind.as_str()), "{kind}");
        }
        let actions =
            named(&["self.audit(", "self.note(", "self.remark(", "let verb = if enabled"]);
        assert!(actions.len() > 15, "{actions:?}");
        for action in actions {
            assert!(AUDIT_ACTIONS.contains(&action.as_str()), "{action} is not in AUDIT_ACTIONS");
        }
    }
}
