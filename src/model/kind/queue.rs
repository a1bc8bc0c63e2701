//! Queues: bounds on how many attempts run at a time.

use serde_json::{Value, json};

use super::{Area, Define};
use crate::model::fields::spec;
use crate::model::{Invalid, limits};

spec! {
    /// A bound on the attempts of the jobs that name the queue.
    QueueSpec;
    /// Attempts at a time; null: no bound.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    concurrency: Option<u32>, since 5;
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
    }

    fn live() -> Vec<(&'static str, Value)> {
        let busy = json!({ "type": "integer", "format": "int32", "minimum": 0,
            "description": "Attempts under way." });
        vec![("busy", busy)]
    }

    fn example() -> Value {
        json!({ "name": "reports", "concurrency": 4 })
    }

    fn patch() -> Value {
        json!({ "concurrency": 6 })
    }
}
