//! Settings of the cluster that are replicated: `scheduling`, how slots are shared by lane.

use serde_json::{Value, json};

use super::{Area, Define};
use crate::model::fields::spec;
use crate::model::flow::{LANE_SHARES, LaneShares};
use crate::model::{Invalid, limits};

/// The one set of settings that there is.
pub const SCHEDULING: &str = "scheduling";

spec! {
    /// How the cluster places attempts. There is one, `scheduling`; without it the defaults hold.
    SettingsSpec;
    /// Which share of each node's slots attempts of a lane may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    lanes: Option<LaneShares>, since 6;
}

impl Define for SettingsSpec {
    const MOST: usize = limits::SETTINGS_MAX;
    const AREA: Area = Area::Cluster;

    fn check(&self, faults: &mut Vec<Invalid>) {
        if self.name.as_str() != SCHEDULING {
            let detail = format!("of settings is {SCHEDULING}: there are no others");
            faults.push(Invalid::new("name", detail));
        }
        let LaneShares { live, retry, backfill } = self.lanes.unwrap_or(LANE_SHARES);
        for (field, share) in [("live", live), ("retry", retry), ("backfill", backfill)] {
            if !(1..=100).contains(&share) {
                let detail = "is a share in percent: from 1 to 100";
                faults.push(Invalid::new(format!("lanes/{field}"), detail));
            }
        }
        if retry > live || backfill > retry {
            let detail = "is more than that of the lane before it, which goes first";
            let field = if retry > live { "retry" } else { "backfill" };
            faults.push(Invalid::new(format!("lanes/{field}"), detail));
        }
    }

    fn example() -> Value {
        json!({ "name": SCHEDULING, "lanes": { "live": 100, "retry": 75, "backfill": 50 } })
    }

    fn patch() -> Value {
        json!({ "lanes": { "live": 100, "retry": 60, "backfill": 25 } })
    }
}
