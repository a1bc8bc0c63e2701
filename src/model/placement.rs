//! Where a run may start: labels that a node must have, and labels that it had better have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::invalid::Invalid;
use super::limits::NAME_LEN_MAX;

/// Labels of a node, such as `region=eu`.
pub type Labels = BTreeMap<String, String>;

/// What a job asks of the node that runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Labels without which a node is not considered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub require: Labels,
    /// Labels that count for a node; the most matches win, then the least load.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prefer: Labels,
}

impl Placement {
    /// Whether a node with `labels` may run it.
    pub fn allows(&self, labels: &Labels) -> bool {
        self.require.iter().all(|(k, v)| labels.get(k) == Some(v))
    }

    /// How many of the preferred labels a node has.
    pub fn matches(&self, labels: &Labels) -> usize {
        self.prefer.iter().filter(|(k, v)| labels.get(*k) == Some(v)).count()
    }

    pub(in crate::model) fn check(&self, faults: &mut Vec<Invalid>) {
        for (list, labels) in [("require", &self.require), ("prefer", &self.prefer)] {
            if labels.len() > 32 {
                faults.push(Invalid::new(format!("placement/{list}"), "has over 32 labels"));
            }
            for (key, value) in labels {
                if key.is_empty() || key.len() > NAME_LEN_MAX || value.len() > NAME_LEN_MAX {
                    faults.push(Invalid::new(
                        format!("placement/{list}"),
                        "a label and its value have at most 128 characters, the label at least 1",
                    ));
                }
            }
        }
    }
}
