//! Queues: bounds on how many attempts run at a time, and rules for those that wait.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Area, Define};
use crate::model::fields::spec;
use crate::model::flow::{FairBy, QueueRules, StartRate};
use crate::model::{Invalid, Span, limits};

spec! {
    /// A bound on the attempts of the jobs that name the queue.
    QueueSpec;
    /// Attempts at a time; null: no bound.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    concurrency: Option<u32>, since 5;
    /// Attempt starts in any window of time; all hold at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 4)]
    rates: Vec<StartRate>, since 5;
    /// Starts stand as far apart as the rates have them on average.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    spread: bool, since 5;
    /// Whose runs share the queue evenly: `job`, `tag:team` (each tag `team-x`), or
    /// `parameter:tenant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, value_type = String)]
    fair_by: Option<FairBy>, since 5;
    /// Shares that weigh more than 1, by the job, the rest of the tag, or the parameter's value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    weights: BTreeMap<String, u32>, since 5;
    /// Waiting so long is worth a point of priority; without it the higher priority always goes
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    ageing: Option<Span>, since 5;
    /// Runs that may wait; one more is `skipped: queue_full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 1000000)]
    max_waiting: Option<u32>, since 5;
    /// Nothing of it starts; what runs goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    paused: bool, since 5;
}

impl QueueSpec {
    /// What it asks of those that wait.
    pub fn rules(&self) -> QueueRules {
        QueueRules {
            paused: self.paused,
            rates: self.rates.clone(),
            spread: self.spread,
            fair_by: self.fair_by.clone(),
            weights: self.weights.clone(),
            ageing: self.ageing,
            max_waiting: self.max_waiting,
        }
    }
}

/// Runs of one share that wait.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct QueueShare {
    /// Whose runs they are.
    pub share: String,
    /// Runs that wait.
    pub waiting: u64,
    /// What the share weighs.
    pub weight: u32,
}

impl Define for QueueSpec {
    const MOST: usize = limits::QUEUES_MAX;
    const AREA: Area = Area::Cluster;
    const TELLS_NEW: bool = false;

    fn check(&self, faults: &mut Vec<Invalid>) {
        if self.concurrency.is_some_and(|most| most == 0 || most > limits::CONCURRENT_MAX) {
            let most = limits::CONCURRENT_MAX;
            let detail = format!("must be from 1 to {most}; null removes the limit");
            faults.push(Invalid::new("concurrency", detail));
        }
        self.rules().check(faults);
    }

    fn live() -> Vec<(&'static str, Value)> {
        let count = |text: &str| json!({ "type": "integer", "minimum": 0, "description": text });
        let optional = ["string", "null"];
        let time =
            |text: &str| json!({ "type": optional, "format": "date-time", "description": text });
        let busy = json!({ "type": "integer", "format": "int32", "minimum": 0,
            "description": "Attempts under way." });
        let blocked = json!({ "type": ["string", "null"],
            "description": "Why nothing of it starts now; null: nothing holds it back." });
        let share = json!({ "$ref": "#/components/schemas/QueueShare" });
        let shares = json!({ "type": "array", "items": share, "maxItems": 100,
            "description": "With `fair_by`: who waits, those with most first." });
        vec![
            ("busy", busy),
            ("waiting", count("Runs that wait in it.")),
            ("oldest_at", time("Since when the first of them waits; null: none does.")),
            ("next_start_at", time("When its rates have room again; null: they have.")),
            ("blocked", blocked),
            ("shares", shares),
        ]
    }

    fn example() -> Value {
        json!({ "name": "reports", "concurrency": 4 })
    }

    fn patch() -> Value {
        json!({ "concurrency": 6 })
    }
}
